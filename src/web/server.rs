//! The accept loop. `axum::serve` has no timeouts, so this uses hyper directly.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tower::Service;
use tracing::{debug, info, warn};

use super::SecurityHeaders;
use super::client_address::Peer;
use super::connection::{Connection, RequestPhase};

/// How long a connection may be idle between two requests. This is longer than a proxy keeps its idle connections
/// (nginx: 60 s), so that the proxy closes first.
const IDLE: Duration = Duration::from_secs(120);

/// The most connections at once. Further ones wait in the kernel's queue instead of using up all file descriptors.
const MAX_CONNECTIONS: usize = 2048;

/// How long requests in progress may continue after a stop.
const GRACE: Duration = Duration::from_secs(10);

/// Serves until `stop`, then waits up to ten seconds for requests in progress.
pub async fn serve(listener: TcpListener, routes: Router, headers: SecurityHeaders, stop: CancellationToken) {
    serve_with(Arc::new(Semaphore::new(MAX_CONNECTIONS)), listener, routes, headers, stop).await;
}

async fn serve_with(
    connection_slots: Arc<Semaphore>,
    listener: TcpListener,
    routes: Router,
    headers: SecurityHeaders,
    stop: CancellationToken,
) {
    let graceful = GracefulShutdown::new();
    loop {
        // A stop also ends the wait for a free slot, which may take long if all are in use.
        let accepted = tokio::select! {
            accepted = accept_next(&connection_slots, &listener) => accepted,
            () = stop.cancelled() => break,
        };
        let (place, stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, or a connection that was gone before it was accepted.
                warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        // Responses are small and written at once. Nagle's algorithm would only delay them.
        drop(stream.set_nodelay(true));
        let phase = RequestPhase::default();
        let (router, request_phase) = (routes.clone(), phase.clone());
        let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
            request_phase.begin_request();
            request.extensions_mut().insert(peer);
            let (answer, inside) = (router.clone().call(request), request_phase.clone());
            async move {
                let answer = answer.await;
                inside.end_request();
                answer
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(IDLE)
            .max_headers(100)
            .serve_connection(TokioIo::new(Connection::new(stream, phase, headers.clone())), service);
        let watched = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = watched.await {
                debug!(%error, "a connection ended early");
            }
            drop(place);
        });
    }
    drop(listener);
    if graceful.count() > 0 {
        info!(connections = graceful.count(), "waiting for requests in progress");
    }
    if tokio::time::timeout(GRACE, graceful.shutdown()).await.is_err() {
        warn!("some requests did not finish in time");
    }
}

/// Accepts the next connection once a slot is free.
async fn accept_next(
    connection_slots: &Arc<Semaphore>,
    listener: &TcpListener,
) -> io::Result<(OwnedSemaphorePermit, TcpStream, Peer)> {
    let place = Arc::clone(connection_slots).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    Ok((place, stream, Peer(peer.ip())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ServerConfig;

    #[tokio::test]
    async fn a_stop_ends_the_wait_for_a_place() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (full, stop) = (Arc::new(Semaphore::new(0)), CancellationToken::new());
        let listen = "127.0.0.1:0".parse().unwrap();
        let headers =
            SecurityHeaders::from_config(&ServerConfig { listen, public_url: None, trusted_proxies: Vec::new() });
        let server = tokio::spawn(serve_with(full, listener, Router::new(), headers, stop.clone()));
        // This task continues only once the server can do nothing but wait.
        tokio::task::yield_now().await;
        stop.cancel();
        // A paused clock jumps to the next timer once nothing else can run, so a server that hangs fails the test at
        // once.
        tokio::time::pause();
        tokio::time::timeout(GRACE * 2, server).await.expect("it ends").unwrap();
    }
}
