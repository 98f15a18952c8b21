//! New ids: UUIDv7 from the time that the caller passes. They increase within this process even if the clock steps
//! back.

use std::sync::{Mutex, PoisonError};

use uuid::Uuid;

use crate::clock::Time;

/// The highest value of the counter that orders the ids of one millisecond (RFC 9562, method 1: the 12 bits of
/// `rand_a`).
const MAX_COUNTER: u16 = 0x0fff;

#[derive(Debug, Default)]
pub(in crate::store) struct IdGenerator {
    last: Mutex<(i64, u16)>,
    backdated: Mutex<(i64, u16)>,
}

impl IdGenerator {
    /// Returns the next id.
    pub(in crate::store) fn next(&self, now: Time) -> Uuid {
        let (millis, count) = {
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            *last = match *last {
                (millis, _) if now.millis() > millis => (now.millis(), 0),
                (millis, MAX_COUNTER) => (millis + 1, 0),
                (millis, count) => (millis, count + 1),
            };
            *last
        };
        uuid_v7(millis, count)
    }

    /// Returns an id for a message that was sent at `at` but is stored only now. It sorts where it would have sorted if
    /// it had been stored then. Ids for the same moment increase if they are requested one after the other.
    pub(in crate::store) fn backdated_id(&self, at: Time) -> Uuid {
        let (millis, count) = {
            let mut late = self.backdated.lock().unwrap_or_else(PoisonError::into_inner);
            let again = late.0 == at.millis();
            *late = (at.millis(), if again { late.1.saturating_add(1).min(MAX_COUNTER) } else { 0 });
            *late
        };
        uuid_v7(millis, count)
    }
}

/// Returns an id that is random except for the time and the counter.
fn uuid_v7(millis: i64, count: u16) -> Uuid {
    let mut tail = [0; 10];
    tail[..2].copy_from_slice(&count.to_be_bytes());
    tail[2..].copy_from_slice(&fastrand::u64(..).to_be_bytes());
    uuid::Builder::from_unix_timestamp_millis(u64::try_from(millis).unwrap_or(0), &tail).into_uuid()
}

/// Returns a random token. A claim hands it out, and the write that finishes the claim must present it. The token only
/// tells claims apart and is not a secret, so creating it needs no system call.
pub(in crate::store) fn new_claim_token() -> i64 {
    fastrand::i64(..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_rise_within_a_millisecond_and_when_the_clock_steps_back() {
        let ids = IdGenerator::default();
        let mut all: Vec<Uuid> = (0..10_000).map(|_| ids.next(Time(1_000_000))).collect();
        all.push(ids.next(Time(5)));
        assert!(all.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(all.iter().all(|id| id.get_version_num() == 7));
    }

    #[test]
    fn a_message_stored_late_is_ordered_by_the_time_it_was_sent() {
        let ids = IdGenerator::default();
        let (before, after) = (ids.next(Time(1_000_000)), ids.next(Time(3_000_000)));
        let late: Vec<Uuid> = [1_000_001, 2_000_000, 2_000_000, 2_000_000, 2_999_999]
            .map(|at| ids.backdated_id(Time(at)))
            .into_iter()
            .chain([after])
            .collect();
        assert!(before < late[0] && late.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(ids.backdated_id(Time(1_500_000)) < late[1], "an older message that is stored after it");
        assert!(ids.next(Time(3_000_000)) > after);
    }
}
