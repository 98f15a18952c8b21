//! How long contacts wait for replies.

use std::time::Duration;

use prometheus::{Histogram, Registry};

use super::register;

/// A model answers within seconds. A turn that waits for a model is given up after a quarter of an hour, and one that
/// is retried after about an hour.
const WAIT_BUCKETS: [f64; 14] = [0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 13.0, 20.0, 30.0, 60.0, 300.0, 900.0, 3600.0];

/// What a turn was answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyKind {
    /// A model's answer.
    Answer,
    /// A fixed text, such as the reply to a command.
    FixedText,
    /// An apology, because there is no answer. The turn ends dead.
    Apology,
    /// An operator's message.
    Operator,
}

impl ReplyKind {
    const ALL: [ReplyKind; 4] = [ReplyKind::Answer, ReplyKind::FixedText, ReplyKind::Apology, ReplyKind::Operator];

    const fn as_str(self) -> &'static str {
        match self {
            ReplyKind::Answer => "answer",
            ReplyKind::FixedText => "fixed_text",
            ReplyKind::Apology => "apology",
            ReplyKind::Operator => "operator",
        }
    }
}

/// Measures how long turns take.
pub struct TurnMetrics([Histogram; ReplyKind::ALL.len()]);

impl TurnMetrics {
    pub(super) fn register(registry: &Registry) -> TurnMetrics {
        let all = register::histograms(
            registry,
            "mynah_turn_duration_seconds",
            "Time from a contact's last message to the first attempt to send the reply to it, by what the reply is.",
            &["reply"],
            &WAIT_BUCKETS,
        );
        TurnMetrics(ReplyKind::ALL.map(|kind| all.with_label_values(&[kind.as_str()])))
    }

    /// Records a reply whose first message was posted after the contact had waited this long.
    pub fn record(&self, reply: ReplyKind, waited: Duration) {
        self.0[reply as usize].observe(waited.as_secs_f64());
    }
}
