//! One outbound WhatsApp message of a turn's reply.

use std::fmt;

use super::{Template, TurnId};

/// The id under which the provider knows a message, such as Twilio's `SM…`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProviderId(pub String);

impl fmt::Display for ProviderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names a part: the turn it answers and its place in the reply, counted from 1. Written `12.1`.
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

/// Where a part stands: `ready → sending → sent`, `sending → unknown → sent | ready | held`, `failed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PartState {
    /// May be posted. The only state from which a post starts.
    Ready,
    /// Committed before the first byte of the post.
    Sending,
    /// The post may have taken effect; evidence is being looked for.
    Unknown,
    /// The provider took it and named it.
    Sent,
    /// Unknown still after all looks, and the operator chose not to send again.
    Held,
    /// Will not be sent.
    Failed,
}

impl PartState {
    const ALL: [PartState; 6] =
        [PartState::Ready, PartState::Sending, PartState::Unknown, PartState::Sent, PartState::Held, PartState::Failed];

    /// The stored name.
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

/// What the provider says became of a message it took. Moves only to a higher rank: callbacks repeat and overtake
/// each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DeliveryStatus {
    /// Taken (`accepted`, `scheduled`).
    Accepted,
    /// Waits at the provider.
    Queued,
    /// On its way.
    Sending,
    /// Handed to WhatsApp.
    Sent,
    /// Not delivered (`undelivered`, `failed`, `canceled`). A late `delivered` may still follow.
    Failed,
    /// On the handset.
    Delivered,
    /// Seen.
    Read,
}

impl DeliveryStatus {
    /// Reads Twilio's `MessageStatus`. `None` for one that is not known, and for inbound ones.
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

    /// The stored name.
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

    /// The stored rank: a status replaces only one of lower rank.
    pub const fn rank(self) -> i64 {
        self as i64
    }
}

/// One message to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Our address on the channel, as the inbound message named it (`whatsapp:+14155238886`).
    pub from: String,
    /// The contact's address in the channel's own form (`whatsapp:+15551234567`).
    pub to: String,
    /// The text, within the channel's limit; of no account where there is a template.
    pub text: String,
    /// The template that is sent in its place.
    pub template: Option<Template>,
    /// Where the provider fetches the file that goes with the text; the text may be empty then.
    pub media_url: Option<String>,
    /// The part that this is, echoed by status callbacks.
    pub reference: PartRef,
}
