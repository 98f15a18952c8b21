//! The queue of alert messages: one row for each message in each way, sent until it is taken or a day has passed.

use std::time::Duration;

use super::alerts::{Alert, alert_from_row};
use crate::clock::Time;
use crate::store::database::{Store, StoreError, args};

/// The least time between two messages about one alert.
pub const QUIET_TIME: Duration = Duration::from_secs(3600);

/// How long a claim of a message lasts. If the process dies meanwhile, the message is sent after this, perhaps once more.
const CLAIM_TIME: Duration = Duration::from_secs(300);

/// How long a message is tried.
const GIVE_UP_AFTER: Duration = Duration::from_secs(24 * 3600);

/// The waits between two tries: from the first to the longest.
const FIRST_WAIT: Duration = Duration::from_secs(30);
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// The most messages that one claim takes, and the most alerts that one transaction tells of.
const AT_ONCE: i64 = 20;

const UNTOLD: &str = "
    SELECT cause, subject, message, first_at, last_at, count, resolved_at FROM alerts
    WHERE untold = 1 AND (told_at IS NULL OR told_at <= ?1 OR resolved_at IS NOT NULL) LIMIT ?2";

const TOLD: &str = "
    UPDATE alerts SET untold = NULL, told_at = CASE WHEN resolved_at IS NULL THEN ?3 ELSE told_at END,
        told_count = CASE WHEN resolved_at IS NULL THEN count ELSE 0 END
    WHERE cause = ?1 AND subject = ?2";

const QUEUE: &str = "
    INSERT INTO alert_deliveries (cause, subject, way, message, created_at, due_at) VALUES (?1, ?2, ?3, ?4, ?5, ?5)";

const DUE: &str = "
    SELECT id, way, message, attempts, created_at FROM alert_deliveries WHERE due_at <= ?1 ORDER BY due_at LIMIT ?2";

const CLAIM: &str = "
    UPDATE alert_deliveries SET token = ?2, attempts = attempts + 1, due_at = ?3 WHERE id = ?1";

const SENT: &str = "
    UPDATE alert_deliveries SET due_at = NULL, token = NULL, finished_at = ?3, error = NULL WHERE id = ?1 AND token = ?2";

const RETRY: &str = "
    UPDATE alert_deliveries SET due_at = ?3, token = NULL, error = ?4 WHERE id = ?1 AND token = ?2";

const GIVE_UP: &str = "
    UPDATE alert_deliveries SET due_at = NULL, token = NULL, finished_at = ?3, error = ?4 WHERE id = ?1 AND token = ?2";

const OF_ALERT: &str = "
    SELECT way, attempts, due_at, finished_at, error FROM alert_deliveries
    WHERE cause = ?1 AND subject = ?2 ORDER BY id DESC LIMIT ?3";

/// A claimed message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertDelivery {
    /// Its id, which stays the same for each try.
    pub id: i64,
    /// The way: a word such as `email`.
    pub way: String,
    /// The message, a JSON document.
    pub message: String,
    /// How often it was tried before this claim.
    pub attempts: i64,
    /// When it was queued.
    pub created_at: Time,
    /// The fence of the claim.
    pub token: i64,
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryRow {
    /// The way.
    pub way: String,
    /// How often it was tried.
    pub attempts: i64,
    /// When it is tried next; `None` if it was sent or given up.
    pub due_at: Option<Time>,
    /// When it was sent or given up.
    pub finished_at: Option<Time>,
    /// Why the last try failed; `None` if it was sent.
    pub error: Option<String>,
}

impl Store {
    /// Queues a message in each of these ways about every alert of which there is something to tell: one in
    /// [`QUIET_TIME`] for each alert, and one when it is well again. `compose` writes the message. Returns how many alerts
    /// were told. Without a way, they count as told.
    pub async fn queue_alert_messages(
        &self,
        ways: Vec<&'static str>,
        now: Time,
        compose: impl Fn(&Alert) -> String + Send + 'static,
    ) -> Result<usize, StoreError> {
        let untold = self.read(move |tx| tx.fetch_all(UNTOLD, args![now - QUIET_TIME, 1], alert_from_row)).await?;
        if untold.is_empty() {
            return Ok(0);
        }
        self.write(move |tx| {
            let untold = tx.fetch_all(UNTOLD, args![now - QUIET_TIME, AT_ONCE], alert_from_row)?;
            for alert in &untold {
                let (cause, subject) = (alert.cause.as_str(), alert.subject.as_str());
                let message = compose(alert);
                for way in &ways {
                    tx.execute(QUEUE, args![cause, subject, *way, message.as_str(), now])?;
                }
                tx.execute(TOLD, args![cause, subject, now])?;
            }
            Ok(untold.len())
        })
        .await
    }

    /// Claims the messages that are due. Another process, or this one after a crash, claims them again after five
    /// minutes.
    pub async fn claim_alert_deliveries(&self, now: Time) -> Result<Vec<AlertDelivery>, StoreError> {
        let due = self.read(move |tx| tx.fetch_optional(DUE, args![now, 1], |row| row.int(0))).await?;
        if due.is_none() {
            return Ok(Vec::new());
        }
        let token = i64::try_from(fastrand::u64(..) >> 1).unwrap_or(i64::MAX);
        self.write_without_timeout(move |tx| {
            let due = tx.fetch_all(DUE, args![now, AT_ONCE], |row| {
                Ok(AlertDelivery {
                    id: row.int(0)?,
                    way: row.text(1)?.to_owned(),
                    message: row.text(2)?.to_owned(),
                    attempts: row.int(3)?,
                    created_at: Time(row.int(4)?),
                    token,
                })
            })?;
            for delivery in &due {
                tx.execute(CLAIM, args![delivery.id, token, now + CLAIM_TIME])?;
            }
            Ok(due)
        })
        .await
    }

    /// Records the result of a claimed message. A failure is tried again with growing waits, until a day has passed.
    /// Returns `false` if another process has claimed the message since.
    pub async fn settle_alert_delivery(
        &self,
        delivery: &AlertDelivery,
        failure: Option<String>,
        now: Time,
    ) -> Result<bool, StoreError> {
        let (id, token) = (delivery.id, delivery.token);
        let doublings = u32::try_from(delivery.attempts).unwrap_or(u32::MAX).min(10);
        let next = now + (FIRST_WAIT * 2u32.pow(doublings)).min(LONGEST_WAIT);
        let gives_up = next > delivery.created_at + GIVE_UP_AFTER;
        self.write(move |tx| {
            let changed = match &failure {
                None => tx.execute(SENT, args![id, token, now])?,
                Some(why) if gives_up => tx.execute(GIVE_UP, args![id, token, now, why.as_str()])?,
                Some(why) => tx.execute(RETRY, args![id, token, next, why.as_str()])?,
            };
            Ok(changed > 0)
        })
        .await
    }

    /// Returns the latest messages about an alert, at most `most`, the latest first.
    pub async fn alert_deliveries(&self, alert: &Alert, most: i64) -> Result<Vec<DeliveryRow>, StoreError> {
        let (cause, subject) = (alert.cause.clone(), alert.subject.clone());
        self.read(move |tx| {
            tx.fetch_all(OF_ALERT, args![cause.as_str(), subject.as_str(), most], |row| {
                Ok(DeliveryRow {
                    way: row.text(0)?.to_owned(),
                    attempts: row.int(1)?,
                    due_at: row.int_or_null(2)?.map(Time),
                    finished_at: row.int_or_null(3)?.map(Time),
                    error: row.text_or_null(4)?.map(str::to_owned),
                })
            })
        })
        .await
    }
}
