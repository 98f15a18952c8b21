//! What arrives from a channel.

use bytes::Bytes;

use super::{DeliveryStatus, Identity, PartRef, ProviderId};
use crate::clock::Time;

/// A webhook as it came in, free of any web framework.
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
    /// The first header of that (lower-case) name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// What a webhook tells.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A contact wrote.
    Message(Box<Inbound>),
    /// News of a message that we sent.
    Status(StatusUpdate),
}

/// A message from a contact.
#[derive(Clone, Debug, PartialEq)]
pub struct Inbound {
    /// The channel's name, such as `twilio`.
    pub channel: &'static str,
    /// The provider's id; the same id is the same message.
    pub provider_id: ProviderId,
    /// Who wrote, by every address that came along.
    pub from: Identity,
    /// Where the answer goes, as the channel writes it: the sender exactly as received, or their phone number where it came
    /// beside a user ID.
    pub reply_to: String,
    /// Our address that was written to, exactly as received.
    pub to: String,
    /// The name that the contact shows.
    pub profile_name: Option<String>,
    /// What was said, in words also where it was a picture, a place or a button.
    pub text: String,
    /// What came along that is not in words yet; `text` holds the mark of each.
    pub attachments: Vec<Attachment>,
    /// The message that this one answers, where the contact quoted one; `text` ends with [`QUOTED`] then.
    pub quoted_id: Option<ProviderId>,
    /// The one word or sentence that the contact wrote or pressed, free of what `text` tells beside it: what is looked up
    /// among the words for the assistant itself. Empty where there is none.
    pub keyword_text: String,
    /// Everything else that came along, unknown fields too.
    pub metadata: serde_json::Map<String, serde_json::Value>,
    /// When it reached us, or when the provider says it did.
    pub received_at: Time,
}

/// The last line of a message that quotes another, until it is known what that one said.
pub const QUOTE_PLACEHOLDER: &str = "[in reply to an earlier message]";

/// A file that a contact sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// Where the provider keeps it.
    pub url: String,
    /// Its type as the provider tells it, such as `image/jpeg`; empty where it does not.
    pub media_type: String,
    /// What stands for it in the message's text until it is read, such as `[image]`.
    pub placeholder: String,
}

impl Attachment {
    /// Whether others like it may follow at once, each as a message of its own.
    pub fn can_be_in_album(&self) -> bool {
        self.placeholder == "[image]" || self.placeholder == "[video]"
    }
}

impl Inbound {
    /// Another address of the sender as the channel writes it, which is in the way of `reply_to`. `None` where `reply_to` does
    /// not end in an address of theirs.
    pub fn address_in_channel_form(&self, address: &str) -> Option<String> {
        let before = self.from.addresses().find_map(|known| self.reply_to.strip_suffix(known.as_str()))?;
        Some(format!("{before}{address}"))
    }
}

/// News of a message that we sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusUpdate {
    /// The channel's name.
    pub channel: &'static str,
    /// The provider's id of the message.
    pub provider_id: ProviderId,
    /// Our address that it was sent from, as the provider writes it; empty where it does not say.
    pub from: String,
    /// What became of it; `None` where the provider uses a word that is not known.
    pub status: Option<DeliveryStatus>,
    /// Our part, where the callback bears our own proof that it is this one.
    pub reference: Option<PartRef>,
    /// The provider's error code, such as 63016.
    pub error_code: Option<i64>,
    /// The provider's words for it.
    pub error_message: Option<String>,
}

/// Why a webhook is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// The signature is missing or wrong, or none can be checked. Nothing is stored.
    #[error("{0}")]
    Forged(String),
    /// Signed, but not to be understood.
    #[error("{0}")]
    Malformed(String),
}
