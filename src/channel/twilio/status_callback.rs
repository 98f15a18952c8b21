//! Status callbacks, which report the delivery status of a message that we sent (Twilio, "Outbound message status in
//! status callbacks").
//!
//! The callback URL that we give Twilio for a message names our part and carries a MAC over that name. A callback can
//! therefore settle a part even if the response to the post was lost.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use url::{Host, Position, Url};

use super::CHANNEL_NAME;
use super::fields::WebhookFields;
use crate::model::{DeliveryStatus, PartRef, ProviderId, StatusUpdate};

type HmacSha256 = Hmac<Sha256>;

/// Half of the MAC, 128 bits, is enough and keeps the URL shorter.
const MAC_BYTES: usize = 16;

/// Writes and reads the URLs of status callbacks.
pub(super) struct StatusCallbacks {
    /// The public URL without a trailing slash, or `None` if Twilio would not call it.
    base_url: Option<String>,
    key: HmacSha256,
}

impl StatusCallbacks {
    pub(super) fn new(public_url: Option<&Url>, key: &[u8; 32]) -> StatusCallbacks {
        let base_url = public_url
            .filter(|url| is_callable_by_twilio(url))
            .map(|url| url[..Position::AfterPath].trim_end_matches('/').to_owned());
        StatusCallbacks { base_url, key: HmacSha256::new_from_slice(key).expect("HMAC accepts a key of any length") }
    }

    /// Returns the URL for Twilio's reports on the part, or `None` if Twilio could not call it.
    pub(super) fn callback_url(&self, part: PartRef) -> Option<String> {
        let base = self.base_url.as_ref()?;
        let name = part.to_string();
        let code = hex::encode(self.mac(&name));
        Some(format!("{base}/webhooks/twilio/status?p={name}&m={code}"))
    }

    /// Returns the part that a callback's URL names, if the MAC beside it is valid.
    pub(super) fn verified_part(&self, path_and_query: &str) -> Option<PartRef> {
        let (_, query) = path_and_query.split_once('?')?;
        let field = |name| query.split('&').find_map(|pair| pair.strip_prefix(name));
        let (name, given) = (field("p=")?, field("m=")?);
        let mut code = [0; MAC_BYTES];
        hex::decode_to_slice(given, &mut code).ok()?;
        bool::from(self.mac(name).ct_eq(&code)).then(|| PartRef::parse(name)).flatten()
    }

    fn mac(&self, name: &str) -> [u8; MAC_BYTES] {
        let mut code = self.key.clone();
        code.update(b"part:");
        code.update(name.as_bytes());
        let whole = code.finalize().into_bytes();
        let mut half = [0; MAC_BYTES];
        half.copy_from_slice(&whole[..MAC_BYTES]);
        half
    }
}

/// Returns whether Twilio accepts the URL. It refuses a StatusCallback whose host has an underscore, and the whole
/// message with it (OpenAPI, CreateMessage).
fn is_callable_by_twilio(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(host)) => !host.contains('_'),
        Some(Host::Ipv4(_) | Host::Ipv6(_)) => true,
        None => false,
    }
}

/// Reads a status update from a callback's fields. The caller has checked `provider_id`.
pub(super) fn status_update(
    fields: &WebhookFields<'_>,
    provider_id: ProviderId,
    reference: Option<PartRef>,
) -> StatusUpdate {
    let word = fields.get("MessageStatus").or_else(|| fields.get("SmsStatus"));
    let error_code = fields.get("ErrorCode").and_then(|code| code.trim().parse().ok()).filter(|code| *code != 0);
    let error_message = fields.get("ErrorMessage").or_else(|| fields.get("ChannelStatusMessage"));
    StatusUpdate {
        channel: CHANNEL_NAME,
        provider_id,
        from: fields.get("From").unwrap_or_default().to_owned(),
        status: word.and_then(DeliveryStatus::parse),
        reference,
        error_code,
        error_message: error_message.map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TurnId;

    const PART: PartRef = PartRef { turn: TurnId(12), number: 1 };
    // printf 'part:12.1' | openssl dgst -sha256 -mac HMAC -macopt hexkey:0707…07, first half.
    const MAC_HEX: &str = "1815c5bb9a08832c13d90a4fb301a562";

    fn callbacks(url: &str) -> StatusCallbacks {
        StatusCallbacks::new(Some(&Url::parse(url).unwrap()), &[7; 32])
    }

    #[test]
    fn a_callback_address_names_the_part_and_proves_it() {
        let callbacks = callbacks("https://bot.example.com/");
        let url = callbacks.callback_url(PART).unwrap();
        assert_eq!(url, format!("https://bot.example.com/webhooks/twilio/status?p=12.1&m={MAC_HEX}"));
        assert_eq!(callbacks.verified_part(url.strip_prefix("https://bot.example.com").unwrap()), Some(PART));
    }

    #[test]
    fn a_reference_without_our_code_is_not_believed() {
        let callbacks = callbacks("https://bot.example.com");
        let other = StatusCallbacks::new(None, &[8; 32]);
        let good = format!("/webhooks/twilio/status?p=12.1&m={MAC_HEX}");
        assert_eq!(callbacks.verified_part(&good), Some(PART));
        assert_eq!(other.verified_part(&good), None);
        for bad in [
            good.replace("12.1", "12.2"),
            good.replace("12.1", "13.1"),
            good.replace(&MAC_HEX[..2], "ff"),
            good[..good.len() - 2].to_owned(),
            "/webhooks/twilio/status?p=12.1".to_owned(),
            "/webhooks/twilio/status?p=12.1&m=".to_owned(),
            format!("/webhooks/twilio/status?m={MAC_HEX}"),
            "/webhooks/twilio/status".to_owned(),
        ] {
            assert_eq!(callbacks.verified_part(&bad), None, "{bad}");
        }
    }

    #[test]
    fn no_callback_is_asked_for_where_twilio_would_refuse_its_address() {
        assert_eq!(StatusCallbacks::new(None, &[7; 32]).callback_url(PART), None);
        assert_eq!(callbacks("https://my_bot.example.com").callback_url(PART), None);
        // The demo's simulator calls us here.
        assert!(
            callbacks("http://127.0.0.1:8080")
                .callback_url(PART)
                .unwrap()
                .starts_with("http://127.0.0.1:8080/webhooks/")
        );
        assert!(
            callbacks("https://x.example/a_b/")
                .callback_url(PART)
                .unwrap()
                .starts_with("https://x.example/a_b/webhooks/")
        );
    }
}
