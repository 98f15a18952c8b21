//! What calls take, noted as they are made, so that it is known of a try that fails or is given up in the middle, too.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::model::Usage;

/// The calls of one try at one model.
#[derive(Debug, Default)]
pub struct Meter(Mutex<MeteredUsage>);

/// What they took so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MeteredUsage {
    /// Calls that were sent.
    pub calls: u32,
    /// How many of those took nobody knows what.
    pub calls_of_unknown_usage: u32,
    /// What the others read and wrote.
    pub usage: Usage,
}

impl Meter {
    /// A call goes out. Until more is heard of it, nobody knows what it takes.
    pub fn record_sent(&self) {
        let mut taken = self.lock();
        taken.calls += 1;
        taken.calls_of_unknown_usage += 1;
    }

    /// The call that was sent last was refused before any work.
    pub fn record_refused(&self) {
        self.record_usage(Usage::default());
    }

    /// The call that was sent last took that.
    pub fn record_usage(&self, usage: Usage) {
        let mut taken = self.lock();
        taken.calls_of_unknown_usage = taken.calls_of_unknown_usage.saturating_sub(1);
        taken.usage.input_tokens = taken.usage.input_tokens.saturating_add(usage.input_tokens);
        taken.usage.output_tokens = taken.usage.output_tokens.saturating_add(usage.output_tokens);
    }

    /// What is known.
    pub fn total(&self) -> MeteredUsage {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, MeteredUsage> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
