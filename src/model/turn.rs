//! The work of answering what a contact has said since the last answer.

use std::fmt;

/// Names a turn. Turns of one conversation have rising numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TurnId(pub i64);

impl fmt::Display for TurnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where a turn stands: `open → running → sending → done`, with `retry`, `dead`, `expired` and `skipped`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TurnState {
    /// Still takes messages; waits for its merge window and for the turn before it.
    Open,
    /// A worker asks the model.
    Running,
    /// An attempt failed; another follows.
    Retry,
    /// The reply is stored; its parts are on their way.
    Sending,
    /// Answered.
    Done,
    /// Given up; the reason is recorded.
    Dead,
    /// Its deadline passed before it could be answered.
    Expired,
    /// Not answered, on purpose; the reason is recorded.
    Skipped,
}

impl TurnState {
    /// All of them.
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

    /// The stored name.
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

/// Tokens that a model call took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens read, cached ones included.
    pub input_tokens: u32,
    /// Tokens written, hidden reasoning included.
    pub output_tokens: u32,
    /// Whether the provider told no figures and these are characters divided by four.
    pub estimated: bool,
}
