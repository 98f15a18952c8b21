//! What is known about a message before it is stored, and what became of it.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Time;
use crate::model::{Address, Command, ConversationId, TurnId};
use crate::store::queue::request::Request;

/// What was found out about a message before it is stored. The default is a message like any other.
#[derive(Clone, Debug, Default)]
pub struct Reception {
    /// The account at the provider that it came through; empty where there is but one.
    pub account: String,
    /// What it asks for that no model answers.
    pub command: Option<Command>,
    /// Whether its sender is of those who may talk.
    pub stranger: Stranger,
    /// Who may talk where not everyone may: a sender may be known by an address that did not come along.
    pub allowed: Arc<[Address]>,
    /// How long until the sender's rate allows an answer, where it does not now.
    pub wait: Option<Duration>,
    /// What tells a contact that asks for too much to slow down, and how often it may be said.
    pub slow_down: Option<(String, Duration)>,
    /// What tells strangers that the assistant is not for them; `None` says nothing.
    pub refusal: Option<String>,
    /// Whether the model is asked again where it works on the messages before this one.
    pub restart: bool,
    /// Where its webhook never came, and it was found at the provider.
    pub missed: Option<Missed>,
}

/// A message of which no webhook came. `received_at` is when it was said, by the provider's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missed {
    /// When it was found.
    pub found_at: Time,
    /// Whether that is too late to answer it: it is stored and shown, and a STOP or START is obeyed.
    pub too_old: bool,
}

impl Reception {
    /// What the message asks for, where it is nothing but a word for that: the model is not shown it.
    pub fn word(&self) -> Option<Request> {
        match self.stranger {
            Stranger::WithCode => Some(Request::Admitted),
            _ => self.command.map(Request::Command),
        }
    }
}

/// Whether somebody may talk, as far as the configuration tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stranger {
    /// Yes.
    #[default]
    No,
    /// Only if let in before.
    Yes,
    /// From now on: the message is the pairing code.
    WithCode,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// It is stored and a turn will answer it.
    New(TurnId),
    /// It is stored and not answered: its turn says why.
    Skipped(TurnId),
    /// It was stored before; nothing changed.
    Known,
}

/// What became of a message, and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// What became of it.
    pub accepted: Accepted,
    /// Its conversation, with the revision that the message gave it; `None` where it was known.
    pub place: Option<(ConversationId, i64)>,
    /// Whether the work on its turn had begun and is given up.
    pub restarted: bool,
    /// Whether it is one of those that use up the contact's rate: not what was known, nor what is blocked.
    pub counts: bool,
}

impl Received {
    pub(in crate::store) const KNOWN: Received =
        Received { accepted: Accepted::Known, place: None, restarted: false, counts: false };
}
