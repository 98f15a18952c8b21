//! The cache: what may be forgotten, such as the context window of a conversation and call counts for rate limits.
//!
//! A cache that fails counts as a miss, never as an error. Nothing is stored in the cache alone: after a miss, the
//! caller reads the store. To add a cache, add a file with an implementation of [`Cache`], and an arm where the app is
//! built.

mod memory;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

pub use memory::MemoryCache;

use crate::model::Rate;

/// Keeps values for a while, and counts calls against a rate.
#[async_trait]
pub trait Cache: Send + Sync {
    /// Returns the cache's name for `/readyz`: `memory`.
    fn name(&self) -> &'static str;

    /// Returns the value if it is there and has not expired.
    async fn get(&self, key: &str) -> Option<Arc<[u8]>>;

    /// Keeps a value for `ttl`. The cache may drop it sooner.
    async fn put(&self, key: &str, value: Arc<[u8]>, ttl: Duration);

    /// Drops a value.
    async fn remove(&self, key: &str);

    /// Drops all values and counts.
    async fn clear(&self);

    /// Takes one of the calls that `rate` grants to `key`. `Err` holds how long until another call is granted; nothing
    /// is taken then. A cache that has lost its count grants the call.
    async fn take_from_rate(&self, key: &str, rate: Rate) -> Result<(), Duration>;

    /// Gives back a call that was taken and turned out not to count.
    async fn return_to_rate(&self, key: &str, rate: Rate);
}
