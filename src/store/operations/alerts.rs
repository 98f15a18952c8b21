//! Alerts: what the owner should know. They are durable, and repeats are counted.

use crate::clock::Time;
use crate::store::database::{Row, Store, StoreError, Tx, args};

const AGAIN: &str = "
    UPDATE alerts SET count = count + 1, last_at = ?4, message = ?3 WHERE cause = ?1 AND subject = ?2";

const NEW: &str = "
    INSERT INTO alerts (cause, subject, message, first_at, last_at, count) VALUES (?1, ?2, ?3, ?4, ?4, 1)";

const LATEST: &str = "
    SELECT cause, subject, message, first_at, last_at, count FROM alerts ORDER BY last_at DESC LIMIT ?1";

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
    /// How often it occurred.
    pub count: i64,
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
        self.write(move |tx| record(tx, cause, &subject, &message, now)).await
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

fn alert_from_row(row: &dyn Row) -> Result<Alert, StoreError> {
    Ok(Alert {
        cause: row.text(0)?.to_owned(),
        subject: row.text(1)?.to_owned(),
        message: row.text(2)?.to_owned(),
        first_at: Time(row.int(3)?),
        last_at: Time(row.int(4)?),
        count: row.int(5)?,
    })
}
