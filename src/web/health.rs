//! Health checks for monitors: `/healthz` and `/readyz`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::app::{App, Number};

/// Answers 200 as long as the process serves requests.
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// Answers 200 as long as mynah can store messages, else 503.
///
/// A missing model does not cause a 503. Messages to that sender are accepted and wait, and a proxy that stopped
/// sending them here would lose them.
///
/// `status` is not accurate in two cases, in which mynah refuses every webhook with 403 and the code is still 200:
///
/// - If no number has a sender, it is `not configured: messages are accepted and wait`.
/// - If `MYNAH_PUBLIC_URL` is not set, it is `ready`, as long as all numbers with a sender have a model.
///
/// Its values stay as they are, because monitors may compare them.
pub(super) async fn readyz(State(app): State<Arc<App>>) -> Response {
    let trouble = app.store.write_error();
    let backlog = match &trouble {
        None => app.store.backlog().await.map_err(|error| error.to_string()),
        Some(why) => Err(why.clone()),
    };
    let configured_parts = |number: &Number| {
        let ai = number.assistants.first().map(|assistant| assistant.provider.name().to_owned());
        (number.channel.is_some(), ai)
    };
    let ai = configured_parts(app.main_number()).1;
    let twilio = app.channels().next().is_some();
    let now = app.clock.now();
    let (status, database, queue) = match backlog {
        Ok(backlog) => {
            let oldest = backlog.oldest_due.map(|due| now.since(due).as_secs());
            let queue = json!({ "waiting": backlog.waiting, "oldest_waiting_seconds": oldest });
            (StatusCode::OK, "ok".to_owned(), queue)
        }
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, why, json!(null)),
    };
    // A number without a sender needs no model: the main configuration may only hold what other numbers share.
    let mut senders = app.numbers.iter().filter(|number| number.channel.is_some());
    let configured = twilio && senders.all(|number| !number.assistants.is_empty());
    let status_text = match (status, configured) {
        (StatusCode::OK, true) => "ready",
        (StatusCode::OK, false) => "not configured: messages are accepted and wait",
        _ => "degraded",
    };
    let mut body = json!({
        "status": status_text,
        "database": database,
        "cache": app.cache.name(),
        "queue": queue,
        "configured": configured,
        "twilio": if twilio { "configured" } else { "not configured: set TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN and a sender" },
        "ai": ai.as_deref().unwrap_or("not configured: set MYNAH_AI_PROVIDER, OPENAI_API_KEY or ANTHROPIC_API_KEY"),
    });
    if app.number_directory.has_several() {
        let numbers = app.numbers.iter().map(|number| {
            let (twilio, ai) = configured_parts(number);
            json!({ "name": number.config.name, "twilio": twilio, "ai": ai })
        });
        body["numbers"] = numbers.collect();
    }
    (status, Json(body)).into_response()
}
