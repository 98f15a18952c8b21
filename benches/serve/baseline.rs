//! The bare servers that mynah is compared with, each in a process of its own: this executable, called with `bare` and
//! what it shall do. Written plainly, as anybody would.

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

/// A row that waits to be stored, and who waits for it.
type QueuedRow = (Row, oneshot::Sender<()>);

struct Row {
    sid: String,
    body: Bytes,
}

/// Serves until killed; tells its port on stdout. With a folder it stores a row for each webhook there.
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

/// Group commit: whatever waits is stored in one transaction.
fn write(connection: &Connection, waiting: &Receiver<QueuedRow>) -> Result<()> {
    let mut told = Vec::new();
    while let Ok(first) = waiting.recv() {
        connection.execute_batch("BEGIN IMMEDIATE")?;
        let mut next = Some(first);
        while let Some((row, tell)) = next.take() {
            connection
                .prepare_cached("INSERT INTO messages (sid, body) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
                .execute((row.sid, &row.body[..]))?;
            told.push(tell);
            if told.len() < 256 {
                next = waiting.try_recv().ok();
            }
        }
        connection.execute_batch("COMMIT")?;
        // A client that went away is told nothing.
        told.drain(..).for_each(|tell| tell.send(()).unwrap_or_default());
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
        let (tell, told) = oneshot::channel();
        writer.send((Row { sid, body }, tell)).ok()?;
        told.await.ok()?;
    }
    Some(true)
}

/// Reads the address that a bare server tells.
pub fn address(line: &str) -> Result<std::net::SocketAddr> {
    line.trim().parse().with_context(|| format!("a bare server told {line:?} as its address"))
}
