//! The client: HTTP/1.1 on bare sockets, with requests that are signed before the clock starts. It shares the machine
//! with the servers that it measures, so it does as little as possible.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::webhook;

/// The number of senders in the throughput runs.
pub const SENDERS: usize = 5_000;

/// Requests, one after the other in one buffer.
pub struct Requests {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Requests {
    /// Builds the webhooks of `count` messages from `senders` senders, numbered from `first` so that no two in a run
    /// are the same.
    pub fn messages(first: usize, count: usize, senders: usize) -> Requests {
        let mut requests = Requests { bytes: Vec::with_capacity(count * 1_300), ends: Vec::with_capacity(count) };
        for number in first..first + count {
            requests.push(webhook::PATH, &webhook::params(number, number % senders));
        }
        requests
    }

    /// Builds status callbacks from their paths and the ids of the messages.
    pub fn callbacks(wanted: &[(String, String)], status: &str) -> Requests {
        let mut requests = Requests { bytes: Vec::new(), ends: Vec::new() };
        for (path, sid) in wanted {
            let params = [
                ("ChannelPrefix", "whatsapp"),
                ("ApiVersion", "2010-04-01"),
                ("MessageStatus", status),
                ("SmsSid", sid),
                ("SmsStatus", status),
                ("ChannelInstallSid", "XE00000000000000000000000000000000"),
                ("To", "whatsapp:+15550000001"),
                ("From", webhook::OUR_NUMBER),
                ("MessageSid", sid),
                ("AccountSid", webhook::ACCOUNT),
                ("ChannelToAddress", "+15550000001"),
            ];
            let params = params.map(|(name, value)| (name.to_owned(), value.to_owned()));
            requests.push(path, &params);
        }
        requests
    }

    fn push(&mut self, path: &str, params: &[(String, String)]) {
        let body = webhook::body(params);
        self.bytes.extend_from_slice(format!("POST {path} HTTP/1.1\r\n").as_bytes());
        for (name, value) in webhook::headers(path, params) {
            self.bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        self.bytes.extend_from_slice(format!("content-length: {}\r\n\r\n{body}", body.len()).as_bytes());
        self.ends.push(self.bytes.len());
    }

    pub fn get(&self, number: usize) -> Option<&[u8]> {
        let end = *self.ends.get(number)?;
        let start = if number == 0 { 0 } else { self.ends[number - 1] };
        Some(&self.bytes[start..end])
    }
}

/// The result of a run.
#[derive(Default)]
pub struct Run {
    /// How long each answer took, in microseconds. On each connection, in the order in which the requests were sent.
    pub latencies: Vec<u32>,
    /// The number of each request, and when the client had read its answer.
    pub acked: Vec<(usize, Instant)>,
    /// The time from the first request to the last answer.
    pub wall: Duration,
}

impl Run {
    pub fn per_second(&self) -> f64 {
        self.latencies.len() as f64 / self.wall.as_secs_f64()
    }
}

/// Sends requests as fast as `connections` connections can: each sends its next request when it has read the answer to
/// the one before. Ends after `time`, or after the last request.
pub async fn closed_loop(
    address: SocketAddr,
    connections: usize,
    requests: &Arc<Requests>,
    first: usize,
    time: Duration,
) -> Result<Run> {
    let next = Arc::new(AtomicUsize::new(first));
    let mut streams = Vec::new();
    for _ in 0..connections {
        streams.push(Connection::open(address).await?);
    }
    let began = Instant::now();
    let mut tasks = Vec::new();
    for mut connection in streams {
        let (requests, next) = (Arc::clone(requests), Arc::clone(&next));
        tasks.push(tokio::spawn(async move {
            let mut run = Run::default();
            let mut now = Instant::now();
            while now.duration_since(began) < time {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Some(request) = requests.get(number) else { break };
                connection.call(request).await?;
                let after = Instant::now();
                run.record(number, now, after);
                now = after;
            }
            run.wall = began.elapsed();
            anyhow::Ok(run)
        }));
    }
    merge_runs(tasks).await
}

/// Sends `rate` requests a second, no matter how fast the answers come. If a request had to wait for its connection,
/// its latency counts from the time at which it was due.
pub async fn constant_rate(address: SocketAddr, rate: usize, requests: &Arc<Requests>, first: usize) -> Result<Run> {
    const CONNECTIONS: usize = 32;
    let mut tasks = Vec::new();
    let mut streams = Vec::new();
    for _ in 0..CONNECTIONS {
        streams.push(Connection::open(address).await?);
    }
    let began = Instant::now() + Duration::from_millis(10);
    let period = Duration::from_secs(1) / u32::try_from(rate)?;
    for (place, mut connection) in streams.into_iter().enumerate() {
        let requests = Arc::clone(requests);
        tasks.push(tokio::spawn(async move {
            let mut run = Run::default();
            let mut number = place;
            while let Some(request) = requests.get(first + number) {
                let due = began + period * u32::try_from(number)?;
                let late = Instant::now() >= due;
                tokio::time::sleep_until(due.into()).await;
                // The timer is accurate only to a millisecond. That delay must not count as the server's latency.
                let from = if late { due } else { Instant::now() };
                connection.call(request).await?;
                run.record(first + number, from, Instant::now());
                number += CONNECTIONS;
            }
            run.wall = began.elapsed();
            anyhow::Ok(run)
        }));
    }
    merge_runs(tasks).await
}

async fn merge_runs(tasks: Vec<tokio::task::JoinHandle<Result<Run>>>) -> Result<Run> {
    let mut whole = Run::default();
    for task in tasks {
        let run = task.await??;
        whole.latencies.extend(run.latencies);
        whole.acked.extend(run.acked);
        whole.wall = whole.wall.max(run.wall);
    }
    Ok(whole)
}

impl Run {
    fn record(&mut self, number: usize, from: Instant, to: Instant) {
        let took = to.duration_since(from).as_micros();
        self.latencies.push(u32::try_from(took).unwrap_or(u32::MAX));
        self.acked.push((number, to));
    }
}

/// One keep-alive connection.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub async fn open(address: SocketAddr) -> Result<Connection> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Connection { stream, buffer: Vec::with_capacity(4096) })
    }

    /// Sends a request and reads the whole answer. Fails if the status is not 200.
    pub async fn call(&mut self, request: &[u8]) -> Result<()> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                bail!("the server closed a connection");
            }
            if message_bounds(&self.buffer).is_some_and(|(_, end)| end <= self.buffer.len()) {
                break;
            }
        }
        if !self.buffer.starts_with(b"HTTP/1.1 200 ") {
            let head = self.buffer.split(|byte| *byte == b'\n').next().unwrap_or_default();
            bail!("the server answered {}", String::from_utf8_lossy(head).trim());
        }
        Ok(())
    }
}

/// Returns where the head of a message with a Content-Length ends, and where the message ends.
pub fn message_bounds(bytes: &[u8]) -> Option<(usize, usize)> {
    let head = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let name = b"content-length:";
    let length = bytes[..head]
        .split(|byte| *byte == b'\n')
        .find(|line| line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name)))
        .and_then(|line| std::str::from_utf8(&line[name.len()..]).ok()?.trim().parse::<usize>().ok())
        .unwrap_or(0);
    Some((head, head + length))
}
