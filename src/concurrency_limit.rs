//! Limits how many calls to one model run at once. The limit falls when the model reports that it is overloaded, and
//! rises slowly when it does not.

use std::sync::{Mutex, PoisonError};

use tokio::sync::{Semaphore, SemaphorePermit};

/// An adaptive limit: an overload halves it, and it rises by one after as many successful calls as are allowed at once.
#[derive(Debug)]
pub struct ConcurrencyLimit {
    permits: Semaphore,
    max: usize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    allowed: usize,
    /// Permits still to be withdrawn: they were in use when the limit was lowered.
    permits_to_withdraw: usize,
    successes: usize,
}

impl ConcurrencyLimit {
    /// Creates a limit that starts at `most`, or at 1 if `most` is 0, and never exceeds that.
    pub fn new(most: usize) -> ConcurrencyLimit {
        let max = most.max(1);
        ConcurrencyLimit {
            permits: Semaphore::new(max),
            max,
            state: Mutex::new(State { allowed: max, permits_to_withdraw: 0, successes: 0 }),
        }
    }

    /// Waits until a call may run.
    pub async fn acquire(&self) -> CallPermit<'_> {
        let permit = self.permits.acquire().await.expect("the semaphore is never closed");
        CallPermit { limit: self, permit: Some(permit) }
    }

    /// Returns the most calls that may ever run at once.
    pub fn max(&self) -> usize {
        self.max
    }

    /// Returns how many calls may run at once now.
    pub fn allowed(&self) -> usize {
        self.state().allowed
    }

    /// Halves the limit, because the model reported that it is overloaded. At least one call stays allowed.
    pub fn record_overload(&self) {
        let mut state = self.state();
        let fewer = (state.allowed / 2).max(1);
        let surplus = state.allowed - fewer;
        state.allowed = fewer;
        state.successes = 0;
        state.permits_to_withdraw += surplus - self.permits.forget_permits(surplus);
    }

    /// Counts a successful call, which may raise the limit.
    pub fn record_success(&self) {
        let mut state = self.state();
        state.successes += 1;
        if state.successes >= state.allowed && state.allowed < self.max {
            state.successes = 0;
            state.allowed += 1;
            if state.permits_to_withdraw > 0 {
                state.permits_to_withdraw -= 1;
            } else {
                self.permits.add_permits(1);
            }
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The permission to run a call. It is given back when it is dropped.
#[derive(Debug)]
pub struct CallPermit<'a> {
    limit: &'a ConcurrencyLimit,
    permit: Option<SemaphorePermit<'a>>,
}

impl Drop for CallPermit<'_> {
    fn drop(&mut self) {
        let mut state = self.limit.state();
        if state.permits_to_withdraw > 0
            && let Some(permit) = self.permit.take()
        {
            state.permits_to_withdraw -= 1;
            permit.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn overload_halves_the_limit_and_good_calls_restore_it() {
        let limit = ConcurrencyLimit::new(8);
        let places = [limit.acquire().await, limit.acquire().await, limit.acquire().await, limit.acquire().await];
        limit.record_overload();
        assert_eq!((limit.allowed(), limit.permits.available_permits()), (4, 0));
        drop(places);
        assert_eq!(limit.permits.available_permits(), 4);
        for _ in 0..4 {
            limit.record_success();
        }
        assert_eq!((limit.allowed(), limit.permits.available_permits()), (5, 5));
    }

    #[tokio::test]
    async fn places_in_use_are_taken_away_when_they_are_given_back() {
        let limit = ConcurrencyLimit::new(4);
        let mut places = Vec::new();
        for _ in 0..4 {
            places.push(limit.acquire().await);
        }
        limit.record_overload();
        limit.record_overload();
        limit.record_overload();
        assert_eq!(limit.allowed(), 1, "never zero");
        drop(places);
        assert_eq!(limit.permits.available_permits(), 1);
    }

    #[tokio::test]
    async fn a_place_that_good_calls_restore_is_no_more_than_one_that_was_not_taken_away_yet() {
        let limit = ConcurrencyLimit::new(4);
        let mut places = Vec::new();
        for _ in 0..4 {
            places.push(limit.acquire().await);
        }
        limit.record_overload();
        limit.record_success();
        limit.record_success();
        assert_eq!((limit.allowed(), limit.permits.available_permits()), (3, 0), "four calls are running");
        drop(places);
        assert_eq!(limit.permits.available_permits(), 3);
    }

    #[test]
    fn each_step_up_takes_as_many_good_calls_as_are_allowed_at_once() {
        let limit = ConcurrencyLimit::new(8);
        limit.record_overload();
        let calls = |most: usize| {
            (0..most).for_each(|_| limit.record_success());
            limit.allowed()
        };
        assert_eq!(calls(3), 4);
        limit.record_overload();
        assert_eq!(calls(1), 2, "successes before an overload do not count");
        assert_eq!(calls(1), 3);
        assert_eq!(calls(2), 3);
        assert_eq!(calls(1), 4);
    }

    #[test]
    fn a_limit_does_not_rise_above_what_it_began_with_and_lets_one_call_run() {
        let limit = ConcurrencyLimit::new(2);
        for _ in 0..20 {
            limit.record_success();
        }
        assert_eq!((limit.allowed(), limit.permits.available_permits()), (2, 2));
        assert_eq!(ConcurrencyLimit::new(0).allowed(), 1);
    }
}
