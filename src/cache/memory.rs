//! The cache of one process. It is bounded in bytes and evicts the values that are used least.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use moka::Expiry;
use moka::sync::Cache as Moka;

use super::Cache;
use crate::clock::{Clock, Time};
use crate::model::Rate;

/// The most bytes of values kept. A context window of 20 messages takes about 10 KB, so this holds the windows of some
/// 400 conversations. Windows that are evicted are read from the store again.
const MAX_VALUE_BYTES: u64 = 4 * 1024 * 1024;

/// Keeps values in a moka cache and rates in a plain map: every webhook counts a call, and a single number for each
/// caller does not need moka's bookkeeping.
pub struct MemoryCache {
    clock: Arc<dyn Clock>,
    values: Moka<String, Value>,
    /// The theoretical arrival time of each caller's next call; see [`Rate`].
    next_arrivals: Mutex<HashMap<String, Time>>,
}

#[derive(Clone)]
struct Value {
    bytes: Arc<[u8]>,
    ttl: Duration,
    expires_at: Time,
}

/// moka expires values by the machine's clock, which is good enough to free memory. Whether a value is still valid is
/// decided by `expires_at`, which is a time of our clock.
struct ValueExpiry;

impl Expiry<String, Value> for ValueExpiry {
    fn expire_after_create(&self, _: &String, value: &Value, _: Instant) -> Option<Duration> {
        Some(value.ttl)
    }

    fn expire_after_update(&self, _: &String, value: &Value, _: Instant, _: Option<Duration>) -> Option<Duration> {
        Some(value.ttl)
    }
}

impl MemoryCache {
    /// The most callers whose rates are kept at once.
    pub const MAX_CALLERS: usize = 50_000;

    /// Creates an empty cache.
    pub fn new(clock: Arc<dyn Clock>) -> MemoryCache {
        let weight = |key: &String, value: &Value| u32::try_from(key.len() + value.bytes.len()).unwrap_or(u32::MAX);
        MemoryCache {
            clock,
            values: Moka::builder().max_capacity(MAX_VALUE_BYTES).weigher(weight).expire_after(ValueExpiry).build(),
            next_arrivals: Mutex::default(),
        }
    }
}

#[async_trait]
impl Cache for MemoryCache {
    fn name(&self) -> &'static str {
        "memory"
    }

    async fn get(&self, key: &str) -> Option<Arc<[u8]>> {
        let value = self.values.get(key)?;
        (self.clock.now() < value.expires_at).then_some(value.bytes)
    }

    async fn put(&self, key: &str, bytes: Arc<[u8]>, ttl: Duration) {
        let expires_at = self.clock.now() + ttl;
        self.values.insert(key.to_owned(), Value { bytes, ttl, expires_at });
    }

    async fn remove(&self, key: &str) {
        self.values.invalidate(key);
    }

    async fn clear(&self) {
        self.values.invalidate_all();
        // Invalidated values stay in memory until this.
        self.values.run_pending_tasks();
        self.next_arrivals.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    async fn take_from_rate(&self, key: &str, rate: Rate) -> Result<(), Duration> {
        let now = self.clock.now();
        let mut rates = self.next_arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(arrival) = rates.get_mut(key) {
            *arrival = rate.take(Some(*arrival), now)?;
            return Ok(());
        }
        if rates.len() >= MemoryCache::MAX_CALLERS {
            // A caller whose arrival time has passed has its whole burst again, like an unknown caller. If all are
            // busy, all counts start over: a cache may forget them.
            rates.retain(|_, arrival| *arrival > now);
            if rates.len() >= MemoryCache::MAX_CALLERS {
                rates.clear();
            }
        }
        rates.insert(key.to_owned(), rate.take(None, now)?);
        Ok(())
    }

    async fn return_to_rate(&self, key: &str, rate: Rate) {
        if let Some(arrival) = self.next_arrivals.lock().unwrap_or_else(PoisonError::into_inner).get_mut(key) {
            *arrival = rate.give_back(*arrival);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::clock::ManualClock;

    fn cache() -> (Arc<ManualClock>, MemoryCache) {
        let clock = Arc::new(ManualClock::new(Time(1_000_000)));
        (Arc::clone(&clock), MemoryCache::new(clock))
    }

    #[tokio::test]
    async fn a_value_is_kept_until_its_time_has_run_out_or_it_is_forgotten() {
        let (clock, cache) = cache();
        let value: Arc<[u8]> = Arc::from(&b"window"[..]);
        cache.put("a", Arc::clone(&value), Duration::from_secs(60)).await;
        cache.put("b", Arc::clone(&value), Duration::from_secs(60)).await;
        cache.remove("b").await;
        assert_eq!((cache.get("a").await, cache.get("b").await), (Some(value), None));
        clock.advance(Duration::from_secs(60));
        assert_eq!(cache.get("a").await, None);
    }

    #[tokio::test]
    async fn each_key_has_a_rate_of_its_own() {
        let (clock, cache) = cache();
        let rate = Rate { max_calls: NonZeroU32::MIN, period: Duration::from_secs(10) };
        assert_eq!(cache.take_from_rate("a", rate).await, Ok(()));
        assert_eq!(cache.take_from_rate("b", rate).await, Ok(()));
        assert_eq!(cache.take_from_rate("a", rate).await, Err(Duration::from_secs(10)));
        clock.advance(Duration::from_secs(10));
        assert_eq!(cache.take_from_rate("a", rate).await, Ok(()));
    }

    #[tokio::test]
    async fn the_cache_is_bounded() {
        let (clock, cache) = cache();
        let rate = Rate { max_calls: NonZeroU32::MIN, period: Duration::from_secs(10) };
        for number in 0..MemoryCache::MAX_CALLERS + 10 {
            assert!(cache.take_from_rate(&number.to_string(), rate).await.is_ok());
        }
        assert!(cache.next_arrivals.lock().unwrap().len() <= MemoryCache::MAX_CALLERS);
        clock.advance(Duration::from_secs(10));
        let value: Arc<[u8]> = vec![0; 64 * 1024].into();
        for number in 0..500 {
            cache.put(&number.to_string(), Arc::clone(&value), Duration::from_secs(60)).await;
        }
        cache.values.run_pending_tasks();
        assert!(cache.values.weighted_size() <= MAX_VALUE_BYTES, "{}", cache.values.weighted_size());
    }
}
