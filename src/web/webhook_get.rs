//! A GET at the address for webhooks, by a person, a monitor, or a Twilio that is not set up as it should be.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use tracing::warn;

use super::client_address;
use crate::app::App;
use crate::model::Rate;

/// How often the log mentions that a client calls the address with GET.
const GET_LOG_RATE: Rate = Rate { max_calls: NonZeroU32::MIN, period: Duration::from_secs(3600) };

/// Answers a GET. A person or a monitor sees that the address is right. Twilio gets an empty response: it calls with GET
/// if it is told so or was redirected, and would send any other text to the contact. The message is lost, so the log says
/// it.
pub(super) async fn answer(State(app): State<Arc<App>>, request: Request) -> Response {
    let (head, _) = request.into_parts();
    let client = client_address::client_of(&head, &app.config.server.trusted_proxies);
    let key = client.map(client_address::rate_limit_key);
    let key = key.as_deref().unwrap_or("unknown");
    // A monitor may ask each minute.
    if app.refusal_cache.take_from_rate(&format!("get {key}"), GET_LOG_RATE).await.is_ok() {
        warn!(
            client = client.map(tracing::field::display),
            "the webhook address was called with GET, which brings no message; if this was Twilio, set the sender's webhook \
             to POST and to this address itself, not to one that redirects here"
        );
    }
    let body = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- This is the address for Twilio's webhooks. Twilio calls it \
                with POST. -->\n<Response/>\n";
    ([(CONTENT_TYPE, "text/xml")], body).into_response()
}
