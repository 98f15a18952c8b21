//! The usage of model calls. It is recorded as the calls are made, so that it is also known for an attempt that fails
//! or is aborted.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::model::Usage;

/// Counts the calls of one attempt at one model.
#[derive(Debug, Default)]
pub struct Meter(Mutex<MeteredUsage>);

/// The usage so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MeteredUsage {
    /// Calls that were sent.
    pub calls: u32,
    /// Calls among those whose usage is unknown.
    pub calls_of_unknown_usage: u32,
    /// The tokens that the other calls read and wrote.
    pub usage: Usage,
}

impl Meter {
    /// Records that a call is sent. Its usage is unknown until one of the other methods records it.
    pub fn record_sent(&self) {
        let mut taken = self.lock();
        taken.calls += 1;
        taken.calls_of_unknown_usage += 1;
    }

    /// Records that the server refused the last call before it did any work.
    pub fn record_refused(&self) {
        self.record_usage(Usage::default());
    }

    /// Records the usage of the last call.
    pub fn record_usage(&self, usage: Usage) {
        let mut taken = self.lock();
        taken.calls_of_unknown_usage = taken.calls_of_unknown_usage.saturating_sub(1);
        taken.usage.input_tokens = taken.usage.input_tokens.saturating_add(usage.input_tokens);
        taken.usage.output_tokens = taken.usage.output_tokens.saturating_add(usage.output_tokens);
    }

    /// Returns the usage so far.
    pub fn total(&self) -> MeteredUsage {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, MeteredUsage> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
