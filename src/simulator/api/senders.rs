//! The Senders API: the account's one WhatsApp sender (Twilio, OpenAPI `messaging_v2`).

use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::Params;
use super::errors::ApiError;
use crate::simulator::sender::WEBHOOK_FIELDS;
use crate::simulator::{Simulator, lock};

/// The members of an update.
const UPDATE_FIELDS: [&str; 4] = ["friendly_name", "configuration", "webhook", "profile"];

pub(super) async fn list(
    State(simulator): State<Simulator>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    simulator.authorize(&headers, None)?;
    let params = Params::parse(query.unwrap_or_default().as_bytes());
    let channel = params.get("Channel").ok_or_else(|| ApiError::bad_request(20422, "Channel is required"))?;
    let size = params.get("PageSize").map_or(Ok(20), str::parse::<usize>);
    let size = size.ok().filter(|size| (1..=1000).contains(size));
    let size = size.ok_or_else(|| ApiError::bad_request(20422, "PageSize must be a number from 1 to 1000"))?;
    let sender = lock(&simulator.inner.sender).clone();
    let listed = channel == "whatsapp" && !sender.state.is_empty();
    let senders: Vec<_> =
        listed.then(|| sender.json(&simulator.inner.install_sid, &simulator.our_address())).into_iter().collect();
    let url = format!("https://messaging.twilio.com/v2/Channels/Senders?PageSize={size}&Page=0&Channel={channel}");
    let meta = json!({
        "page": 0,
        "page_size": size,
        "first_page_url": url,
        "previous_page_url": null,
        "url": url,
        "next_page_url": null,
        "key": "senders",
    });
    Ok(axum::Json(json!({ "senders": senders, "meta": meta })).into_response())
}

pub(super) async fn fetch(
    State(simulator): State<Simulator>,
    Path(sid): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    simulator.authorize(&headers, None)?;
    resource(&simulator, &sid).map(|sender| axum::Json(sender).into_response())
}

pub(super) async fn update(
    State(simulator): State<Simulator>,
    Path(sid): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    simulator.authorize(&headers, None)?;
    resource(&simulator, &sid)?;
    let update: Map<String, Value> =
        serde_json::from_slice(&body).map_err(|_| ApiError::bad_request(20422, "The body must be a JSON object"))?;
    if let Some(unknown) = update.keys().find(|name| !UPDATE_FIELDS.contains(&name.as_str())) {
        return Err(ApiError::bad_request(20422, format!("Unknown field {unknown}")));
    }
    if let Some(webhook) = update.get("webhook").filter(|webhook| !webhook.is_null()) {
        lock(&simulator.inner.sender).webhook = checked_webhook(webhook)?;
    }
    resource(&simulator, &sid).map(|sender| (StatusCode::ACCEPTED, axum::Json(sender)).into_response())
}

/// Checks the webhook object of an update.
fn checked_webhook(webhook: &Value) -> Result<Map<String, Value>, ApiError> {
    let refused = |why: String| ApiError::bad_request(20422, why);
    let webhook = webhook.as_object().ok_or_else(|| refused("webhook must be an object".to_owned()))?;
    for (name, value) in webhook {
        if !WEBHOOK_FIELDS.contains(&name.as_str()) {
            return Err(refused(format!("Unknown field webhook.{name}")));
        }
        let valid = match (name.as_str(), value) {
            (_, Value::Null) => true,
            ("callback_method" | "fallback_method", Value::String(method)) => matches!(method.as_str(), "POST" | "PUT"),
            (_, Value::String(_)) => true,
            _ => false,
        };
        if !valid {
            return Err(refused(format!("webhook.{name} is not valid")));
        }
    }
    Ok(webhook.clone())
}

fn resource(simulator: &Simulator, sid: &str) -> Result<Value, ApiError> {
    let sender = lock(&simulator.inner.sender).clone();
    if sid != simulator.inner.install_sid || sender.state.is_empty() {
        return Err(ApiError::not_found(&format!("/v2/Channels/Senders/{sid}")));
    }
    Ok(sender.json(sid, &simulator.our_address()))
}
