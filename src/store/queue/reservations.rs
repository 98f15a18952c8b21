//! What a claim may cost: reserved in its own transaction before a call to the model, settled after it, so that any number of
//! turns at once cannot spend what is left twice. What is never settled, because the process died, stays reserved: the call
//! may have been made.
//!
//! Nothing is written here while no budget is set.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::clock::Time;
use crate::model::{Spent, TurnId};
use crate::store::database::Store;
use crate::store::database::StoreError;
use crate::store::database::StoreOptions;
use crate::store::database::Tx;
use crate::store::database::args;
use crate::store::operations::budget::accounts;
use crate::store::operations::budget::over;
use crate::store::operations::budget::spend;

/// Whose a turn is by now: two contacts may have become one while it ran.
const WHOSE: &str = "
    SELECT c.contact_id FROM turns t JOIN conversations c ON c.id = t.conversation_id WHERE t.id = ?1";

const RESERVED: &str = "UPDATE turns SET reserved = ?2 WHERE id = ?1";

/// Whether another turn has a call under way, for which something is set aside.
const UNDER_WAY: &str = "
    SELECT 1 FROM turns WHERE live = 0 AND state = 'running' AND reserved IS NOT NULL AND id <> ?1 LIMIT 1";

const SETTLED: &str = "UPDATE turns SET reserved = NULL WHERE id = ?1 AND reserved = ?2";

/// What a claim has reserved, and when: it counts for that day and month, whenever it is settled. The turn bears the
/// claim's token until then, so that it is settled once, whatever became of the turn.
#[derive(Clone, Debug)]
pub struct Reservation {
    contact: i64,
    at: Time,
    token: i64,
    calls: Arc<Mutex<Calls>>,
}

/// The calls of one claim.
#[derive(Clone, Copy, Debug)]
struct Calls {
    /// How many are reserved.
    reserved: i64,
    /// What those took of which that is known, and the number of all that were made.
    took: Spent,
    /// Those of which nobody knows what they took.
    unknown: i64,
}

impl Reservation {
    /// Notes calls that were made: what they took, but for `unknown` of them.
    pub fn note(&self, took: Spent, unknown: i64) {
        let mut calls = self.calls();
        calls.took = calls.took.plus(1, took);
        calls.unknown += unknown;
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The same where it is the same claim's.
impl PartialEq for Reservation {
    fn eq(&self, other: &Reservation) -> bool {
        (self.contact, self.at, self.token) == (other.contact, other.at, other.token)
    }
}

impl Eq for Reservation {}

/// A budget that leaves no room for a call.
pub(in crate::store) struct Full {
    /// Its name.
    pub(in crate::store) name: &'static str,
    /// Whether there may be room again soon: calls under way mostly take less than what is set aside for them.
    pub(in crate::store) for_now: bool,
}

/// Reserves a call for a claim, or says which budget is full.
pub(in crate::store) fn reserve(
    tx: &mut dyn Tx,
    options: StoreOptions,
    (turn, contact, token): (TurnId, i64, i64),
    now: Time,
) -> Result<Result<Option<Reservation>, Full>, StoreError> {
    let accounts = accounts(options, contact, now);
    if accounts.is_empty() {
        return Ok(Ok(None));
    }
    if let Some((name, of_calls)) = over(tx, &accounts)? {
        // A call that is under way is one, whatever it takes.
        let for_now = !of_calls && tx.one(UNDER_WAY, args![turn], |_| Ok(()))?.is_some();
        return Ok(Err(Full { name, for_now }));
    }
    spend(tx, &accounts, options.reserve)?;
    tx.execute(RESERVED, args![turn, token])?;
    let calls = Calls { reserved: 1, took: Spent::default(), unknown: 0 };
    Ok(Ok(Some(Reservation { contact, at: now, token, calls: Arc::new(Mutex::new(calls)) })))
}

/// Puts what a claim's calls took in the place of what is reserved for them. One of which nobody knows what it took keeps
/// that.
pub(in crate::store) fn settle(
    tx: &mut dyn Tx,
    options: StoreOptions,
    turn: TurnId,
    reservation: Option<&Reservation>,
) -> Result<(), StoreError> {
    let Some(reservation) = reservation else { return Ok(()) };
    if tx.execute(SETTLED, args![turn, reservation.token])? == 0 {
        return Ok(());
    }
    let calls = *reservation.calls();
    let estimate = Spent { calls: 0, ..options.reserve };
    let rest = calls.took.plus(calls.unknown, estimate).plus(-calls.reserved, options.reserve);
    if rest == Spent::default() {
        return Ok(());
    }
    let contact = whose(tx, turn, reservation)?;
    spend(tx, &accounts(options, contact, reservation.at), rest)
}

fn whose(tx: &mut dyn Tx, turn: TurnId, reservation: &Reservation) -> Result<i64, StoreError> {
    Ok(tx.one(WHOSE, args![turn], |row| row.int(0))?.unwrap_or(reservation.contact))
}

impl Store {
    /// Reserves what is lacking for another call by a claim, as where the next model is asked. `false`: a budget is spent,
    /// and it may not be made.
    pub async fn reserve_another(&self, turn: TurnId, reservation: &Reservation) -> Result<bool, StoreError> {
        let calls = *reservation.calls();
        let lacking = calls.took.calls + 1 - calls.reserved;
        if lacking <= 0 {
            return Ok(true);
        }
        let (options, of) = (self.options, reservation.clone());
        let reserved = self.write_for_good(move |tx| {
            let contact = whose(tx, turn, &of)?;
            let accounts = accounts(options, contact, of.at);
            if over(tx, &accounts)?.is_some() {
                return Ok(false);
            }
            spend(tx, &accounts, Spent::default().plus(lacking, options.reserve))?;
            Ok(true)
        });
        let reserved = reserved.await?;
        if reserved {
            reservation.calls().reserved += lacking;
        }
        Ok(reserved)
    }

    /// Settles what a claim has reserved, where the turn was taken from it and it has nothing else to write.
    pub async fn settle(&self, turn: TurnId, reservation: &Reservation) -> Result<(), StoreError> {
        let (reservation, options) = (reservation.clone(), self.options);
        self.write(move |tx| settle(tx, options, turn, Some(&reservation))).await
    }
}
