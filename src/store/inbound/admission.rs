//! What is known about a message before it is stored, and what became of it.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Time;
use crate::model::{Address, Command, ConversationId, TurnId};
use crate::store::queue::request::BuiltInRequest;

/// What was found out about a message before it is stored. The default is a message like any other.
#[derive(Clone, Debug, Default)]
pub struct Admission {
    /// The account at the provider that it came through; empty where there is but one.
    pub account: String,
    /// What it asks for that no model answers.
    pub command: Option<Command>,
    /// Whether its sender is of those who may talk.
    pub sender: SenderStatus,
    /// Who may talk where not everyone may: a sender may be known by an address that did not come along.
    pub allowed_senders: Arc<[Address]>,
    /// How long until the sender's rate allows an answer, where it does not now.
    pub rate_wait: Option<Duration>,
    /// What tells a contact that asks for too much to slow down, and how often it may be said.
    pub slow_down_notice: Option<(String, Duration)>,
    /// What tells strangers that the assistant is not for them; `None` says nothing.
    pub refusal_text: Option<String>,
    /// Whether the model is asked again where it works on the messages before this one.
    pub restart_running_turn: bool,
    /// Where its webhook never came, and it was found at the provider.
    pub missed_webhook: Option<MissedWebhook>,
}

/// A message of which no webhook came. `received_at` is when it was said, by the provider's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MissedWebhook {
    /// When it was found.
    pub found_at: Time,
    /// Whether that is too late to answer it: it is stored and shown, and a STOP or START is obeyed.
    pub is_too_old: bool,
}

impl Admission {
    /// What the message asks for, where it is nothing but a word for that: the model is not shown it.
    pub fn request(&self) -> Option<BuiltInRequest> {
        match self.sender {
            SenderStatus::HasPairingCode => Some(BuiltInRequest::Admitted),
            _ => self.command.map(BuiltInRequest::Command),
        }
    }
}

/// Whether somebody may talk, as far as the configuration tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SenderStatus {
    /// Yes.
    #[default]
    Allowed,
    /// Only if let in before.
    Unknown,
    /// From now on: the message is the pairing code.
    HasPairingCode,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiveOutcome {
    /// It is stored and a turn will answer it.
    Queued(TurnId),
    /// It is stored and not answered: its turn says why.
    Skipped(TurnId),
    /// It was stored before; nothing changed.
    Duplicate,
}

/// What became of a message, and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// What became of it.
    pub outcome: ReceiveOutcome,
    /// Its conversation, with the revision that the message gave it; `None` where it was known.
    pub conversation_revision: Option<(ConversationId, i64)>,
    /// Whether the work on its turn had begun and is given up.
    pub turn_restarted: bool,
    /// Whether it is one of those that use up the contact's rate: not what was known, nor what is blocked.
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
