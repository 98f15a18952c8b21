//! Sends messages and typing indicators (Twilio, "Messages resource", "Typing indicators resource").

use std::time::Duration;

use serde::Deserialize;

use super::api::{Api, SideEffect};
use super::parse_provider_id;
use crate::channel::Delivery;
use crate::channel::SendError;
use crate::config::Sender;
use crate::fault::{Fault, FaultOwner};
use crate::model::{DeliveryStatus, Outgoing, ProviderId};

/// A response to a post is about a kilobyte.
const MAX_RESPONSE_BYTES: usize = 256 * 1024;

/// The typing indicator is optional, so its timeout is short.
const TYPING_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Deserialize)]
struct CreatedMessage {
    sid: Option<String>,
}

/// Posts one message. Twilio has no idempotency key, so a post that was not certainly refused is unknown.
pub(super) async fn send_message(
    api: &Api,
    sender: &Sender,
    outgoing: &Outgoing,
    callback: Option<String>,
) -> Result<ProviderId, SendError> {
    let media = outgoing.media_url.as_deref();
    if outgoing.template.is_none() && media.is_none() && outgoing.text.trim().is_empty() {
        return Err(Fault::fail(FaultOwner::Message, "the message has no text").into());
    }
    let sender = match sender {
        Sender::Number(number) if outgoing.from.is_empty() => ("From", number.as_str()),
        Sender::Number(_) => ("From", outgoing.from.as_str()),
        Sender::MessagingService(sid) => ("MessagingServiceSid", sid.as_str()),
    };
    // Outside the 24-hour window, free text in Body fails even if it is the text of a template (Twilio, error 63016).
    let variables = outgoing.template.as_ref().and_then(|template| template.variables.json());
    let content = match &outgoing.template {
        Some(template) => {
            [Some(("ContentSid", template.sid.as_str())), variables.as_deref().map(|json| ("ContentVariables", json))]
        }
        None => {
            let body = Some(outgoing.text.as_str()).filter(|text| media.is_none() || !text.trim().is_empty());
            [body.map(|body| ("Body", body)), media.map(|url| ("MediaUrl", url))]
        }
    };
    let fields = [Some(("To", outgoing.to.as_str())), Some(sender)]
        .into_iter()
        .chain(content)
        .chain([callback.as_deref().map(|url| ("StatusCallback", url))]);
    let request = api.client.post(&api.messages_url).form(&fields.flatten().collect::<Vec<_>>());
    let body = api.call_for_answer_or_code(request, SideEffect::CreatesMessage, MAX_RESPONSE_BYTES).await?.body;
    let created = serde_json::from_slice::<CreatedMessage>(&body).ok().and_then(|created| created.sid);
    created
        .as_deref()
        .and_then(parse_provider_id)
        .ok_or_else(|| Fault::unknown("Twilio reported success, but its response contains no message id").into())
}

/// Shows the typing indicator for up to 25 s and marks the message as read. One call does both.
pub(super) async fn send_typing(api: &Api, inbound: &ProviderId) -> Result<(), Fault> {
    let fields = [("messageId", inbound.0.as_str()), ("channel", "whatsapp")];
    let request = api.client.post(&api.typing_url).timeout(TYPING_TIMEOUT).form(&fields);
    api.call(request, SideEffect::None, MAX_RESPONSE_BYTES).await.map(drop)
}

#[derive(Deserialize)]
struct MessageResource {
    status: String,
    error_code: Option<i64>,
}

/// Reads how far a message of ours has come (Twilio, "Fetch a Message resource").
pub(super) async fn read_delivery(api: &Api, message: &ProviderId) -> Result<Delivery, Fault> {
    let request = api.client.get(format!("{}/Messages/{message}.json", api.account_url));
    let body = api.call(request, SideEffect::None, MAX_RESPONSE_BYTES).await?;
    let message: MessageResource = serde_json::from_slice(&body)
        .map_err(|_| Fault::retry("mynah cannot read Twilio's message: check TWILIO_API_BASE_URL"))?;
    Ok(Delivery { status: DeliveryStatus::parse(&message.status), error_code: message.error_code })
}

#[cfg(test)]
#[path = "send_tests.rs"]
mod tests;
