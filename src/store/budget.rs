//! What the model has cost: reserved before a call in the claim's own transaction, settled after it, so that any number of
//! turns at once cannot spend what is left twice. What is never settled, because the process died, stays reserved: the call
//! may have been made.
//!
//! Nothing is written here while no budget is set.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::database::{Tx, args};
use super::{Store, StoreError, StoreOptions, TurnClaim};
use crate::clock::Time;
use crate::model::{Budget, Budgets, TurnId};

const SPENT: &str = "SELECT calls, tokens, micros FROM spent WHERE period = ?2 AND scope = ?1";

const SPEND: &str = "
    INSERT INTO spent (scope, period, calls, tokens, micros) VALUES (?1, ?2, ?3, ?4, ?5)
    ON CONFLICT (period, scope) DO UPDATE SET calls = spent.calls + excluded.calls,
        tokens = spent.tokens + excluded.tokens, micros = spent.micros + excluded.micros";

const DROP: &str = "DELETE FROM spent WHERE period = ?2 AND scope = ?1";

/// Whose a turn is by now: two contacts may have become one while it ran.
const WHOSE: &str = "
    SELECT c.contact_id FROM turns t JOIN conversations c ON c.id = t.conversation_id WHERE t.id = ?1";

/// A month's name comes before those of its days.
const OLD: &str = "DELETE FROM spent WHERE period < ?1";

const RESERVED: &str = "UPDATE turns SET reserved = ?2 WHERE id = ?1";

/// Whether another turn has a call under way, for which something is set aside.
const UNDER_WAY: &str = "
    SELECT 1 FROM turns WHERE live = 0 AND state = 'running' AND reserved IS NOT NULL AND id <> ?1 LIMIT 1";

const SETTLED: &str = "UPDATE turns SET reserved = NULL WHERE id = ?1 AND reserved = ?2";

/// What calls took, or what is reserved for one before anybody knows what it takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Calls.
    pub calls: i64,
    /// Tokens, both ways.
    pub tokens: i64,
    /// Millionths of a US dollar.
    pub micros: i64,
}

impl Spent {
    fn plus(self, times: i64, other: Spent) -> Spent {
        let of = |one: i64, other: i64| one.saturating_add(other.saturating_mul(times));
        Spent {
            calls: of(self.calls, other.calls),
            tokens: of(self.tokens, other.tokens),
            micros: of(self.micros, other.micros),
        }
    }
}

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

/// One of the budgets, as it stands for one contact.
struct Account {
    scope: String,
    period: String,
    limit: Budget,
    name: &'static str,
}

/// A budget that leaves no room for a call.
pub(super) struct Full {
    /// Its name.
    pub(super) name: &'static str,
    /// Whether there may be room again soon: calls under way mostly take less than what is set aside for them.
    pub(super) for_now: bool,
}

/// Reserves a call for a claim, or says which budget is full.
pub(super) fn reserve(
    tx: &mut dyn Tx,
    options: StoreOptions,
    claim: &TurnClaim,
    now: Time,
) -> Result<Result<Option<Reservation>, Full>, StoreError> {
    let accounts = accounts(options, claim.contact, now);
    if accounts.is_empty() {
        return Ok(Ok(None));
    }
    if let Some((name, of_calls)) = over(tx, &accounts)? {
        // A call that is under way is one, whatever it takes.
        let for_now = !of_calls && tx.one(UNDER_WAY, args![claim.turn], |_| Ok(()))?.is_some();
        return Ok(Err(Full { name, for_now }));
    }
    spend(tx, &accounts, options.reserve)?;
    tx.execute(RESERVED, args![claim.turn, claim.token])?;
    let calls = Calls { reserved: 1, took: Spent::default(), unknown: 0 };
    let (contact, token, calls) = (claim.contact, claim.token, Arc::new(Mutex::new(calls)));
    Ok(Ok(Some(Reservation { contact, at: now, token, calls })))
}

/// Puts what a claim's calls took in the place of what is reserved for them. One of which nobody knows what it took keeps
/// that.
pub(super) fn settle(
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

/// What one contact spent today counts for another, who is the same person.
pub(super) fn join(tx: &mut dyn Tx, gone: i64, kept: i64, now: Time) -> Result<(), StoreError> {
    let (from, to, day) = (scope(gone), scope(kept), day(now));
    let spent = tx.one(SPENT, args![from.as_str(), day.as_str()], |row| {
        Ok(Spent { calls: row.int(0)?, tokens: row.int(1)?, micros: row.int(2)? })
    })?;
    if let Some(spent) = spent {
        tx.execute(SPEND, args![to.as_str(), day.as_str(), spent.calls, spent.tokens, spent.micros])?;
        tx.execute(DROP, args![from.as_str(), day.as_str()])?;
    }
    Ok(())
}

/// The name of a budget that is spent, if one is, and whether it is one of calls.
fn over(tx: &mut dyn Tx, accounts: &[Account]) -> Result<Option<(&'static str, bool)>, StoreError> {
    let mut full = None;
    for account in accounts {
        let spent = tx.one(SPENT, args![account.scope.as_str(), account.period.as_str()], |row| {
            Ok(Spent { calls: row.int(0)?, tokens: row.int(1)?, micros: row.int(2)? })
        })?;
        let spent = spent.unwrap_or_default();
        let over = |limit: Option<i64>, spent: i64| limit.is_some_and(|limit| spent >= limit);
        let limit = account.limit;
        if over(limit.calls, spent.calls) {
            return Ok(Some((account.name, true)));
        }
        if over(limit.tokens, spent.tokens) || over(limit.micros, spent.micros) {
            full = full.or(Some((account.name, false)));
        }
    }
    Ok(full)
}

impl Store {
    /// Reserves what is lacking for another call by a claim, as where the next model is asked. `false`: a budget is spent,
    /// and it may not be made.
    pub async fn reserve_another(&self, claim: &TurnClaim) -> Result<bool, StoreError> {
        let Some(reservation) = claim.reservation.clone() else { return Ok(true) };
        let calls = *reservation.calls();
        let lacking = calls.took.calls + 1 - calls.reserved;
        if lacking <= 0 {
            return Ok(true);
        }
        let (options, turn, of) = (self.options, claim.turn, reservation.clone());
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
    pub async fn settle(&self, claim: &TurnClaim) -> Result<(), StoreError> {
        let (turn, reservation, options) = (claim.turn, claim.reservation.clone(), self.options);
        if reservation.is_none() {
            return Ok(());
        }
        self.write(move |tx| settle(tx, options, turn, reservation.as_ref())).await
    }

    /// Forgets what was spent in the months before that one; how many figures.
    pub async fn forget_spending(&self, before: Time) -> Result<u64, StoreError> {
        self.write(move |tx| tx.execute(OLD, args![month(before).as_str()])).await
    }
}

fn spend(tx: &mut dyn Tx, accounts: &[Account], spent: Spent) -> Result<(), StoreError> {
    for account in accounts {
        let (scope, period) = (account.scope.as_str(), account.period.as_str());
        tx.execute(SPEND, args![scope, period, spent.calls, spent.tokens, spent.micros])?;
    }
    Ok(())
}

/// The budgets that are set.
fn accounts(options: StoreOptions, contact: i64, at: Time) -> Vec<Account> {
    let budgets = options.budgets;
    if budgets == Budgets::NONE {
        return Vec::new();
    }
    let (day, month) = (day(at), month(at));
    [
        (scope(contact), day.clone(), budgets.contact_day, "of one contact for a day"),
        ("all".to_owned(), day, budgets.day, "of all for a day"),
        ("all".to_owned(), month, budgets.month, "of all for a month"),
    ]
    .into_iter()
    .filter(|(_, _, limit, _)| !limit.is_none())
    .map(|(scope, period, limit, name)| Account { scope, period, limit, name })
    .collect()
}

fn scope(contact: i64) -> String {
    format!("contact {contact}")
}

/// `2026-11-01`, in UTC.
fn day(at: Time) -> String {
    at.to_string().chars().take(10).collect()
}

/// `2026-11`.
fn month(at: Time) -> String {
    at.to_string().chars().take(7).collect()
}
