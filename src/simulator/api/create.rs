//! Creates messages, with the checks that Twilio makes before it accepts one.

use serde_json::Value;
use url::Url;

use super::Params;
use super::errors::ApiError;
use crate::model::Address;
use crate::simulator::callback::SimulatedDelivery;
use crate::simulator::fault_injection::increment;
use crate::simulator::message_log::Message;
use crate::simulator::phones::Bubble;
use crate::simulator::{InjectedFault, Simulator, Status, lock};

/// The maximum length of a body (error 21617), counted in UTF-16 units, the strictest interpretation of "characters".
const MAX_BODY_UNITS: usize = 1_600;

/// Checks and creates a message. Returns the Message resource.
pub(super) fn create_message(
    simulator: &Simulator,
    params: &Params,
    fault: Option<&InjectedFault>,
) -> Result<Value, ApiError> {
    let to = params.get("To").ok_or_else(|| ApiError::bad_request(21604, "A 'To' phone number is required."))?;
    let service = params.get("MessagingServiceSid");
    let contact = check_addresses(simulator, to, params.get("From"), service)?;
    let body = params.get("Body").unwrap_or_default();
    let media = params.all("MediaUrl").count();
    if body.is_empty() && media == 0 && params.get("ContentSid").is_none() {
        return Err(ApiError::bad_request(21619, "A text message body or media urls must be specified."));
    }
    if body.encode_utf16().count() > MAX_BODY_UNITS {
        return Err(ApiError::bad_request(21617, "The concatenated message body exceeds the 1600 character limit"));
    }
    if params.all("MediaUrl").any(|url| !is_web_address(url)) {
        return Err(ApiError::bad_request(21620, "Media urls are invalid. Please use only valid http and https urls"));
    }
    let callback = params.get("StatusCallback");
    if callback.is_some_and(|url| !is_web_address(url) || host_has_underscore(url)) {
        return Err(ApiError::bad_request(21609, "The 'StatusCallback' URL is not a valid URL."));
    }

    let (sid, now) = (simulator.new_sid(if media == 0 { "SM" } else { "MM" }), simulator.now());
    let status = if service.is_some() { Status::Accepted } else { Status::Queued };
    let message = Message {
        sid: sid.clone(),
        inbound: false,
        from: simulator.our_address(),
        to: to.to_owned(),
        body: body.to_owned(),
        num_media: media,
        service: service.map(str::to_owned),
        status,
        error: None,
        created: now,
        sent: None,
        updated: now,
    };
    let json = message.json(&simulator.inner.config.account_sid);
    lock(&simulator.inner.message_log).add(message);
    increment(&simulator.inner.counts.created);
    let text = if body.is_empty() { "[an image, file or template]" } else { body };
    let bubble = Bubble {
        sid: sid.clone(),
        from_contact: false,
        text: text.to_owned(),
        at: now,
        status,
        problem: None,
        last_change: 0,
    };
    simulator.add_bubble(contact, bubble);
    simulator.spawn_delivery(SimulatedDelivery {
        sid,
        contact: contact.to_owned(),
        callback: callback.map(str::to_owned),
        service: service.map(str::to_owned),
        error: match fault {
            Some(InjectedFault::Undelivered { code }) => Some(*code),
            _ => None,
        },
    });
    Ok(json)
}

/// Returns the contact's address without its prefix, if sender and recipient are WhatsApp addresses and the sender is
/// ours.
fn check_addresses<'a>(
    simulator: &Simulator,
    to: &'a str,
    from: Option<&str>,
    service: Option<&str>,
) -> Result<&'a str, ApiError> {
    if let Some(from) = from {
        if from.starts_with("whatsapp:") != to.starts_with("whatsapp:") {
            let why = format!("From ({from}) and To ({to}) addresses should be of the same channel");
            return Err(ApiError::bad_request(21910, why));
        }
        if from != simulator.our_address() {
            let why = "Twilio could not find a Channel with the specified From address";
            return Err(ApiError::bad_request(63007, why));
        }
    } else if service.is_none() {
        return Err(ApiError::bad_request(21603, "A 'From' phone number is required."));
    } else if !service.is_some_and(is_service_sid) {
        return Err(ApiError::bad_request(21701, "The Messaging Service does not exist."));
    }
    let contact = to.strip_prefix("whatsapp:").filter(|contact| Address::parse(contact).is_ok());
    contact.ok_or_else(|| ApiError::bad_request(21211, format!("Invalid 'To' Phone Number: {to}")))
}

fn is_service_sid(sid: &str) -> bool {
    sid.strip_prefix("MG").is_some_and(|rest| rest.len() == 32 && rest.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn is_web_address(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

fn host_has_underscore(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| url.host_str().is_some_and(|host| host.contains('_')))
}
