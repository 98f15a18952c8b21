//! Turns: the work of answering everything that a contact has said since the last answer.

use std::fmt;

/// The id of a turn. The ids of turns in one conversation increase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TurnId(pub i64);

impl fmt::Display for TurnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The state of a turn: `open → running → sending → done`, or `retry`, `dead`, `expired` or `skipped`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TurnState {
    /// The turn still takes messages. It waits for its merge window and for the turn before it.
    Open,
    /// A worker is answering the turn.
    Running,
    /// An attempt failed, and another follows.
    Retry,
    /// The reply is stored, and its parts are being sent.
    Sending,
    /// The turn is answered.
    Done,
    /// mynah gave up. The reason is recorded.
    Dead,
    /// The deadline passed before the turn was answered.
    Expired,
    /// The turn must not be answered. The reason is recorded.
    Skipped,
}

impl TurnState {
    /// All states.
    pub const ALL: [TurnState; 8] = [
        TurnState::Open,
        TurnState::Running,
        TurnState::Retry,
        TurnState::Sending,
        TurnState::Done,
        TurnState::Dead,
        TurnState::Expired,
        TurnState::Skipped,
    ];

    /// Returns the stored name.
    pub const fn as_str(self) -> &'static str {
        match self {
            TurnState::Open => "open",
            TurnState::Running => "running",
            TurnState::Retry => "retry",
            TurnState::Sending => "sending",
            TurnState::Done => "done",
            TurnState::Dead => "dead",
            TurnState::Expired => "expired",
            TurnState::Skipped => "skipped",
        }
    }

    /// Reads the stored name.
    pub fn parse(text: &str) -> Option<TurnState> {
        TurnState::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// The tokens that a model call used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Input tokens, including cached ones.
    pub input_tokens: u32,
    /// Output tokens, including hidden reasoning.
    pub output_tokens: u32,
    /// Whether the provider gave no figures, so that these are characters divided by four.
    pub estimated: bool,
}
