//! The bare servers that mynah is compared with, each in a process of its own: this executable, started with `bare` and
//! the name of the server. They are written in the simplest way.

use std::convert::Infallible;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rusqlite::Connection;
use sha1::Sha1;
use tokio::sync::oneshot;

use super::webhook::{PUBLIC_URL, TOKEN};

/// A row to store, and the sender that reports its commit to the waiting request.
type QueuedRow = (Row, oneshot::Sender<()>);

struct Row {
    sid: String,
    body: Bytes,
}

/// Serves until it is killed. Prints its address to stdout. If there is a folder, stores a row for each webhook in it.
pub fn run(folder: Option<&Path>) -> Result<()> {
    let writer = match folder {
        Some(folder) => {
            let connection = open(&folder.join("bare.db"))?;
            let (jobs, waiting) = channel();
            std::thread::spawn(move || write(&connection, &waiting).expect("the bare server's database works"));
            Some(jobs)
        }
        None => None,
    };
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async move {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let writer = writer.clone();
            let service = service_fn(move |request| answer(request, writer.clone()));
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    })
}

fn open(path: &Path) -> Result<Connection> {
    let connection = Connection::open(path)?;
    connection.execute_batch(
        "PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         CREATE TABLE messages (id INTEGER PRIMARY KEY, sid TEXT NOT NULL UNIQUE, body BLOB NOT NULL);",
    )?;
    Ok(connection)
}

/// Commits in groups: stores all waiting rows, at most 256, in one transaction.
fn write(connection: &Connection, waiting: &Receiver<QueuedRow>) -> Result<()> {
    let mut stored = Vec::new();
    while let Ok(first) = waiting.recv() {
        connection.execute_batch("BEGIN IMMEDIATE")?;
        let mut next = Some(first);
        while let Some((row, done)) = next.take() {
            connection
                .prepare_cached("INSERT INTO messages (sid, body) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
                .execute((row.sid, &row.body[..]))?;
            stored.push(done);
            if stored.len() < 256 {
                next = waiting.try_recv().ok();
            }
        }
        connection.execute_batch("COMMIT")?;
        // Sending fails if the client has closed its connection, which does not matter: the row is stored.
        stored.drain(..).for_each(|done| done.send(()).unwrap_or_default());
    }
    Ok(())
}

async fn answer(
    request: Request<Incoming>,
    writer: Option<Sender<QueuedRow>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let status = match check_and_store(request, writer).await {
        Some(true) => StatusCode::OK,
        Some(false) => StatusCode::FORBIDDEN,
        None => StatusCode::BAD_REQUEST,
    };
    let mut response = Response::new(Full::new(Bytes::from_static(b"<Response/>")));
    *response.status_mut() = status;
    Ok(response)
}

async fn check_and_store(request: Request<Incoming>, writer: Option<Sender<QueuedRow>>) -> Option<bool> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.ok()?.to_bytes();
    let mut pairs: Vec<_> = url::form_urlencoded::parse(&body).collect();
    pairs.sort_unstable();
    let mut code = Hmac::<Sha1>::new_from_slice(TOKEN.as_bytes()).ok()?;
    code.update(PUBLIC_URL.as_bytes());
    code.update(head.uri.path().as_bytes());
    for (name, value) in &pairs {
        code.update(name.as_bytes());
        code.update(value.as_bytes());
    }
    let given = STANDARD.decode(head.headers.get("x-twilio-signature")?).ok()?;
    if code.verify_slice(&given).is_err() {
        return Some(false);
    }
    if let Some(writer) = writer {
        let sid = pairs.iter().find(|(name, _)| name == "MessageSid")?.1.clone().into_owned();
        drop(pairs);
        let (done, stored) = oneshot::channel();
        writer.send((Row { sid, body }, done)).ok()?;
        stored.await.ok()?;
    }
    Some(true)
}

/// Parses the address that a bare server prints.
pub fn address(line: &str) -> Result<std::net::SocketAddr> {
    line.trim().parse().with_context(|| format!("a bare server printed {line:?}, which is not an address"))
}
