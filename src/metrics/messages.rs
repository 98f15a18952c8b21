//! Messages from contacts.

use prometheus::{IntCounter, Registry};

use super::register;

/// How a message reached mynah.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageSource {
    /// By a webhook.
    Webhook,
    /// By the catch-up, because its webhook never came.
    CatchUp,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageOutcome {
    /// It is stored and waits for an answer.
    Queued,
    /// It is stored and is not answered.
    Skipped,
    /// It was stored before.
    Duplicate,
}

impl MessageSource {
    const ALL: [MessageSource; 2] = [MessageSource::Webhook, MessageSource::CatchUp];

    const fn as_str(self) -> &'static str {
        match self {
            MessageSource::Webhook => "webhook",
            MessageSource::CatchUp => "catch_up",
        }
    }
}

impl MessageOutcome {
    const ALL: [MessageOutcome; 3] = [MessageOutcome::Queued, MessageOutcome::Skipped, MessageOutcome::Duplicate];

    const fn as_str(self) -> &'static str {
        match self {
            MessageOutcome::Queued => "queued",
            MessageOutcome::Skipped => "skipped",
            MessageOutcome::Duplicate => "duplicate",
        }
    }
}

/// Counts messages from contacts.
pub struct MessageMetrics([[IntCounter; MessageOutcome::ALL.len()]; MessageSource::ALL.len()]);

impl MessageMetrics {
    pub(super) fn register(registry: &Registry) -> MessageMetrics {
        let all = register::counters(
            registry,
            "mynah_messages_received_total",
            "Messages from contacts, by how they came and what became of them.",
            &["source", "outcome"],
        );
        MessageMetrics(MessageSource::ALL.map(|source| {
            MessageOutcome::ALL.map(|outcome| all.with_label_values(&[source.as_str(), outcome.as_str()]))
        }))
    }

    /// Records a message.
    pub fn record(&self, source: MessageSource, outcome: MessageOutcome) {
        self.0[source as usize][outcome as usize].inc();
    }
}
