//! Alerts: what the owner should know. They are durable, and repeats are counted.

use crate::clock::Time;
use crate::store::database::{Row, Store, StoreError, Tx, args};

const AGAIN: &str = "
    UPDATE alerts SET
        count = CASE WHEN resolved_at IS NULL THEN count + 1 ELSE 1 END,
        first_at = CASE WHEN resolved_at IS NULL THEN first_at ELSE ?4 END,
        told_count = CASE WHEN resolved_at IS NULL THEN told_count ELSE 0 END,
        resolved_at = NULL, untold = 1, last_at = ?4, message = ?3
    WHERE cause = ?1 AND subject = ?2";

const NEW: &str = "
    INSERT INTO alerts (cause, subject, message, first_at, last_at, count, untold) VALUES (?1, ?2, ?3, ?4, ?4, 1, 1)";

const LATEST: &str = "
    SELECT cause, subject, message, first_at, last_at, count, resolved_at FROM alerts ORDER BY last_at DESC LIMIT ?1";

const OPEN: &str = "
    SELECT cause, subject FROM alerts WHERE resolved_at IS NULL ORDER BY last_at DESC LIMIT 1000";

const RESOLVE: &str = "
    UPDATE alerts SET resolved_at = ?3, untold = CASE WHEN told_count > 0 THEN 1 END
    WHERE cause = ?1 AND subject = ?2 AND resolved_at IS NULL";

/// An alert: something that the owner should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// The cause: a word such as `hand_over`.
    pub cause: String,
    /// What it is about, such as a conversation's id.
    pub subject: String,
    /// A sentence about the latest occurrence.
    pub message: String,
    /// When it first occurred.
    pub first_at: Time,
    /// When it last occurred.
    pub last_at: Time,
    /// How often it occurred since then.
    pub count: i64,
    /// When it was well again; `None` while it is not, and for alerts that say nothing of a state.
    pub resolved_at: Option<Time>,
}

impl Store {
    /// Records an alert. If there is one with the same cause and subject, it is counted and gets the new message.
    pub async fn record_alert(
        &self,
        cause: &'static str,
        subject: String,
        message: String,
        now: Time,
    ) -> Result<(), StoreError> {
        let key = (cause.to_owned(), subject.clone());
        self.write(move |tx| record(tx, cause, &subject, &message, now)).await?;
        self.open_alerts.insert(key);
        Ok(())
    }

    /// Learns which alerts are not well again. Call it once at the start; alerts that this process records are known
    /// anyway.
    pub async fn load_open_alerts(&self) -> Result<(), StoreError> {
        let open = self
            .read(|tx| tx.fetch_all(OPEN, &[], |row| Ok((row.text(0)?.to_owned(), row.text(1)?.to_owned()))))
            .await?;
        self.open_alerts.extend(open);
        Ok(())
    }

    /// Records that what an alert was about is well again. Writes nothing if there is no such alert. Returns whether there
    /// was one.
    pub async fn resolve_alert(&self, cause: &str, subject: &str, now: Time) -> Result<bool, StoreError> {
        let key = (cause.to_owned(), subject.to_owned());
        if !self.open_alerts.remove(&key) {
            return Ok(false);
        }
        let (cause, subject) = key.clone();
        let resolved =
            self.write(move |tx| Ok(tx.execute(RESOLVE, args![cause.as_str(), subject.as_str(), now])? > 0)).await;
        if resolved.is_err() {
            self.open_alerts.insert(key);
        }
        resolved
    }

    /// Returns the latest alerts, at most `most`.
    pub async fn alerts(&self, most: i64) -> Result<Vec<Alert>, StoreError> {
        self.read(move |tx| tx.fetch_all(LATEST, args![most], alert_from_row)).await
    }
}

/// Records an alert in the transaction of the event that caused it.
pub(in crate::store) fn record(
    tx: &mut dyn Tx,
    cause: &str,
    subject: &str,
    message: &str,
    now: Time,
) -> Result<(), StoreError> {
    if tx.execute(AGAIN, args![cause, subject, message, now])? == 0 {
        tx.execute(NEW, args![cause, subject, message, now])?;
    }
    Ok(())
}

pub(super) fn alert_from_row(row: &dyn Row) -> Result<Alert, StoreError> {
    Ok(Alert {
        cause: row.text(0)?.to_owned(),
        subject: row.text(1)?.to_owned(),
        message: row.text(2)?.to_owned(),
        first_at: Time(row.int(3)?),
        last_at: Time(row.int(4)?),
        count: row.int(5)?,
        resolved_at: row.int_or_null(6)?.map(Time),
    })
}
