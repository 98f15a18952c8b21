//! What calls take, noted as they are made, so that it is known of a try that fails or is given up in the middle, too.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::model::Usage;

/// The calls of one try at one model.
#[derive(Debug, Default)]
pub struct Meter(Mutex<Taken>);

/// What they took so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Calls that were sent.
    pub calls: u32,
    /// How many of those took nobody knows what.
    pub unknown: u32,
    /// What the others read and wrote.
    pub usage: Usage,
}

impl Meter {
    /// A call goes out. Until more is heard of it, nobody knows what it takes.
    pub fn sent(&self) {
        let mut taken = self.state();
        taken.calls += 1;
        taken.unknown += 1;
    }

    /// The call that was sent last was refused before any work.
    pub fn refused(&self) {
        self.used(Usage::default());
    }

    /// The call that was sent last took that.
    pub fn used(&self, usage: Usage) {
        let mut taken = self.state();
        taken.unknown = taken.unknown.saturating_sub(1);
        taken.usage.input_tokens = taken.usage.input_tokens.saturating_add(usage.input_tokens);
        taken.usage.output_tokens = taken.usage.output_tokens.saturating_add(usage.output_tokens);
    }

    /// What is known.
    pub fn taken(&self) -> Taken {
        *self.state()
    }

    fn state(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
