//! Waiting for something to happen, and random numbers that can be repeated.

use std::time::{Duration, Instant};

/// Longer than anything here takes on a slow machine, so that a test that fails ends.
pub const TEST_TIMEOUT: Duration = Duration::from_secs(60);

/// Asks again and again until the answer is `Some`. Panics after `limit`, saying what was awaited.
pub async fn wait_until<T, F: Future<Output = Option<T>>>(
    what: &str,
    limit: Duration,
    mut ask: impl FnMut() -> F,
) -> T {
    let began = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(began.elapsed() < limit, "not within {} s: {what}", limit.as_secs());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A number from the environment, or the default.
#[cfg(feature = "failpoints")]
pub fn env_number(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a whole number")),
        Err(_) => default,
    }
}

/// SplitMix64: the same numbers from the same seed.
#[derive(Debug)]
pub struct SeededRandom(pub u64);

impl SeededRandom {
    /// A number below `end`, which is not zero.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}
