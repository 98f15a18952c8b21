//! Limits the values of a label whose values come from outside.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// The label value of everything beyond the limit.
pub(super) const OTHER: &str = "other";

/// Admits the first values that it sees, up to a limit. Each value costs memory here and in Prometheus for as long as
/// the process runs.
pub(super) struct LabelLimit<T> {
    most: usize,
    seen: Mutex<BTreeSet<T>>,
}

impl<T: Ord> LabelLimit<T> {
    pub(super) fn new(most: usize) -> LabelLimit<T> {
        LabelLimit { most, seen: Mutex::default() }
    }

    /// Returns whether the value may have a label of its own.
    pub(super) fn admits(&self, value: T) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.contains(&value) || (seen.len() < self.most && seen.insert(value))
    }
}
