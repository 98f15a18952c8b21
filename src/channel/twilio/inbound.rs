//! Reads a verified webhook: a message from a contact, or the status of one of our messages (Twilio, "Webhook
//! request").
//!
//! Twilio adds and removes parameters without notice, so every unknown parameter is kept in the metadata.

use super::fields::{WebhookFields, malformed};
use super::form::Form;
use super::status_callback::{self, StatusCallbacks};
use super::{CHANNEL_NAME, inbound_text, parse_provider_id, signature};
use crate::clock::Time;
use crate::model::{Address, Event, Identity, Inbound, Phone, WebhookError, WebhookRequest};

/// The prefix of every WhatsApp address.
const WHATSAPP_PREFIX: &str = "whatsapp:";

/// Reads a verified webhook for the account `account_sid`.
pub(super) fn parse_events(
    account_sid: &str,
    callbacks: &StatusCallbacks,
    delivery: &WebhookRequest,
    now: Time,
) -> Result<Vec<Event>, WebhookError> {
    if !signature::is_form(delivery) {
        return Err(malformed("the body is not declared as application/x-www-form-urlencoded"));
    }
    let form = Form::decode(&delivery.body);
    let fields = WebhookFields::from_form(&form)?;
    if fields.get("AccountSid").is_some_and(|sid| sid != account_sid) {
        return Err(malformed("AccountSid is not our account: check TWILIO_ACCOUNT_SID"));
    }
    let sid = fields.get("MessageSid").ok_or_else(|| malformed("MessageSid is missing"))?;
    let provider_id = parse_provider_id(sid).ok_or_else(|| malformed("MessageSid is not an id"))?;

    if is_status(&fields, &delivery.path_and_query) {
        let reference = callbacks.verified_part(&delivery.path_and_query);
        return Ok(vec![Event::Status(status_callback::status_update(&fields, provider_id, reference))]);
    }

    let from = fields.get("From").ok_or_else(|| malformed("From is missing"))?;
    let sender =
        parse_sender(from, &fields).ok_or_else(|| malformed("From is neither a phone number nor a user ID"))?;
    // A phone number that comes with the user ID is current, and replies go to it.
    let reply_to = match (sender.phone(), parse_address(from)) {
        (Some(phone), Some(Address::Bsuid(_))) => format!("{WHATSAPP_PREFIX}{}", phone.as_str()),
        _ => from.to_owned(),
    };
    let to = fields.get("To").ok_or_else(|| malformed("To is missing"))?;
    Ok(vec![Event::Message(Box::new(Inbound {
        channel: CHANNEL_NAME,
        provider_id,
        from: sender,
        reply_to,
        to: to.to_owned(),
        profile_name: fields.get("ProfileName").map(str::to_owned),
        text: inbound_text::describe_message(&fields),
        attachments: inbound_text::attachments(&fields),
        quoted_id: fields.get("OriginalRepliedMessageSid").and_then(parse_provider_id),
        keyword_text: inbound_text::keyword_text(&fields).to_owned(),
        metadata: fields.metadata(),
        received_at: now,
    }))])
}

/// Parses `whatsapp:+15551234567` or `whatsapp:US.1349…`.
pub(super) fn parse_address(text: &str) -> Option<Address> {
    Address::parse(text.strip_prefix(WHATSAPP_PREFIX).unwrap_or(text)).ok()
}

/// Reads the sender: the phone number or user ID in `From`, and the other one if `ExternalUserId` or `WaId` has it.
/// `From`
/// takes precedence. The parent's ID (`ParentExternalUserId`) is a different one and is not used to identify contacts.
fn parse_sender(from: &str, fields: &WebhookFields<'_>) -> Option<Identity> {
    let first = parse_address(from)?;
    let other = match &first {
        Address::Phone(_) => fields.get("ExternalUserId").and_then(|text| {
            let id = parse_address(text).filter(|address| matches!(address, Address::Bsuid(_)));
            if id.is_none() {
                tracing::warn!(
                    message = fields.get("MessageSid"),
                    "ExternalUserId is not a user ID of a known form; mynah ignores it and keeps it in the metadata"
                );
            }
            id
        }),
        Address::Bsuid(_) => {
            fields.get("WaId").and_then(|digits| Phone::parse(&format!("+{digits}")).ok()).map(Address::Phone)
        }
    };
    Some(Identity::from(first).with_address(other))
}

/// Returns whether the webhook is a status callback. Body does not help, because a message may come without one. If
/// Twilio's settings are wrong, a message that arrives at the status URL is still a message, and a status that arrives
/// at the message URL is still a status.
fn is_status(fields: &WebhookFields<'_>, path_and_query: &str) -> bool {
    if fields.get("SmsStatus") == Some("received") {
        return false;
    }
    match fields.get("MessageStatus") {
        Some(status) => !matches!(status, "received" | "receiving"),
        None => {
            let path = path_and_query.split(['?', '#']).next().unwrap_or_default();
            path.trim_end_matches('/').ends_with("/status")
        }
    }
}

#[cfg(test)]
#[path = "inbound_tests.rs"]
mod tests;
