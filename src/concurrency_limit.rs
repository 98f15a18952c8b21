//! How many calls to one model run at once: fewer when it says that it is overloaded, slowly more when it is not.

use std::sync::{Mutex, PoisonError};

use tokio::sync::{Semaphore, SemaphorePermit};

/// A limit that adapts: halved on overload, one more after as many good calls as are allowed at once.
#[derive(Debug)]
pub struct ConcurrencyLimit {
    permits: Semaphore,
    max: usize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    allowed: usize,
    /// Permits to be taken away that were in use when the limit was lowered.
    permits_to_withdraw: usize,
    successes: usize,
}

impl ConcurrencyLimit {
    /// A limit that starts at `most` and never exceeds it. `most` is at least 1.
    pub fn new(most: usize) -> ConcurrencyLimit {
        let max = most.max(1);
        ConcurrencyLimit {
            permits: Semaphore::new(max),
            max,
            state: Mutex::new(State { allowed: max, permits_to_withdraw: 0, successes: 0 }),
        }
    }

    /// Waits for a place.
    pub async fn acquire(&self) -> CallPermit<'_> {
        let permit = self.permits.acquire().await.expect("the semaphore is never closed");
        CallPermit { limit: self, permit: Some(permit) }
    }

    /// How many calls may run at once now.
    pub fn allowed(&self) -> usize {
        self.state().allowed
    }

    /// The model said that it is overloaded.
    pub fn record_overload(&self) {
        let mut state = self.state();
        let fewer = (state.allowed / 2).max(1);
        let surplus = state.allowed - fewer;
        state.allowed = fewer;
        state.successes = 0;
        state.permits_to_withdraw += surplus - self.permits.forget_permits(surplus);
    }

    /// A call went well.
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

/// A place among the calls that run; given back when it is dropped.
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
        assert_eq!(limit.allowed(), 1, "never none");
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
        assert_eq!((limit.allowed(), limit.permits.available_permits()), (3, 0), "four run");
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
        assert_eq!(calls(1), 2, "those before an overload do not count");
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
