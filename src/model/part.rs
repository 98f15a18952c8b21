//! One outbound WhatsApp message of a turn's reply.

use std::fmt;

use super::{Template, TurnId};
use crate::clock::Time;

/// The provider's id of a message, such as Twilio's `SM…`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProviderId(pub String);

impl fmt::Display for ProviderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A message of ours, as the provider lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentMessage {
    /// Its id.
    pub id: ProviderId,
    /// Its text; `None` if the provider withholds it.
    pub text: Option<String>,
    /// When the provider created it, cut to seconds; `None` if the provider does not tell.
    pub created_at: Option<Time>,
    /// Whether the provider could not deliver it.
    pub has_failed: bool,
}

/// Names a part: the turn that it answers and its place in the reply, counted from 1. Written `12.1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PartRef {
    /// The turn.
    pub turn: TurnId,
    /// The place in the reply, from 1.
    pub number: i64,
}

impl PartRef {
    /// Reads `12.1`.
    pub fn parse(text: &str) -> Option<PartRef> {
        let (turn, number) = text.split_once('.')?;
        Some(PartRef { turn: TurnId(turn.parse().ok()?), number: number.parse().ok()? })
    }
}

impl fmt::Display for PartRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.turn, self.number)
    }
}

/// The state of a part: `ready → sending → sent`, `sending → unknown → sent | ready | held`, or `failed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PartState {
    /// The part may be posted. A post starts only from this state.
    Ready,
    /// The part is being posted. This state is committed before the first byte is sent.
    Sending,
    /// The post may have taken effect; mynah looks for evidence.
    Unknown,
    /// The provider accepted the part and gave it an id.
    Sent,
    /// The part is not known to be sent, and it is not posted again: no lookup found it and the operator chose not to
    /// repeat it, or nobody could look it up in time.
    Held,
    /// The part will not be sent.
    Failed,
}

impl PartState {
    const ALL: [PartState; 6] =
        [PartState::Ready, PartState::Sending, PartState::Unknown, PartState::Sent, PartState::Held, PartState::Failed];

    /// Returns the stored name.
    pub const fn as_str(self) -> &'static str {
        match self {
            PartState::Ready => "ready",
            PartState::Sending => "sending",
            PartState::Unknown => "unknown",
            PartState::Sent => "sent",
            PartState::Held => "held",
            PartState::Failed => "failed",
        }
    }

    /// Reads the stored name.
    pub fn parse(text: &str) -> Option<PartState> {
        PartState::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// The delivery status of a message that the provider accepted. It moves only to a higher rank, because callbacks
/// repeat and overtake each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DeliveryStatus {
    /// The provider accepted it (`accepted`, `scheduled`).
    Accepted,
    /// It waits at the provider.
    Queued,
    /// It is on its way.
    Sending,
    /// It was handed to WhatsApp.
    Sent,
    /// It was not delivered (`undelivered`, `failed`, `canceled`). A late `delivered` may still follow.
    Failed,
    /// It is on the contact's phone.
    Delivered,
    /// The contact has seen it.
    Read,
}

impl DeliveryStatus {
    /// Reads Twilio's `MessageStatus`. Returns `None` for an unknown status and for those of inbound messages.
    pub fn parse(text: &str) -> Option<DeliveryStatus> {
        Some(match text {
            "accepted" | "scheduled" => DeliveryStatus::Accepted,
            "queued" => DeliveryStatus::Queued,
            "sending" => DeliveryStatus::Sending,
            "sent" | "partially_delivered" => DeliveryStatus::Sent,
            "failed" | "undelivered" | "canceled" => DeliveryStatus::Failed,
            "delivered" => DeliveryStatus::Delivered,
            "read" => DeliveryStatus::Read,
            _ => return None,
        })
    }

    /// Returns the stored name.
    pub const fn as_str(self) -> &'static str {
        match self {
            DeliveryStatus::Accepted => "accepted",
            DeliveryStatus::Queued => "queued",
            DeliveryStatus::Sending => "sending",
            DeliveryStatus::Sent => "sent",
            DeliveryStatus::Failed => "failed",
            DeliveryStatus::Delivered => "delivered",
            DeliveryStatus::Read => "read",
        }
    }

    /// Returns the stored rank: a status replaces only one of lower rank.
    pub const fn rank(self) -> i64 {
        self as i64
    }
}

/// One message to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Our address on the channel, as the inbound message gave it (`whatsapp:+14155238886`).
    pub from: String,
    /// The contact's address in the channel's form (`whatsapp:+15551234567`).
    pub to: String,
    /// The text, within the channel's limit. It is ignored if there is a template.
    pub text: String,
    /// The template that is sent instead of the text.
    pub template: Option<Template>,
    /// The URL where the provider fetches the file that goes with the text. The text may then be empty.
    pub media_url: Option<String>,
    /// The part that this message is. Status callbacks return it.
    pub reference: PartRef,
}
