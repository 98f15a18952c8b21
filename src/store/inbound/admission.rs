//! What is known about a message before it is stored, and the result of receiving it.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Time;
use crate::model::{Address, Command, ConversationId, TurnId};
use crate::store::queue::built_in_request::BuiltInRequest;

/// What was found out about a message before it is stored. The default is an ordinary message.
#[derive(Clone, Debug, Default)]
pub struct Admission {
    /// The account at the provider that the message came through; empty if there is only one.
    pub account: String,
    /// The command in the message, which is answered without a model.
    pub command: Option<Command>,
    /// Whether the sender is allowed.
    pub sender: SenderStatus,
    /// The allowlist, if there is one. The store may know the sender by an address that the message does not carry.
    pub allowed_senders: Arc<[Address]>,
    /// How long until the rate limit allows an answer, if the sender is over it.
    pub rate_wait: Option<Duration>,
    /// The text that tells a contact to slow down, and the least time between two of them.
    pub slow_down_notice: Option<(String, Duration)>,
    /// The text for unknown senders; `None` sends nothing.
    pub refusal_text: Option<String>,
    /// Whether to restart the turn if the model is working on the messages before this one.
    pub restart_running_turn: bool,
    /// Set if the webhook of the message never came and catch-up found the message at the provider.
    pub missed_webhook: Option<MissedWebhook>,
}

/// A message whose webhook never came. Its `received_at` is when it was sent, by the provider's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MissedWebhook {
    /// When catch-up found the message.
    pub found_at: Time,
    /// Whether the message is too old to answer. It is stored and shown, and a STOP or START takes effect.
    pub is_too_old: bool,
}

impl Admission {
    /// Returns the request of a message that is nothing but a request. The model does not see such a message.
    pub fn request(&self) -> Option<BuiltInRequest> {
        match self.sender {
            SenderStatus::HasPairingCode => Some(BuiltInRequest::Admitted),
            _ => self.command.map(BuiltInRequest::Command),
        }
    }
}

/// Whether a sender is allowed, as far as the configuration tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SenderStatus {
    /// Yes.
    #[default]
    Allowed,
    /// Only if admitted before.
    Unknown,
    /// From now on: the message is the pairing code.
    HasPairingCode,
}

/// What happened to a received message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiveOutcome {
    /// The message is stored, and a turn will answer it.
    Queued(TurnId),
    /// The message is stored and not answered. Its turn holds the reason.
    Skipped(TurnId),
    /// The message was stored before. Nothing changed.
    Duplicate,
}

/// The result of receiving a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// What happened to the message.
    pub outcome: ReceiveOutcome,
    /// The conversation, with the revision after this message. `None` for a duplicate, and for a message whose stored
    /// text contains a quotation that the caller does not have.
    pub conversation_revision: Option<(ConversationId, i64)>,
    /// Whether work on the turn had begun and was given up.
    pub turn_restarted: bool,
    /// Whether the message counts against the contact's rate limit. Duplicates and messages from blocked contacts do
    /// not.
    pub counts_against_rate: bool,
}

impl Received {
    pub(in crate::store) const DUPLICATE: Received = Received {
        outcome: ReceiveOutcome::Duplicate,
        conversation_revision: None,
        turn_restarted: false,
        counts_against_rate: false,
    };
}
