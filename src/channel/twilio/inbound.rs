//! What a verified webhook tells: a message from a contact, or the status of one of ours (Twilio, "Webhook request").
//!
//! Parameters come and go without notice, so whatever is not known is kept in the metadata.

use super::fields::{WebhookFields, malformed};
use super::form::Form;
use super::status::{self, StatusCallbacks};
use super::{CHANNEL_NAME, inbound_text, parse_provider_id, signature};
use crate::clock::Time;
use crate::model::{Address, Event, Identity, Inbound, Phone, WebhookError, WebhookRequest};

/// Before each address of WhatsApp's.
const WHATSAPP_PREFIX: &str = "whatsapp:";

/// Reads a verified delivery to the account `account_sid`.
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
        return Ok(vec![Event::Status(status::status_update(&fields, provider_id, reference))]);
    }

    let from = fields.get("From").ok_or_else(|| malformed("From is missing"))?;
    let sender =
        parse_sender(from, &fields).ok_or_else(|| malformed("From is neither a phone number nor a user ID"))?;
    // A number that comes beside the user ID is seen now, and goes before it.
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

/// The person behind `whatsapp:+15551234567` or `whatsapp:US.1349…`.
pub(super) fn parse_address(text: &str) -> Option<Address> {
    Address::parse(text.strip_prefix(WHATSAPP_PREFIX).unwrap_or(text)).ok()
}

/// Who wrote: the phone number or user ID of `From`, and the other one where it came along, as `ExternalUserId` or `WaId`.
/// What `From` says counts; the ID of the parent (`ParentExternalUserId`) is another one, and tells nobody apart here.
fn parse_sender(from: &str, fields: &WebhookFields<'_>) -> Option<Identity> {
    let first = parse_address(from)?;
    let other = match &first {
        Address::Phone(_) => fields.get("ExternalUserId").and_then(|text| {
            let id = parse_address(text).filter(|address| matches!(address, Address::Bsuid(_)));
            if id.is_none() {
                tracing::warn!(
                    message = fields.get("MessageSid"),
                    "ExternalUserId is no user ID of a known form, and is left out; the message's metadata has it"
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

/// A message may come without a Body, so Body tells nothing. A message that was sent to the status address by a
/// mistake in Twilio's settings is a message all the same, and a status at the other address is a status.
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
