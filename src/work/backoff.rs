//! Backoff with jitter, so that calls that failed together are not retried together.

use std::time::Duration;

/// Attempts at one answer before mynah apologizes. With the waits below, they take about a quarter of an hour.
pub(super) const MAX_TURN_ATTEMPTS: i64 = 8;

pub(super) const TURN_FIRST_WAIT: Duration = Duration::from_secs(2);

pub(super) const TURN_LONGEST_WAIT: Duration = Duration::from_secs(300);

/// Returns the wait before the next attempt: `minimum`, if any, plus a random time between one eighth and the whole of
/// `base · 2^(attempt - 1)`, where that is at most `cap`. `attempt` counts from 1.
pub(super) fn wait(attempt: i64, base: Duration, cap: Duration, minimum: Option<Duration>) -> Duration {
    let doublings = u32::try_from(attempt.saturating_sub(1)).unwrap_or(0).min(20);
    let ceiling = base.saturating_mul(1 << doublings).min(cap);
    // If random numbers are not available, the ceiling itself is a valid wait.
    let share = getrandom::u32().unwrap_or(u32::MAX);
    let share = f64::from(share) / f64::from(u32::MAX);
    let wait = ceiling.mul_f64(0.125 + 0.875 * share);
    minimum.map_or(wait, |least| least + wait)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn waits_grow_to_a_cap_and_never_fall_below_what_the_provider_asked() {
        for attempt in 1..40 {
            assert!(wait(attempt, SECOND, SECOND * 60, None) <= SECOND * 60);
            assert!(wait(attempt, SECOND, SECOND * 60, Some(SECOND * 90)) >= SECOND * 90);
        }
        assert!(wait(1, SECOND, SECOND * 60, None) <= SECOND);
        let shortest = (0..200).map(|_| wait(1, SECOND, SECOND * 60, None)).min().unwrap();
        assert!(shortest >= SECOND / 8, "what has just failed is not repeated at once: {shortest:?}");
        let longest = (0..200).map(|_| wait(10, SECOND, SECOND * 60, None)).max().unwrap();
        assert!(longest > SECOND * 30, "jitter spans the whole range: {longest:?}");
    }
}
