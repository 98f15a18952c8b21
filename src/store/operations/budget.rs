//! What model calls have cost, and the budgets that limit it.

use crate::clock::Time;
use crate::model::{Budget, Budgets, Charge};
use crate::store::database::{Store, StoreError, StoreOptions, Tx, args};

const CHARGED: &str = "SELECT calls, tokens, micros FROM spent WHERE period = ?2 AND scope = ?1";

const ADD_CHARGE: &str = "
    INSERT INTO spent (scope, period, calls, tokens, micros) VALUES (?1, ?2, ?3, ?4, ?5)
    ON CONFLICT (period, scope) DO UPDATE SET calls = spent.calls + excluded.calls,
        tokens = spent.tokens + excluded.tokens, micros = spent.micros + excluded.micros";

const DROP: &str = "DELETE FROM spent WHERE period = ?2 AND scope = ?1";

/// A month's name sorts before the names of its days.
const OLD: &str = "DELETE FROM spent WHERE period < ?1";

/// The names of the budgets that all contacts share, of which there is one alert each.
const SHARED_BUDGETS: [&str; 2] = ["of all for a day", "of all for a month"];

/// A budget that is set, as it applies to one contact.
pub(in crate::store) struct ActiveBudget {
    scope: String,
    period: String,
    limit: Budget,
    name: &'static str,
}

/// Adds what the contact `gone` spent today to the contact `kept`, who is the same person.
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

/// Returns the name of a spent budget, if there is one, and whether its limit on calls is reached. A limit on calls
/// takes precedence over limits on tokens and money.
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
    /// Returns the names of the budgets that all contacts share and that have room for a call, or are not set.
    pub async fn shared_budgets_with_room(&self, now: Time) -> Result<Vec<&'static str>, StoreError> {
        let options = self.options;
        self.read(move |tx| {
            // No contact has this number, so nothing is charged to it.
            let mut accounts = active_budgets(options, 0, now);
            let mut with_room = SHARED_BUDGETS.to_vec();
            while let Some(account) = accounts.pop() {
                let name = account.name;
                if exhausted_budget(tx, &[account])?.is_some() {
                    with_room.retain(|other| *other != name);
                }
            }
            Ok(with_room)
        })
        .await
    }

    /// Deletes the figures of the months before the one of `before`. Returns how many figures it deleted.
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

/// Returns the budgets that are set, for one contact and the day and month of `at`.
pub(in crate::store) fn active_budgets(options: StoreOptions, contact: i64, at: Time) -> Vec<ActiveBudget> {
    let budgets = options.budgets;
    if budgets == Budgets::NONE {
        return Vec::new();
    }
    let (day, month) = (day(at), month(at));
    // The names are subjects of alerts, which count by them and which `alert list --json` prints: they stay as they are.
    [
        (scope(contact), day.clone(), budgets.contact_day, "of one contact for a day"),
        ("all".to_owned(), day, budgets.day, SHARED_BUDGETS[0]),
        ("all".to_owned(), month, budgets.month, SHARED_BUDGETS[1]),
    ]
    .into_iter()
    .filter(|(_, _, limit, _)| !limit.is_none())
    .map(|(scope, period, limit, name)| ActiveBudget { scope, period, limit, name })
    .collect()
}

fn scope(contact: i64) -> String {
    format!("contact {contact}")
}

/// Returns the day in UTC, such as `2026-11-01`.
fn day(at: Time) -> String {
    at.to_string().chars().take(10).collect()
}

/// Returns the month in UTC, such as `2026-11`.
fn month(at: Time) -> String {
    at.to_string().chars().take(7).collect()
}
