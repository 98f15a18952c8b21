//! A circuit breaker for a model provider. After several failures in a row the provider is not called for a while.
//! Turns then wait or go to another provider instead of spending their attempts, and a provider in trouble gets no
//! calls while it is down.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Time;

/// Failures in a row that open the breaker.
const FAILURE_THRESHOLD: u32 = 5;

/// How long the breaker is open at first. The time doubles each time the probe that follows fails.
const INITIAL_OPEN_TIME: Duration = Duration::from_secs(30);

const MAX_OPEN_TIME: Duration = Duration::from_secs(600);

/// How long other calls wait for the outcome of a probe.
const PROBE_WAIT: Duration = Duration::from_secs(5);

/// The circuit breaker of one provider.
#[derive(Debug, Default)]
pub struct CircuitBreaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    failures: u32,
    times_opened: u32,
    open_until: Option<Time>,
    probing: bool,
}

impl State {
    fn retry_at(&self, now: Time) -> Option<Time> {
        match self.open_until {
            Some(until) if now < until => Some(until),
            Some(_) if self.probing => Some(now + PROBE_WAIT),
            _ => None,
        }
    }
}

impl CircuitBreaker {
    /// Returns until when the provider is not called, if the breaker is open or a probe is running: there is no use in
    /// queuing for it before then.
    pub fn rests(&self, now: Time) -> Option<Time> {
        self.state().retry_at(now)
    }

    /// Checks whether the provider may be called. If not, `Err` holds when to check again. Once the open time has
    /// passed, one call goes through as a probe, and the others wait for its outcome.
    pub fn try_call(&self, now: Time) -> Result<(), Time> {
        let mut state = self.state();
        if let Some(until) = state.retry_at(now) {
            return Err(until);
        }
        state.probing = state.open_until.is_some();
        Ok(())
    }

    /// Closes the breaker, because the provider answered.
    pub fn record_success(&self) {
        *self.state() = State::default();
    }

    /// Ends a probe without a verdict, because the failure was not the provider's fault, or because nobody waited for
    /// the answer.
    pub fn end_probe_undecided(&self) {
        self.state().probing = false;
    }

    /// Counts a failure of the provider. `after` is how long the provider asks to be left alone. Returns whether this
    /// failure opened the breaker.
    pub fn record_failure(&self, after: Option<Duration>, now: Time) -> bool {
        let mut state = self.state();
        state.failures += 1;
        if !state.probing && (state.open_until.is_some() || state.failures < FAILURE_THRESHOLD) {
            return false;
        }
        let wait = INITIAL_OPEN_TIME.saturating_mul(1 << state.times_opened.min(10)).min(MAX_OPEN_TIME);
        state.times_opened += 1;
        state.open_until = Some(now + after.map_or(wait, |after| after.min(MAX_OPEN_TIME).max(wait)));
        state.probing = false;
        true
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(seconds: u64) -> Time {
        Time(1_000_000) + Duration::from_secs(seconds)
    }

    #[test]
    fn five_failures_in_a_row_open_it_and_one_probe_closes_it_again() {
        let breaker = CircuitBreaker::default();
        for failure in 1..=5 {
            assert_eq!(breaker.try_call(after(0)), Ok(()));
            assert_eq!(breaker.record_failure(None, after(0)), failure == 5);
        }
        assert_eq!(breaker.try_call(after(29)), Err(after(30)));
        assert_eq!(breaker.try_call(after(30)), Ok(()), "the probe");
        assert_eq!(breaker.try_call(after(30)), Err(after(35)), "and the others wait for it");
        assert!(breaker.record_failure(None, after(31)));
        assert_eq!(breaker.try_call(after(90)), Err(after(91)), "twice as long");
        assert_eq!(breaker.try_call(after(91)), Ok(()));
        breaker.record_success();
        assert_eq!(breaker.try_call(after(91)), Ok(()));
        assert!(!breaker.record_failure(None, after(91)), "the count starts over");
        for failure in 2..=5 {
            assert_eq!(breaker.record_failure(None, after(91)), failure == 5);
        }
        assert_eq!(breaker.try_call(after(92)), Err(after(121)), "and so does the wait");
    }

    #[test]
    fn calls_that_were_under_way_when_it_opened_and_fail_after_that_change_nothing() {
        let breaker = CircuitBreaker::default();
        for failure in 1..=9 {
            assert_eq!(breaker.record_failure(None, after(failure)), failure == 5);
        }
        assert_eq!(breaker.try_call(after(34)), Err(after(35)));
        assert_eq!(breaker.try_call(after(35)), Ok(()));
    }

    #[test]
    fn a_provider_that_is_down_for_days_is_asked_every_ten_minutes_whatever_it_asks_for() {
        for asks in [None, Some(Duration::from_secs(1)), Some(Duration::from_secs(3_600))] {
            let breaker = CircuitBreaker::default();
            for _ in 0..5 {
                breaker.record_failure(None, after(0));
            }
            assert_eq!(breaker.rests(after(0)), Some(after(30)));
            let mut now = 30;
            for probe in 1..=70 {
                assert_eq!(breaker.try_call(after(now)), Ok(()));
                assert!(breaker.record_failure(asks, after(now)));
                let wait = if asks == Some(Duration::from_secs(3_600)) {
                    600
                } else {
                    [60, 120, 240, 480, 600][4.min(probe - 1)]
                };
                assert_eq!(breaker.rests(after(now)), Some(after(now + wait)), "{asks:?} {probe}");
                now += wait;
            }
        }
    }

    #[test]
    fn an_answer_between_begins_the_count_anew_and_what_is_no_fault_of_the_provider_does_not_count() {
        let breaker = CircuitBreaker::default();
        for _ in 0..20 {
            for _ in 0..4 {
                assert!(!breaker.record_failure(None, after(0)));
                breaker.end_probe_undecided();
            }
            breaker.record_success();
        }
        assert_eq!(breaker.try_call(after(0)), Ok(()));
    }

    #[test]
    fn a_provider_that_asks_for_longer_is_left_alone_for_longer() {
        let breaker = CircuitBreaker::default();
        for _ in 0..5 {
            breaker.record_failure(Some(Duration::from_secs(120)), after(0));
        }
        assert_eq!(breaker.try_call(after(100)), Err(after(120)));
        assert_eq!(breaker.try_call(after(120)), Ok(()));
        breaker.end_probe_undecided();
        assert_eq!(breaker.try_call(after(120)), Ok(()), "a probe without a verdict is repeated");
    }
}
