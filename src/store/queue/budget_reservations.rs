//! Budget reservations. A claim reserves the budget for a call to the model in its own transaction, before the call,
//! and settles the reservation after the call, so that any number of turns at once cannot spend what is left twice. A
//! reservation that is never settled, because the process died, stays reserved: the call may have been made.
//!
//! Nothing is written here while no budget is set.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::clock::Time;
use crate::model::{Charge, TurnId};
use crate::store::database::{Store, StoreError, StoreOptions, Tx, args};
use crate::store::operations::budget::{active_budgets, add_charge, exhausted_budget};

/// The contact that a turn belongs to now. Two contacts may have been merged while it ran.
const CONTACT_OF_TURN: &str = "
    SELECT c.contact_id FROM turns t JOIN conversations c ON c.id = t.conversation_id WHERE t.id = ?1";

const SET_RESERVED: &str = "UPDATE turns SET reserved = ?2 WHERE id = ?1";

/// Finds another turn that has a call in progress with a reservation.
const HAS_OTHER_CALL: &str = "
    SELECT 1 FROM turns WHERE live = 0 AND state = 'running' AND reserved IS NOT NULL AND id <> ?1 LIMIT 1";

const CLEAR_RESERVED: &str = "UPDATE turns SET reserved = NULL WHERE id = ?1 AND reserved = ?2";

/// What a claim has reserved, and when. It counts for that day and month, whenever it is settled. The turn stores the
/// claim's token until then, so that the reservation is settled once, however the turn ends.
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
    /// How many calls are reserved.
    reserved: i64,
    /// The charge of the calls whose usage is known. Its `calls` counts all calls that were made.
    known_charge: Charge,
    /// How many calls have unknown usage.
    unknown_charges: i64,
}

impl Reservation {
    /// Records calls that were made: their charge, and how many of them have unknown usage.
    pub fn record_calls(&self, took: Charge, unknown: i64) {
        let mut calls = self.calls();
        calls.known_charge = calls.known_charge.add_times(1, took);
        calls.unknown_charges += unknown;
    }

    fn calls(&self) -> MutexGuard<'_, ClaimedCalls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Two reservations are equal if they belong to the same claim.
impl PartialEq for Reservation {
    fn eq(&self, other: &Reservation) -> bool {
        (self.contact, self.at, self.token) == (other.contact, other.at, other.token)
    }
}

impl Eq for Reservation {}

/// A budget that has no room for a call.
pub(in crate::store) struct BudgetExhausted {
    /// The budget's name.
    pub(in crate::store) name: &'static str,
    /// Whether there may be room again soon: calls in progress mostly use less than their reservation.
    pub(in crate::store) is_temporary: bool,
}

/// Reserves a call for a claim, or returns the budget that is full. Reserves nothing if no budget is set.
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
        // In a budget of calls, a call in progress counts as one, whatever it uses.
        let for_now = !limits_calls && tx.fetch_optional(HAS_OTHER_CALL, args![turn], |_| Ok(()))?.is_some();
        return Ok(Err(BudgetExhausted { name, is_temporary: for_now }));
    }
    add_charge(tx, &accounts, options.call_reservation)?;
    tx.execute(SET_RESERVED, args![turn, token])?;
    let calls = ClaimedCalls { reserved: 1, known_charge: Charge::default(), unknown_charges: 0 };
    Ok(Ok(Some(Reservation { contact, at: now, token, calls: Arc::new(Mutex::new(calls)) })))
}

/// Replaces the reservation of a claim with the charge of its calls. A call with unknown usage keeps its reservation.
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
    /// Reserves what another call by a claim needs beyond its reservation, as when the next model is asked. Returns
    /// `false` if a budget is exhausted; the call must not be made then.
    pub async fn reserve_another_call(&self, turn: TurnId, reservation: &Reservation) -> Result<bool, StoreError> {
        let calls = *reservation.calls();
        let missing_calls = calls.known_charge.calls + 1 - calls.reserved;
        if missing_calls <= 0 {
            return Ok(true);
        }
        let (options, of) = (self.options, reservation.clone());
        let reserved = self.write_without_timeout(move |tx| {
            // Nothing is charged for a contact who was erased while the turn ran.
            let Some(contact) = tx.fetch_optional(CONTACT_OF_TURN, args![turn], |row| row.int(0))? else {
                return Ok(false);
            };
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
}
