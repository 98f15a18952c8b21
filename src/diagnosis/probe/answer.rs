//! Answers probes, in `serve` and, where no `serve` runs, in `check` itself.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, TRANSFER_ENCODING};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use serde_json::json;

use super::pass::{HEADER, Pass};
use super::report::ProbeReport;
use crate::app::App;
use crate::model::WebhookRequest;

/// The largest body of a probe, in bytes, and how long it may take to arrive.
const BODY_LIMIT: usize = 16 * 1024;
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// The member of an answer that tells the id of another installation.
pub(super) const INSTALLATION_MEMBER: &str = "mynah_installation";

/// Answers the probes of this installation, whatever their address. Every other request goes on unchanged.
pub async fn answer_probes(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    if !request.headers().contains_key(HEADER) {
        return next.run(request).await;
    }
    match answer_probe(&app, request, false).await {
        Ok(answer) => answer,
        Err(request) => next.run(request).await,
    }
}

/// Answers a probe. The error is the request if it is none. `stand_in` says that `check` answers, because no `serve`
/// runs.
pub(in crate::diagnosis) async fn answer_probe(
    app: &App,
    request: Request,
    stand_in: bool,
) -> Result<Response, Request> {
    let pass = request.headers().get(HEADER).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let (Some(pass), Some(key)) = (pass, &app.probe_key) else { return Err(request) };
    let nonce = Pass::verified_nonce(&pass, key, app.clock.now());
    // Somebody without a pass may have one of another installation. Only the provider's signature proves that.
    let could_be_signed = request.uri().path().starts_with("/webhooks/");
    if nonce.is_none() && !could_be_signed {
        return Err(request);
    }
    let (head, body) = request.into_parts();
    let body = match tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, BODY_LIMIT).collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        // The header is not a secret, so anybody may send it with a body that is too large or late.
        _ => return Ok(StatusCode::BAD_REQUEST.into_response()),
    };
    let delivery = webhook_request(&head, body.clone());
    let signature = verify_signature(app, &delivery);
    let Some(nonce) = nonce else {
        return match signature {
            Ok(()) => Ok(tell_installation(key.installation())),
            Err(_) => Err(Request::from_parts(head, Body::from(body))),
        };
    };
    let report = ProbeReport {
        method: head.method.to_string(),
        version: format!("{:?}", head.version),
        target: delivery.path_and_query.clone(),
        content_type: header(&head.headers, &CONTENT_TYPE),
        transfer_encoding: header(&head.headers, &TRANSFER_ENCODING),
        forwarded_for: all_values(&head.headers, "x-forwarded-for"),
        signature_error: signature.err(),
        public_url: app.config.server.public_url.as_ref().map(|url| url.as_str().trim_end_matches('/').to_owned()),
        ..ProbeReport::of_this_process(stand_in)
    };
    let sealed = report.with_body(&body).seal(key, nonce);
    Ok(([(CONTENT_TYPE, "application/json")], sealed).into_response())
}

/// Returns why the signature does not hold for any of our numbers.
fn verify_signature(app: &App, delivery: &WebhookRequest) -> Result<(), String> {
    let mut why = "no number has an account".to_owned();
    for channel in app.channels() {
        match channel.verify(delivery) {
            Ok(()) => return Ok(()),
            Err(refusal) => why = refusal.to_string(),
        }
    }
    Err(why)
}

fn tell_installation(id: &str) -> Response {
    (StatusCode::CONFLICT, axum::Json(json!({ INSTALLATION_MEMBER: id }))).into_response()
}

fn webhook_request(head: &Parts, body: Bytes) -> WebhookRequest {
    let headers = head.headers.iter();
    WebhookRequest {
        path_and_query: head.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
        headers: headers
            .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect(),
        body,
    }
}

fn header(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

fn all_values(headers: &HeaderMap, name: &str) -> Vec<String> {
    headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect()
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
