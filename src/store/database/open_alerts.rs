//! The alerts that are not well again, in memory.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The alerts that are not well again, by cause and subject, so that a success without an alert before it costs no
/// write. Clones share it.
#[derive(Clone, Debug, Default)]
pub(in crate::store) struct OpenAlerts(Arc<Mutex<BTreeSet<(String, String)>>>);

impl OpenAlerts {
    pub(in crate::store) fn insert(&self, alert: (String, String)) {
        self.lock().insert(alert);
    }

    pub(in crate::store) fn extend(&self, alerts: Vec<(String, String)>) {
        self.lock().extend(alerts);
    }

    /// Returns whether it was there.
    pub(in crate::store) fn remove(&self, alert: &(String, String)) -> bool {
        self.lock().remove(alert)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<(String, String)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
