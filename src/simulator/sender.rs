//! The account's WhatsApp sender, with the address that the simulator calls.

use serde_json::{Map, Value, json};
use url::Url;

/// The fields of the webhook object. The API replaces the whole object: a field that a caller leaves out is cleared.
pub(super) const WEBHOOK_FIELDS: [&str; 6] = [
    "callback_url",
    "callback_method",
    "fallback_url",
    "fallback_method",
    "status_callback_url",
    "status_callback_method",
];

/// The sender, as the Senders API shows it.
#[derive(Clone, Debug)]
pub(super) struct Sender {
    /// `ONLINE`, `OFFLINE` or another of Twilio's words. An empty state means that the account has no such sender.
    pub(super) state: String,
    /// The webhook object.
    pub(super) webhook: Map<String, Value>,
}

impl Sender {
    /// Returns a sender that is online and calls that address.
    pub(super) fn calling(webhook_url: &Url) -> Sender {
        let mut sender = Sender { state: "ONLINE".to_owned(), webhook: Map::new() };
        sender.set_callback_url(Some(webhook_url.as_str()));
        sender
    }

    /// Sets the address that is called with messages.
    pub(super) fn set_callback_url(&mut self, url: Option<&str>) {
        self.webhook.insert("callback_url".to_owned(), url.into());
        self.webhook.insert("callback_method".to_owned(), url.map(|_| "POST").into());
    }

    /// Returns the address that is called with messages.
    pub(super) fn callback_url(&self) -> Option<&str> {
        self.webhook.get("callback_url").and_then(Value::as_str)
    }

    /// Returns the resource of the Senders API.
    pub(super) fn json(&self, sid: &str, sender_id: &str) -> Value {
        let webhook: Map<_, _> = WEBHOOK_FIELDS
            .into_iter()
            .map(|name| (name.to_owned(), self.webhook.get(name).cloned().unwrap_or_default()))
            .collect();
        let offline = json!([{
            "code": "63010",
            "message": "The sender is offline in the simulator",
            "more_info": "https://www.twilio.com/docs/api/errors/63010",
        }]);
        json!({
            "sid": sid,
            "status": self.state,
            "sender_id": sender_id,
            "configuration": {
                "waba_id": "12345678912345",
                "verification_method": null,
                "verification_code": null,
                "voice_application_sid": null,
                "account_type": null,
            },
            "webhook": webhook,
            "profile": null,
            "compliance": null,
            "properties": { "quality_rating": "HIGH", "messaging_limit": "10K Customers/24hr" },
            "offline_reasons": if self.state == "OFFLINE" { offline } else { Value::Null },
            "url": format!("https://messaging.twilio.com/v2/Channels/Senders/{sid}"),
        })
    }
}
