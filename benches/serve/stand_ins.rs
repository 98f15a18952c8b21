//! Stand-ins for Twilio and for a model with the Chat Completions API, on one socket and one thread. They answer at
//! once and on bare sockets, because they share the machine with the servers that are measured.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::load_generator::message_bounds;
use super::webhook;

/// The most senders in any run.
const SENDERS: usize = 16_384;

/// The model's answer: a typical one, with the markup that models write.
const ANSWER: &str = "Yes, we have a table for four **by the window** on Friday. Which time suits you best?\\n\\n- 18:30\\n\
                      - 19:15\\n- 20:45\\n\\nPlease tell me the name for the booking as well, and whether anyone in your \
                      group has an allergy. We keep the table for *15 minutes*; if you are running late, just write here.";

/// Both stand-ins.
#[derive(Clone)]
pub struct StandIn {
    pub address: SocketAddr,
    seen: Arc<Observations>,
}

struct Observations {
    start: Instant,
    posts: AtomicUsize,
    typing: AtomicUsize,
    completions: AtomicUsize,
    /// The microseconds from `start` to the last post to each sender; 0 if there is none.
    arrivals: Vec<AtomicU64>,
    /// The path and query of each status callback and the id of its message. Kept only after
    /// [`StandIn::keep_callbacks`].
    callbacks: Mutex<Option<Vec<(String, String)>>>,
    sid: AtomicU64,
}

impl StandIn {
    /// Starts both stand-ins on a thread of their own.
    pub fn start() -> Result<StandIn> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let seen = Arc::new(Observations {
            start: Instant::now(),
            posts: AtomicUsize::new(0),
            typing: AtomicUsize::new(0),
            completions: AtomicUsize::new(0),
            arrivals: (0..SENDERS).map(|_| AtomicU64::new(0)).collect(),
            callbacks: Mutex::default(),
            sid: AtomicU64::new(0),
        });
        let inside = Arc::clone(&seen);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name("stand-ins".into()).spawn(move || {
            runtime.block_on(async move {
                let listener = TcpListener::from_std(listener).expect("tokio accepts the listener");
                while let Ok((stream, _)) = listener.accept().await {
                    drop(stream.set_nodelay(true));
                    tokio::spawn(serve_connection(stream, Arc::clone(&inside)));
                }
            });
        })?;
        Ok(StandIn { address, seen })
    }

    /// Resets the counts and the arrivals.
    pub fn clear(&self) {
        let seen = &self.seen;
        for count in [&seen.posts, &seen.typing, &seen.completions] {
            count.store(0, Ordering::Relaxed);
        }
        for arrival in &seen.arrivals {
            arrival.store(0, Ordering::Relaxed);
        }
    }

    /// Returns the number of messages posted to contacts.
    pub fn posts(&self) -> usize {
        self.seen.posts.load(Ordering::Relaxed)
    }

    /// Returns the number of typing indicators requested.
    pub fn typing(&self) -> usize {
        self.seen.typing.load(Ordering::Relaxed)
    }

    /// Returns when the last message to the sender arrived.
    pub fn arrival(&self, sender: usize) -> Option<Instant> {
        match self.seen.arrivals[sender].load(Ordering::Relaxed) {
            0 => None,
            micros => Some(self.seen.start + Duration::from_micros(micros)),
        }
    }

    /// Starts to keep the status callbacks that posts ask for.
    pub fn keep_callbacks(&self) {
        *self.seen.callbacks.lock().expect("no thread panics while it holds the lock") = Some(Vec::new());
    }

    /// Returns the path and query of each status callback with the id of its message, and stops keeping them.
    pub fn callbacks(&self) -> Vec<(String, String)> {
        self.seen.callbacks.lock().expect("no thread panics while it holds the lock").take().unwrap_or_default()
    }

    /// Waits until `posts` messages were posted.
    pub async fn wait_for(&self, posts: usize) -> Result<()> {
        let began = Instant::now();
        while self.posts() < posts {
            if began.elapsed() > Duration::from_secs(120) {
                bail!("only {} of {posts} messages were answered within two minutes", self.posts());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }
}

async fn serve_connection(mut stream: TcpStream, seen: Arc<Observations>) -> Result<()> {
    let mut buffer = Vec::with_capacity(8192);
    loop {
        while let Some((head, end)) = message_bounds(&buffer).filter(|(_, end)| *end <= buffer.len()) {
            let answer = answer(&buffer[..end], head, &seen).context("the stand-ins do not know this request")?;
            stream.write_all(answer.as_bytes()).await?;
            buffer.drain(..end);
        }
        if stream.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
    }
}

fn answer(request: &[u8], head: usize, seen: &Observations) -> Option<String> {
    let body = if request.starts_with(b"POST /v1/chat/completions ") {
        seen.completions.fetch_add(1, Ordering::Relaxed);
        let body = format!(
            r#"{{"id":"chatcmpl-1","object":"chat.completion","created":1760000000,"model":"bench","choices":[{{"index":0,"message":{{"role":"assistant","content":"{ANSWER}"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":212,"completion_tokens":96,"total_tokens":308}}}}"#
        );
        return Some(response("200 OK", &body));
    } else if request.starts_with(b"POST /v2/Indicators/Typing.json ") {
        seen.typing.fetch_add(1, Ordering::Relaxed);
        r#"{"success":true}"#.to_owned()
    } else if request.starts_with(b"POST /2010-04-01/") {
        let sid = format!("SM{:032x}", seen.sid.fetch_add(1, Ordering::Relaxed) | 1 << 60);
        record_message(std::str::from_utf8(&request[head..]).ok()?, &sid, seen)?;
        created_response(&sid)
    } else {
        return None;
    };
    Some(response("201 Created", &body))
}

/// Records the arrival of a message.
fn record_message(form: &str, sid: &str, seen: &Observations) -> Option<()> {
    let to = form.split('&').find_map(|pair| pair.strip_prefix("To=whatsapp%3A%2B1555"))?;
    let micros = u64::try_from(seen.start.elapsed().as_micros()).ok()?;
    seen.arrivals.get(to.parse::<usize>().ok()?)?.store(micros.max(1), Ordering::Relaxed);
    if let Some(callbacks) = &mut *seen.callbacks.lock().ok()? {
        let fields = url::form_urlencoded::parse(form.as_bytes());
        let wanted = fields.into_iter().find(|(name, _)| name == "StatusCallback")?.1;
        callbacks.push((wanted.strip_prefix(webhook::PUBLIC_URL)?.to_owned(), sid.to_owned()));
    }
    seen.posts.fetch_add(1, Ordering::Relaxed);
    Some(())
}

/// Returns Twilio's response for a message, of about the size of a real one.
fn created_response(sid: &str) -> String {
    let account = webhook::ACCOUNT;
    format!(
        r#"{{"account_sid":"{account}","api_version":"2010-04-01","body":"Yes, we have a table for four by the window on Friday.","date_created":"Sun, 01 Nov 2026 12:00:00 +0000","date_sent":null,"date_updated":"Sun, 01 Nov 2026 12:00:00 +0000","direction":"outbound-api","error_code":null,"error_message":null,"from":"whatsapp:+14155238886","messaging_service_sid":null,"num_media":"0","num_segments":"1","price":null,"price_unit":null,"sid":"{sid}","status":"queued","subresource_uris":{{"media":"/2010-04-01/Accounts/{account}/Messages/{sid}/Media.json"}},"to":"whatsapp:+15550000001","uri":"/2010-04-01/Accounts/{account}/Messages/{sid}.json"}}"#
    )
}

fn response(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}
