//! The web server, with every route in one table.
//!
//! To add a page, add a handler in a file of its own and a line in [`routes`].

mod admin;
mod client_address;
mod connection;
mod headers;
mod health;
mod media_files;
mod metrics;
mod server;
mod webhook;
mod webhook_get;
mod webhook_signature;

use std::sync::Arc;

use axum::extract::{FromRef, Request};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Router, middleware};

use crate::app::{App, LiveApp};
use crate::diagnosis;

pub use self::admin::{AdminRoute, admin_routes};
pub use self::headers::SecurityHeaders;
pub use self::server::serve;

/// The largest request body, in bytes.
pub const BODY_LIMIT: usize = 64 * 1024;

/// Builds the routes. `extra` contains pages that only some commands serve, such as the demo's phone.
pub fn routes(app: impl Into<LiveApp>, extra: Router) -> Router {
    let app = app.into();
    let headers = SecurityHeaders::of_current(app.clone());
    Router::new()
        .route("/webhooks/twilio", get(webhook_get::answer).post(webhook::twilio))
        .route("/webhooks/twilio/status", post(webhook::twilio))
        .route("/media/{reference}", get(media_files::serve_file))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(metrics::serve_metrics))
        .merge(admin::router(&app))
        .with_state(app.clone())
        .merge(extra)
        .fallback({
            let app = app.clone();
            move |request| not_found(app.clone(), request)
        })
        .method_not_allowed_fallback(method_not_allowed)
        // Before the routes: a proxy may have changed the address of a probe.
        .layer(middleware::from_fn_with_state(app, diagnosis::answer_probes))
        .layer(tower_http::catch_panic::CatchPanicLayer::custom(panic_response))
        .layer(middleware::from_fn_with_state(headers, headers::add_security_headers))
}

/// Each request takes one snapshot of the app.
impl FromRef<LiveApp> for Arc<App> {
    fn from_ref(app: &LiveApp) -> Arc<App> {
        app.current()
    }
}

/// The address of the server leads to the admin page, and tells nothing else. (The demo has a page of its own there.)
async fn not_found(app: LiveApp, request: Request) -> Response {
    if request.uri().path() == "/" && app.current().config.admin.enabled {
        return Redirect::to("/admin").into_response();
    }
    (StatusCode::NOT_FOUND, format!("there is nothing at {}\n", request.uri().path())).into_response()
}

async fn method_not_allowed(request: Request) -> Response {
    let text = format!("{} does not answer {}\n", request.uri().path(), request.method());
    (StatusCode::METHOD_NOT_ALLOWED, text).into_response()
}

fn panic_response(panic: Box<dyn std::any::Any + Send>) -> Response {
    let what = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("unknown panic");
    tracing::error!(what, "a request handler panicked");
    (StatusCode::INTERNAL_SERVER_ERROR, "internal error; see the log of mynah\n").into_response()
}
