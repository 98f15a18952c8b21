//! Rate limits by the generic cell rate algorithm (ITU-T I.371). Each call moves a "theoretical arrival time" forward
//! by one interval, and is granted while that time lies no more than a whole period ahead. The only state is one number
//! for each key, so it can be kept in any cache. A library with state of its own could not be shared between machines.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::clock::Time;

/// A number of calls in a period: a burst of that many at once, then one at a time, evenly spaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// The number of calls, at least one.
    pub max_calls: NonZeroU32,
    /// The period in which they are granted.
    pub period: Duration,
}

impl Rate {
    /// Returns the new theoretical arrival time after one more call at `now`. `Err` holds how long until a call is
    /// granted.
    pub fn take(self, arrival: Option<Time>, now: Time) -> Result<Time, Duration> {
        let interval = self.interval();
        // A clock that was set back must not lock anyone out for longer than a period.
        let limit = interval.saturating_mul(i64::from(self.max_calls.get()));
        let ahead = arrival.map_or(0, |arrival| (arrival.0 - now.0).clamp(0, limit));
        let next = ahead + interval;
        if next > limit {
            return Err(Duration::from_millis(u64::try_from(next - limit).unwrap_or(1)));
        }
        Ok(Time(now.0 + next))
    }

    /// Returns the theoretical arrival time without one call that was granted and turned out not to count.
    pub fn give_back(self, arrival: Time) -> Time {
        Time(arrival.0 - self.interval())
    }

    /// Returns the time between two calls, in milliseconds. It is rounded up, because otherwise a period of a few
    /// milliseconds would grant calls without end.
    fn interval(self) -> i64 {
        let period = i64::try_from(self.period.as_millis()).unwrap_or(i64::MAX / 4).max(1);
        (period + i64::from(self.max_calls.get()) - 1) / i64::from(self.max_calls.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWENTY_A_MINUTE: Rate =
        Rate { max_calls: NonZeroU32::new(20).expect("twenty"), period: Duration::from_secs(60) };

    #[test]
    fn a_burst_is_granted_and_then_one_for_each_interval() {
        let (mut state, mut now) = (None, Time(1_000_000));
        for _ in 0..20 {
            state = Some(TWENTY_A_MINUTE.take(state, now).unwrap());
        }
        assert_eq!(TWENTY_A_MINUTE.take(state, now), Err(Duration::from_secs(3)));
        now = now + Duration::from_millis(2_999);
        assert_eq!(TWENTY_A_MINUTE.take(state, now), Err(Duration::from_millis(1)));
        now = now + Duration::from_millis(1);
        state = Some(TWENTY_A_MINUTE.take(state, now).unwrap());
        assert_eq!(TWENTY_A_MINUTE.take(state, now), Err(Duration::from_secs(3)));
        // A quiet minute restores the whole burst, and no more.
        now = now + Duration::from_secs(600);
        for _ in 0..20 {
            state = Some(TWENTY_A_MINUTE.take(state, now).unwrap());
        }
        assert!(TWENTY_A_MINUTE.take(state, now).is_err());
    }

    #[test]
    fn a_returned_call_is_granted_again_once() {
        let now = Time(1_000_000);
        let mut state = None;
        for _ in 0..20 {
            state = Some(TWENTY_A_MINUTE.take(state, now).unwrap());
        }
        state = state.map(|state| TWENTY_A_MINUTE.give_back(state));
        state = Some(TWENTY_A_MINUTE.take(state, now).unwrap());
        assert!(TWENTY_A_MINUTE.take(state, now).is_err());
        // A caller who has been quiet since then does not save anything up.
        state = state.map(|state| TWENTY_A_MINUTE.give_back(TWENTY_A_MINUTE.give_back(state)));
        let later = now + Duration::from_secs(600);
        for _ in 0..20 {
            state = Some(TWENTY_A_MINUTE.take(state, later).unwrap());
        }
        assert!(TWENTY_A_MINUTE.take(state, later).is_err());
    }

    #[test]
    fn a_clock_that_was_set_back_shuts_nobody_out_for_longer_than_a_period() {
        let state = Some(Time(10_000_000));
        let wait = TWENTY_A_MINUTE.take(state, Time(1_000)).unwrap_err();
        assert!(wait <= Duration::from_secs(60), "{wait:?}");
    }
}
