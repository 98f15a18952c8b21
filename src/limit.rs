//! How many calls to one model run at once: fewer when it says that it is overloaded, slowly more when it is not.

use std::sync::{Mutex, PoisonError};

use tokio::sync::{Semaphore, SemaphorePermit};

/// A limit that adapts: halved on overload, one more after as many good calls as are allowed at once.
#[derive(Debug)]
pub struct Limit {
    permits: Semaphore,
    most: usize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    allowed: usize,
    /// Permits to be taken away that were in use when the limit was lowered.
    owed: usize,
    good: usize,
}

impl Limit {
    /// A limit that starts at `most` and never exceeds it. `most` is at least 1.
    pub fn new(most: usize) -> Limit {
        let most = most.max(1);
        Limit { permits: Semaphore::new(most), most, state: Mutex::new(State { allowed: most, owed: 0, good: 0 }) }
    }

    /// Waits for a place.
    pub async fn enter(&self) -> Place<'_> {
        let permit = self.permits.acquire().await.expect("the semaphore is never closed");
        Place { limit: self, permit: Some(permit) }
    }

    /// How many calls may run at once now.
    pub fn allowed(&self) -> usize {
        self.state().allowed
    }

    /// The model said that it is overloaded.
    pub fn overloaded(&self) {
        let mut state = self.state();
        let fewer = (state.allowed / 2).max(1);
        let surplus = state.allowed - fewer;
        state.allowed = fewer;
        state.good = 0;
        state.owed += surplus - self.permits.forget_permits(surplus);
    }

    /// A call went well.
    pub fn went_well(&self) {
        let mut state = self.state();
        state.good += 1;
        if state.good >= state.allowed && state.allowed < self.most {
            state.good = 0;
            state.allowed += 1;
            if state.owed > 0 {
                state.owed -= 1;
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
pub struct Place<'a> {
    limit: &'a Limit,
    permit: Option<SemaphorePermit<'a>>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.limit.state();
        if state.owed > 0
            && let Some(permit) = self.permit.take()
        {
            state.owed -= 1;
            permit.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn overload_halves_the_limit_and_good_calls_restore_it() {
        let limit = Limit::new(8);
        let places = [limit.enter().await, limit.enter().await, limit.enter().await, limit.enter().await];
        limit.overloaded();
        assert_eq!((limit.allowed(), limit.permits.available_permits()), (4, 0));
        drop(places);
        assert_eq!(limit.permits.available_permits(), 4);
        for _ in 0..4 {
            limit.went_well();
        }
        assert_eq!((limit.allowed(), limit.permits.available_permits()), (5, 5));
    }

    #[tokio::test]
    async fn places_in_use_are_taken_away_when_they_are_given_back() {
        let limit = Limit::new(4);
        let mut places = Vec::new();
        for _ in 0..4 {
            places.push(limit.enter().await);
        }
        limit.overloaded();
        limit.overloaded();
        limit.overloaded();
        assert_eq!(limit.allowed(), 1, "never none");
        drop(places);
        assert_eq!(limit.permits.available_permits(), 1);
    }

    #[tokio::test]
    async fn a_place_that_good_calls_restore_is_no_more_than_one_that_was_not_taken_away_yet() {
        let limit = Limit::new(4);
        let mut places = Vec::new();
        for _ in 0..4 {
            places.push(limit.enter().await);
        }
        limit.overloaded();
        limit.went_well();
        limit.went_well();
        assert_eq!((limit.allowed(), limit.permits.available_permits()), (3, 0), "four run");
        drop(places);
        assert_eq!(limit.permits.available_permits(), 3);
    }

    #[test]
    fn each_step_up_takes_as_many_good_calls_as_are_allowed_at_once() {
        let limit = Limit::new(8);
        limit.overloaded();
        let calls = |most: usize| {
            (0..most).for_each(|_| limit.went_well());
            limit.allowed()
        };
        assert_eq!(calls(3), 4);
        limit.overloaded();
        assert_eq!(calls(1), 2, "those before an overload do not count");
        assert_eq!(calls(1), 3);
        assert_eq!(calls(2), 3);
        assert_eq!(calls(1), 4);
    }

    #[test]
    fn a_limit_does_not_rise_above_what_it_began_with_and_lets_one_call_run() {
        let limit = Limit::new(2);
        for _ in 0..20 {
            limit.went_well();
        }
        assert_eq!((limit.allowed(), limit.permits.available_permits()), (2, 2));
        assert_eq!(Limit::new(0).allowed(), 1);
    }
}
