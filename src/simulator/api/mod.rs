//! A REST API like Twilio's (Twilio, "Messages resource", "Typing indicators resource" and "Senders API").

mod create;
mod errors;
mod list;
mod senders;
#[cfg(test)]
mod tests;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::header::{AUTHORIZATION, DATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret;
use serde_json::json;
use subtle::ConstantTimeEq;
use url::form_urlencoded;

use self::errors::{ApiError, faulty_response};
use super::fault_injection::{ApiCall, increment};
use super::message_log::http_date;
use super::{Simulator, lock};
use crate::clock::Time;

/// How long the typing indicator is shown if no message follows.
const TYPING_DURATION: std::time::Duration = std::time::Duration::from_secs(25);

pub(super) fn router(simulator: Simulator) -> Router {
    Router::new()
        .route("/2010-04-01/Accounts/{account}/Messages.json", get(list_messages).post(send_message))
        .route("/2010-04-01/Accounts/{account}/Messages/{file}", get(get_message))
        .route("/v2/Indicators/Typing.json", post(show_typing))
        .route("/v2/Channels/Senders", get(senders::list))
        .route("/v2/Channels/Senders/{sid}", get(senders::fetch).post(senders::update))
        .fallback(|| async { ApiError::not_found("this path") })
        .layer(axum::middleware::map_response_with_state(simulator.clone(), add_date))
        .with_state(simulator)
}

/// Dates the response by the simulator's clock, by which its messages are dated too.
async fn add_date(State(simulator): State<Simulator>, mut response: Response) -> Response {
    let date = http_date(simulator.now());
    response.headers_mut().insert(DATE, HeaderValue::try_from(date).expect("a date is ASCII"));
    response
}

/// Parameters of a form or a query, in the order received.
struct Params(Vec<(String, String)>);

impl Params {
    fn parse(bytes: &[u8]) -> Params {
        Params(form_urlencoded::parse(bytes).into_owned().collect())
    }

    /// Returns the first value of that name that is not empty.
    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    /// Returns all values of that name that are not empty.
    fn all<'a>(&'a self, name: &'static str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }
}

impl Simulator {
    /// Checks that the caller may use this account, by the account's SID and auth token or by the API key.
    fn authorize(&self, headers: &HeaderMap, account: Option<&str>) -> Result<(), ApiError> {
        let config = &self.inner.config;
        let given = headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok()?.strip_prefix("Basic "))
            .and_then(|text| STANDARD.decode(text).ok());
        let known = |user: &str, password: &str| {
            let expected = format!("{user}:{password}");
            given.as_ref().is_some_and(|given| given.ct_eq(expected.as_bytes()).into())
        };
        let by_key = config.api_key.as_ref().is_some_and(|(sid, secret)| known(sid, secret.expose_secret()));
        if !by_key && !known(&config.account_sid, self.auth_token()) {
            increment(&self.inner.counts.unauthorized);
            return Err(ApiError::unauthorized());
        }
        match account {
            Some(other) if other != config.account_sid => Err(ApiError::not_found(&format!("/Accounts/{other}"))),
            _ => Ok(()),
        }
    }
}

async fn send_message(
    State(simulator): State<Simulator>,
    Path(account): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    simulator.authorize(&headers, Some(&account))?;
    increment(&simulator.inner.counts.sends);
    let fault = simulator.inner.fault_queue.take(ApiCall::Send);
    if let Some(fault) = fault.as_ref().filter(|fault| !fault.creates_message())
        && let Some(answer) = faulty_response(&simulator, fault).await
    {
        return Ok(answer);
    }
    let message = create::create_message(&simulator, &Params::parse(&body), fault.as_ref())?;
    if let Some(fault) = &fault
        && let Some(answer) = faulty_response(&simulator, fault).await
    {
        return Ok(answer);
    }
    Ok((StatusCode::CREATED, axum::Json(message)).into_response())
}

async fn list_messages(
    State(simulator): State<Simulator>,
    Path(account): Path<String>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    simulator.authorize(&headers, Some(&account))?;
    increment(&simulator.inner.counts.lookups);
    if let Some(fault) = simulator.inner.fault_queue.take(ApiCall::Lookup)
        && let Some(answer) = faulty_response(&simulator, &fault).await
    {
        return Ok(answer);
    }
    let params = Params::parse(query.unwrap_or_default().as_bytes());
    let page = list::list_page(&lock(&simulator.inner.message_log), &account, &params)?;
    Ok(axum::Json(page).into_response())
}

async fn get_message(
    State(simulator): State<Simulator>,
    Path((account, file)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    simulator.authorize(&headers, Some(&account))?;
    increment(&simulator.inner.counts.lookups);
    if let Some(fault) = simulator.inner.fault_queue.take(ApiCall::Lookup)
        && let Some(answer) = faulty_response(&simulator, &fault).await
    {
        return Ok(answer);
    }
    let found = file
        .strip_suffix(".json")
        .and_then(|sid| lock(&simulator.inner.message_log).get(sid).map(|message| message.json(&account)));
    match found {
        Some(message) => Ok(axum::Json(message).into_response()),
        None => Err(ApiError::not_found(&format!("/2010-04-01/Accounts/{account}/Messages/{file}"))),
    }
}

async fn show_typing(
    State(simulator): State<Simulator>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    simulator.authorize(&headers, None)?;
    increment(&simulator.inner.counts.typings);
    if let Some(fault) = simulator.inner.fault_queue.take(ApiCall::Typing)
        && let Some(answer) = faulty_response(&simulator, &fault).await
    {
        return Ok(answer);
    }
    let params = Params::parse(&body);
    if params.get("channel") != Some("whatsapp") {
        return Err(ApiError::bad_request(20422, "Invalid parameter: channel must be whatsapp"));
    }
    let sid = params.get("messageId").unwrap_or_default();
    let sender = {
        let ledger = lock(&simulator.inner.message_log);
        ledger.get(sid).filter(|message| message.inbound).map(|message| message.from.clone())
    };
    let Some(sender) = sender else {
        return Err(ApiError::bad_request(20422, "Invalid parameter: messageId must be the SID of an inbound message"));
    };
    let phone = sender.strip_prefix("whatsapp:").unwrap_or(&sender);
    let until: Time = simulator.now() + TYPING_DURATION;
    let changes = lock(&simulator.inner.phones).show_typing(phone, sid, until);
    simulator.publish(changes);
    Ok(axum::Json(json!({ "success": true })).into_response())
}
