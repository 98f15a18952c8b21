//! Values that differ between our numbers, where the store needs them.

use std::fmt;
use std::sync::Arc;

/// A value for each of our numbers, looked up by the account that a conversation came through and by our address in it.
/// Clones share the lookup.
#[derive(Clone)]
pub struct PerNumber<T>(Arc<Find<T>>);

/// Takes the account and our address.
type Find<T> = dyn Fn(&str, &str) -> T + Send + Sync;

impl<T> PerNumber<T> {
    /// Creates a lookup that calls `find`.
    pub fn new(find: impl Fn(&str, &str) -> T + Send + Sync + 'static) -> PerNumber<T> {
        PerNumber(Arc::new(find))
    }

    /// Returns the value for that number.
    pub(in crate::store) fn get(&self, account: &str, ours: &str) -> T {
        self.0(account, ours)
    }
}

/// The same value for every number.
impl<T: Clone + Send + Sync + 'static> From<T> for PerNumber<T> {
    fn from(value: T) -> PerNumber<T> {
        PerNumber::new(move |_, _| value.clone())
    }
}

/// The same text for every number.
impl From<&str> for PerNumber<String> {
    fn from(text: &str) -> PerNumber<String> {
        PerNumber::from(text.to_owned())
    }
}

impl<T> fmt::Debug for PerNumber<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PerNumber")
    }
}
