//! The accept loop: `axum::serve` has no time-outs, so this one does it with hyper.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower::Service;
use tracing::{debug, info, warn};

use super::connection::{Connection, Phase};

/// How long a connection may be idle between two requests. Longer than a proxy keeps its own (nginx: 60 s), so that
/// the proxy is the one that closes.
const IDLE: Duration = Duration::from_secs(120);

/// Connections at once; a flood waits in the kernel's queue instead of taking all file descriptors.
const CONNECTIONS: usize = 2048;

/// How long requests in progress may go on after a stop.
const GRACE: Duration = Duration::from_secs(10);

/// Serves until `stop`, then lets requests in progress end.
pub async fn serve(listener: TcpListener, routes: Router, stop: CancellationToken) {
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let (stream, _peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, or a connection that was gone before it was accepted.
                    warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
            () = stop.cancelled() => break,
        };
        // Answers are small and whole; waiting for more to send would only delay them.
        drop(stream.set_nodelay(true));
        let phase = Phase::default();
        let (router, inside) = (routes.clone(), phase.clone());
        let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
            inside.begun();
            let (answer, inside) = (router.clone().call(request), inside.clone());
            async move {
                let answer = answer.await;
                inside.ended();
                answer
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(IDLE)
            .max_headers(100)
            .serve_connection(TokioIo::new(Connection::new(stream, phase)), service);
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
        warn!("some requests did not end in time");
    }
}
