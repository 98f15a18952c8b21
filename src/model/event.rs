//! Events that arrive from a channel.

use bytes::Bytes;

use super::{DeliveryStatus, Identity, PartRef, ProviderId};
use crate::clock::Time;

/// A webhook as it was received, independent of any web framework.
#[derive(Clone, Debug)]
pub struct WebhookRequest {
    /// Path and query exactly as received.
    pub path_and_query: String,
    /// Header names in lower case, in the order received.
    pub headers: Vec<(String, String)>,
    /// The raw body.
    pub body: Bytes,
}

impl WebhookRequest {
    /// Returns the first header of that name, which must be in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// What a webhook reports.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A contact sent a message.
    Message(Box<Inbound>),
    /// A delivery status of a message that we sent.
    Status(StatusUpdate),
}

/// A message from a contact.
#[derive(Clone, Debug, PartialEq)]
pub struct Inbound {
    /// The channel's name, such as `twilio`.
    pub channel: &'static str,
    /// The provider's id; the same id is the same message.
    pub provider_id: ProviderId,
    /// Who wrote, by every address that came with the message.
    pub from: Identity,
    /// Where the answer goes, in the channel's form: the sender exactly as received, or their phone number if it came
    /// beside a user ID.
    pub reply_to: String,
    /// Our address that the contact wrote to, exactly as received.
    pub to: String,
    /// The name in the contact's profile.
    pub profile_name: Option<String>,
    /// The text. A picture, a location or a button is put into words.
    pub text: String,
    /// The attachments that are not put into words yet; `text` holds the placeholder of each.
    pub attachments: Vec<Attachment>,
    /// The message that this one quotes, if any; `text` then ends with [`QUOTE_PLACEHOLDER`].
    pub quoted_id: Option<ProviderId>,
    /// What the contact typed or pressed, without anything that `text` adds to it. Command words are looked for in
    /// this. Empty if there is none.
    pub keyword_text: String,
    /// All other fields that came with the message, including unknown ones.
    pub metadata: serde_json::Map<String, serde_json::Value>,
    /// When the message reached us, or when the provider says that it did.
    pub received_at: Time,
}

/// The last line of a message that quotes another, until the text of that message is known.
pub const QUOTE_PLACEHOLDER: &str = "[in reply to an earlier message]";

/// A file that a contact sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// The URL of the file at the provider.
    pub url: String,
    /// Its media type as the provider gives it, such as `image/jpeg`; empty if the provider gives none.
    pub media_type: String,
    /// The placeholder in the message's text until the file is read, such as `[image]`.
    pub placeholder: String,
}

impl Attachment {
    /// Returns whether more attachments of its kind may follow at once, each as a message of its own.
    pub fn can_be_in_album(&self) -> bool {
        self.placeholder == "[image]" || self.placeholder == "[video]"
    }
}

impl Inbound {
    /// Returns another address of the sender in the channel's form, as in `reply_to`. Returns `None` if `reply_to` does
    /// not end in an address of theirs.
    pub fn address_in_channel_form(&self, address: &str) -> Option<String> {
        let before = self.from.addresses().find_map(|known| self.reply_to.strip_suffix(known.as_str()))?;
        Some(format!("{before}{address}"))
    }
}

/// A delivery status of a message that we sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusUpdate {
    /// The channel's name.
    pub channel: &'static str,
    /// The provider's id of the message.
    pub provider_id: ProviderId,
    /// Our address that it was sent from, as the provider writes it; empty if the provider does not give it.
    pub from: String,
    /// The new status; `None` if the provider uses a status that is not known.
    pub status: Option<DeliveryStatus>,
    /// Our part, if the callback carries our own proof that it is about that part.
    pub reference: Option<PartRef>,
    /// The provider's error code, such as 63016.
    pub error_code: Option<i64>,
    /// The provider's error message.
    pub error_message: Option<String>,
}

/// Why a webhook is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// The signature is missing or wrong, or no signature can be checked. Nothing is stored.
    #[error("{0}")]
    Forged(String),
    /// The webhook is signed, but cannot be understood.
    #[error("{0}")]
    Malformed(String),
}
