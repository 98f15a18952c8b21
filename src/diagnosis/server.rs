//! The server on this machine: `mynah serve` answers at the address that it listens on. If none runs, the check listens
//! there itself, as long as it needs to, so that a person can try the way through the proxy before the first start.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::finding::Finding;
use super::probe::{ProbeRequest, ProbeSender, Reply, Unsent, answer_probe};
use crate::app::App;
use crate::http;

const NAME: &str = "server";

/// Answers probes until it is dropped.
pub(super) struct StandIn(JoinHandle<()>);

impl Drop for StandIn {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Looks for the server. If none runs, returns a stand-in.
pub(super) async fn find(app: &Arc<App>, sender: &ProbeSender<'_>) -> (Finding, Option<StandIn>) {
    let listen = app.config.server.listen;
    let here = format!("http://{}", http::loopback_if_unspecified(listen));
    match sender.send_to(&here, &ProbeRequest::MESSAGE).await {
        Ok(Reply::Report(report, _)) => {
            let own = app.config.server.public_url.as_ref().map(|url| url.as_str().trim_end_matches('/').to_owned());
            let finding = match &report.signature_error {
                None => Finding::ok(NAME, format!("mynah serve (process {}) answers at {listen}", report.process)),
                Some(_) if report.public_url != own => Finding::failed(
                    NAME,
                    format!(
                        "mynah serve (process {}) runs with MYNAH_PUBLIC_URL {}, and this check with {}",
                        report.process,
                        report.public_url.as_deref().unwrap_or("not set"),
                        own.as_deref().unwrap_or("not set")
                    ),
                    "restart `mynah serve`, or run this check with the same settings",
                ),
                Some(why) => Finding::failed(
                    NAME,
                    format!(
                        "mynah serve (process {}) does not accept what this check signs with the auth token: {why}",
                        report.process
                    ),
                    "restart `mynah serve`, or run this check with the same settings",
                ),
            };
            (finding, None)
        }
        Ok(Reply::OtherInstallation(id)) => {
            (other_program(listen, &format!("another mynah (installation {id})")), None)
        }
        Err(Unsent::Refused) => match StandIn::start(app, listen).await {
            Ok(stand_in) => {
                let found = format!("mynah serve is not running; this command answers at {listen} in its place");
                (Finding::skipped(NAME, found), Some(stand_in))
            }
            Err(error) => {
                let remedy = "set MYNAH_LISTEN to an address of this machine and a free port";
                (Finding::failed(NAME, format!("nothing can listen on {listen}: {error}"), remedy), None)
            }
        },
        Ok(_) | Err(_) => (other_program(listen, "another program"), None),
    }
}

fn other_program(listen: SocketAddr, who: &str) -> Finding {
    let remedy = "stop it, or set MYNAH_LISTEN to a free port and let the proxy lead there";
    Finding::failed(NAME, format!("{who} answers at {listen}"), remedy)
}

impl StandIn {
    async fn start(app: &Arc<App>, listen: SocketAddr) -> io::Result<StandIn> {
        let listener = TcpListener::bind(listen).await?;
        let routes = Router::new().fallback(answer).with_state(Arc::clone(app));
        Ok(StandIn(tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, routes).await {
                tracing::warn!(%error, "the check can no longer listen");
            }
        })))
    }
}

/// Answers probes. A real webhook is put off: with our connection overrides, Twilio tries again.
async fn answer(State(app): State<Arc<App>>, request: Request) -> Response {
    match answer_probe(&app, request, true).await {
        Ok(answer) => answer,
        Err(_) => {
            (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "10")], "mynah serve is not running\n").into_response()
        }
    }
}
