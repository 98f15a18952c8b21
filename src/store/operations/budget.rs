//! What the model has cost, and the budgets that say how much it may.

use crate::clock::Time;
use crate::model::{Budget, Budgets, Charge};
use crate::store::database::Store;
use crate::store::database::StoreError;
use crate::store::database::StoreOptions;
use crate::store::database::Tx;
use crate::store::database::args;

const CHARGED: &str = "SELECT calls, tokens, micros FROM spent WHERE period = ?2 AND scope = ?1";

const ADD_CHARGE: &str = "
    INSERT INTO spent (scope, period, calls, tokens, micros) VALUES (?1, ?2, ?3, ?4, ?5)
    ON CONFLICT (period, scope) DO UPDATE SET calls = spent.calls + excluded.calls,
        tokens = spent.tokens + excluded.tokens, micros = spent.micros + excluded.micros";

const DROP: &str = "DELETE FROM spent WHERE period = ?2 AND scope = ?1";

/// A month's name comes before those of its days.
const OLD: &str = "DELETE FROM spent WHERE period < ?1";

/// One of the budgets, as it stands for one contact.
pub(in crate::store) struct ActiveBudget {
    scope: String,
    period: String,
    limit: Budget,
    name: &'static str,
}

/// What one contact spent today counts for another, who is the same person.
pub(in crate::store) fn merge_daily_charges(
    tx: &mut dyn Tx,
    gone: i64,
    kept: i64,
    now: Time,
) -> Result<(), StoreError> {
    let (from, to, day) = (scope(gone), scope(kept), day(now));
    let spent = tx.fetch_optional(CHARGED, args![from.as_str(), day.as_str()], |row| {
        Ok(Charge { calls: row.int(0)?, tokens: row.int(1)?, micros: row.int(2)? })
    })?;
    if let Some(spent) = spent {
        tx.execute(ADD_CHARGE, args![to.as_str(), day.as_str(), spent.calls, spent.tokens, spent.micros])?;
        tx.execute(DROP, args![from.as_str(), day.as_str()])?;
    }
    Ok(())
}

/// The name of a budget that is spent, if one is, and whether it is one of calls.
pub(in crate::store) fn exhausted_budget(
    tx: &mut dyn Tx,
    accounts: &[ActiveBudget],
) -> Result<Option<(&'static str, bool)>, StoreError> {
    let mut full = None;
    for account in accounts {
        let spent = tx.fetch_optional(CHARGED, args![account.scope.as_str(), account.period.as_str()], |row| {
            Ok(Charge { calls: row.int(0)?, tokens: row.int(1)?, micros: row.int(2)? })
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
    /// Forgets what was spent in the months before that one; how many figures.
    pub async fn delete_old_charges(&self, before: Time) -> Result<u64, StoreError> {
        self.write(move |tx| tx.execute(OLD, args![month(before).as_str()])).await
    }
}

pub(in crate::store) fn add_charge(
    tx: &mut dyn Tx,
    accounts: &[ActiveBudget],
    spent: Charge,
) -> Result<(), StoreError> {
    for account in accounts {
        let (scope, period) = (account.scope.as_str(), account.period.as_str());
        tx.execute(ADD_CHARGE, args![scope, period, spent.calls, spent.tokens, spent.micros])?;
    }
    Ok(())
}

/// The budgets that are set.
pub(in crate::store) fn active_budgets(options: StoreOptions, contact: i64, at: Time) -> Vec<ActiveBudget> {
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
    .map(|(scope, period, limit, name)| ActiveBudget { scope, period, limit, name })
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
