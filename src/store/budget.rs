//! What the model has cost: reserved before a call in the claim's own transaction, settled after it, so that any number of
//! turns at once cannot spend what is left twice.
//!
//! Nothing is written here while no budget is set.

use super::database::{Tx, args};
use super::{Store, StoreError, StoreOptions};
use crate::clock::Time;
use crate::model::Budget;

const SPENT: &str = "SELECT calls, tokens, micros FROM spent WHERE period = ?2 AND scope = ?1";

const SPEND: &str = "
    INSERT INTO spent (scope, period, calls, tokens, micros) VALUES (?1, ?2, ?3, ?4, ?5)
    ON CONFLICT (period, scope) DO UPDATE SET calls = spent.calls + excluded.calls,
        tokens = spent.tokens + excluded.tokens, micros = spent.micros + excluded.micros";

/// A month's name comes before those of its days.
const OLD: &str = "DELETE FROM spent WHERE period < ?1";

/// What one call is reserved with, before anybody knows what it takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Calls.
    pub calls: i64,
    /// Tokens, both ways.
    pub tokens: i64,
    /// Millionths of a US dollar.
    pub micros: i64,
}

/// What a claim has reserved, and when: it counts for that day and month, whenever it is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// Who wrote.
    pub contact: i64,
    /// The claim's time.
    pub at: Time,
}

/// One of the budgets, as it stands for one contact.
struct Account {
    scope: String,
    period: String,
    limit: Budget,
    name: &'static str,
}

/// Reserves a call, or says which budget is spent.
pub(super) fn reserve(
    tx: &mut dyn Tx,
    options: StoreOptions,
    contact: i64,
    now: Time,
) -> Result<Result<Option<Reservation>, &'static str>, StoreError> {
    let reservation = Reservation { contact, at: now };
    let accounts = accounts(options, reservation);
    for account in &accounts {
        let spent = tx.one(SPENT, args![account.scope.as_str(), account.period.as_str()], |row| {
            Ok(Spent { calls: row.int(0)?, tokens: row.int(1)?, micros: row.int(2)? })
        })?;
        let spent = spent.unwrap_or_default();
        let over = |limit: Option<i64>, spent: i64| limit.is_some_and(|limit| spent >= limit);
        let limit = account.limit;
        if over(limit.calls, spent.calls) || over(limit.tokens, spent.tokens) || over(limit.micros, spent.micros) {
            return Ok(Err(account.name));
        }
    }
    if accounts.is_empty() {
        return Ok(Ok(None));
    }
    spend(tx, &accounts, Spent { calls: 1, ..options.reserve })?;
    Ok(Ok(Some(reservation)))
}

/// Puts what a call took in the place of what was reserved for it. One that was not made gives back its `calls`, too.
pub(super) fn settle(
    tx: &mut dyn Tx,
    options: StoreOptions,
    reservation: Reservation,
    took: Spent,
) -> Result<(), StoreError> {
    let rest = Spent {
        calls: took.calls - 1,
        tokens: took.tokens - options.reserve.tokens,
        micros: took.micros - options.reserve.micros,
    };
    if rest == Spent::default() { Ok(()) } else { spend(tx, &accounts(options, reservation), rest) }
}

impl Store {
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
fn accounts(options: StoreOptions, reservation: Reservation) -> Vec<Account> {
    let budgets = options.budgets;
    let (day, month) = (day(reservation.at), month(reservation.at));
    [
        (scope(reservation.contact), day.clone(), budgets.contact_day, "of one contact for a day"),
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
