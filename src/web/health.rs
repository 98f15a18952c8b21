//! For monitors.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::app::App;

/// The process serves.
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// 200 while messages can be stored, 503 while they cannot. What is not configured is told, but does not make it 503:
/// messages are accepted and wait, and a proxy that stopped sending them here would lose them.
pub(super) async fn readyz(State(app): State<Arc<App>>) -> Response {
    let trouble = app.store.trouble();
    let backlog = match &trouble {
        None => app.store.backlog().await.map_err(|error| error.to_string()),
        Some(why) => Err(why.clone()),
    };
    let twilio = app.main().channel.is_some();
    let ai = app.main().assistants.first().map(|assistant| assistant.provider.name());
    let now = app.clock.now();
    let (status, database, queue) = match backlog {
        Ok(backlog) => {
            let oldest = backlog.oldest_due.map(|due| now.since(due).as_secs());
            let queue = json!({ "waiting": backlog.waiting, "oldest_waiting_seconds": oldest });
            (StatusCode::OK, "ok".to_owned(), queue)
        }
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, why, json!(null)),
    };
    let configured = twilio && ai.is_some();
    let word = match (status, configured) {
        (StatusCode::OK, true) => "ready",
        (StatusCode::OK, false) => "not configured: messages are accepted and wait",
        _ => "degraded",
    };
    let body = json!({
        "status": word,
        "database": database,
        "cache": app.cache.name(),
        "queue": queue,
        "configured": configured,
        "twilio": if twilio { "configured" } else { "not configured: set TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN and a sender" },
        "ai": ai.unwrap_or("not configured: set MYNAH_AI_PROVIDER, OPENAI_API_KEY or ANTHROPIC_API_KEY"),
    });
    (status, Json(body)).into_response()
}
