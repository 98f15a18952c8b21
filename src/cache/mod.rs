//! What may be forgotten: a window of a conversation, how often somebody called.
//!
//! A cache that is broken is a miss, never an error, and nothing lives only here: whoever reads a miss goes to the store.
//! To add a cache: a file with an implementation of [`Cache`], and an arm where the app is built.

mod memory;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

pub use memory::MemoryCache;

use crate::model::Rate;

/// Keeps values for a while, and counts by rate.
#[async_trait]
pub trait Cache: Send + Sync {
    /// For `/readyz`: `memory`.
    fn name(&self) -> &'static str;

    /// The value, if it is there and its time has not run out.
    async fn get(&self, key: &str) -> Option<Arc<[u8]>>;

    /// Keeps a value for that long. It may go sooner.
    async fn put(&self, key: &str, value: Arc<[u8]>, ttl: Duration);

    /// Drops a value.
    async fn remove(&self, key: &str);

    /// Takes one of what `rate` grants to `key`. `Err` is how long until there is another; nothing was taken then. A
    /// cache that has lost its count grants.
    async fn take_from_rate(&self, key: &str, rate: Rate) -> Result<(), Duration>;

    /// Gives back what was taken for a call that turned out to be none.
    async fn return_to_rate(&self, key: &str, rate: Rate);
}
