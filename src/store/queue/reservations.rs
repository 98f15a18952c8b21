//! What a claim may cost: reserved in its own transaction before a call to the model, settled after it, so that any number of
//! turns at once cannot spend what is left twice. What is never settled, because the process died, stays reserved: the call
//! may have been made.
//!
//! Nothing is written here while no budget is set.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::clock::Time;
use crate::model::{Charge, TurnId};
use crate::store::database::Store;
use crate::store::database::StoreError;
use crate::store::database::StoreOptions;
use crate::store::database::Tx;
use crate::store::database::args;
use crate::store::operations::budget::active_budgets;
use crate::store::operations::budget::add_charge;
use crate::store::operations::budget::exhausted_budget;

/// Whose a turn is by now: two contacts may have become one while it ran.
const CONTACT_OF_TURN: &str = "
    SELECT c.contact_id FROM turns t JOIN conversations c ON c.id = t.conversation_id WHERE t.id = ?1";

const SET_RESERVED: &str = "UPDATE turns SET reserved = ?2 WHERE id = ?1";

/// Whether another turn has a call under way, for which something is set aside.
const HAS_OTHER_CALL: &str = "
    SELECT 1 FROM turns WHERE live = 0 AND state = 'running' AND reserved IS NOT NULL AND id <> ?1 LIMIT 1";

const CLEAR_RESERVED: &str = "UPDATE turns SET reserved = NULL WHERE id = ?1 AND reserved = ?2";

/// What a claim has reserved, and when: it counts for that day and month, whenever it is settled. The turn bears the
/// claim's token until then, so that it is settled once, whatever became of the turn.
#[derive(Clone, Debug)]
pub struct Reservation {
    contact: i64,
    at: Time,
    token: i64,
    calls: Arc<Mutex<ClaimedCalls>>,
}

/// The calls of one claim.
#[derive(Clone, Copy, Debug)]
struct ClaimedCalls {
    /// How many are reserved.
    reserved: i64,
    /// What those took of which that is known, and the number of all that were made.
    known_charge: Charge,
    /// Those of which nobody knows what they took.
    unknown_charges: i64,
}

impl Reservation {
    /// Notes calls that were made: what they took, but for `unknown` of them.
    pub fn record_calls(&self, took: Charge, unknown: i64) {
        let mut calls = self.calls();
        calls.known_charge = calls.known_charge.add_times(1, took);
        calls.unknown_charges += unknown;
    }

    fn calls(&self) -> MutexGuard<'_, ClaimedCalls> {
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
pub(in crate::store) struct BudgetExhausted {
    /// Its name.
    pub(in crate::store) name: &'static str,
    /// Whether there may be room again soon: calls under way mostly take less than what is set aside for them.
    pub(in crate::store) is_temporary: bool,
}

/// Reserves a call for a claim, or says which budget is full.
pub(in crate::store) fn reserve(
    tx: &mut dyn Tx,
    options: StoreOptions,
    (turn, contact, token): (TurnId, i64, i64),
    now: Time,
) -> Result<Result<Option<Reservation>, BudgetExhausted>, StoreError> {
    let accounts = active_budgets(options, contact, now);
    if accounts.is_empty() {
        return Ok(Ok(None));
    }
    if let Some((name, limits_calls)) = exhausted_budget(tx, &accounts)? {
        // A call that is under way is one, whatever it takes.
        let for_now = !limits_calls && tx.fetch_optional(HAS_OTHER_CALL, args![turn], |_| Ok(()))?.is_some();
        return Ok(Err(BudgetExhausted { name, is_temporary: for_now }));
    }
    add_charge(tx, &accounts, options.call_reservation)?;
    tx.execute(SET_RESERVED, args![turn, token])?;
    let calls = ClaimedCalls { reserved: 1, known_charge: Charge::default(), unknown_charges: 0 };
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
    if tx.execute(CLEAR_RESERVED, args![turn, reservation.token])? == 0 {
        return Ok(());
    }
    let calls = *reservation.calls();
    let estimate = Charge { calls: 0, ..options.call_reservation };
    let correction = calls
        .known_charge
        .add_times(calls.unknown_charges, estimate)
        .add_times(-calls.reserved, options.call_reservation);
    if correction == Charge::default() {
        return Ok(());
    }
    let contact = contact_of_turn(tx, turn, reservation)?;
    add_charge(tx, &active_budgets(options, contact, reservation.at), correction)
}

fn contact_of_turn(tx: &mut dyn Tx, turn: TurnId, reservation: &Reservation) -> Result<i64, StoreError> {
    Ok(tx.fetch_optional(CONTACT_OF_TURN, args![turn], |row| row.int(0))?.unwrap_or(reservation.contact))
}

impl Store {
    /// Reserves what is lacking for another call by a claim, as where the next model is asked. `false`: a budget is spent,
    /// and it may not be made.
    pub async fn reserve_another_call(&self, turn: TurnId, reservation: &Reservation) -> Result<bool, StoreError> {
        let calls = *reservation.calls();
        let missing_calls = calls.known_charge.calls + 1 - calls.reserved;
        if missing_calls <= 0 {
            return Ok(true);
        }
        let (options, of) = (self.options, reservation.clone());
        let reserved = self.write_without_timeout(move |tx| {
            let contact = contact_of_turn(tx, turn, &of)?;
            let accounts = active_budgets(options, contact, of.at);
            if exhausted_budget(tx, &accounts)?.is_some() {
                return Ok(false);
            }
            add_charge(tx, &accounts, Charge::default().add_times(missing_calls, options.call_reservation))?;
            Ok(true)
        });
        let reserved = reserved.await?;
        if reserved {
            reservation.calls().reserved += missing_calls;
        }
        Ok(reserved)
    }

    /// Settles what a claim has reserved, where the turn was taken from it and it has nothing else to write.
    pub async fn settle_reservation(&self, turn: TurnId, reservation: &Reservation) -> Result<(), StoreError> {
        let (reservation, options) = (reservation.clone(), self.options);
        self.write(move |tx| settle(tx, options, turn, Some(&reservation))).await
    }
}
