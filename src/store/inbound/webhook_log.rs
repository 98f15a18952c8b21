//! The webhook log: what arrived, and how mynah answered.

use crate::clock::Time;
use crate::model::MessageId;
use crate::store::database::{Store, StoreError, Tx, args};

const INSERT: &str = "
    INSERT INTO webhook_log (channel, received_at, path, headers, body, status, processing_us, message_id, error)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";

/// A webhook as it is logged. The secrets in its headers and body are redacted already.
#[derive(Clone, Debug)]
pub struct WebhookRecord {
    /// The channel's name.
    pub channel: &'static str,
    /// When the webhook arrived.
    pub received_at: Time,
    /// Path and query.
    pub path: String,
    /// A JSON object.
    pub headers: String,
    /// The body as text.
    pub body: String,
    /// The HTTP status of the response.
    pub status: u16,
    /// When work on the webhook began, to measure how long it took.
    pub began: std::time::Instant,
    /// Why the webhook was refused.
    pub error: Option<String>,
}

impl WebhookRecord {
    /// Returns the same record with status 403.
    pub(in crate::store) fn to_refused(&self, why: &str) -> WebhookRecord {
        WebhookRecord { status: 403, error: Some(why.to_owned()), ..self.clone() }
    }

    /// Returns the same record without the body, which names a person of whom mynah holds nothing, or nothing any more.
    pub(in crate::store) fn without_content(&self) -> WebhookRecord {
        WebhookRecord { body: "[not kept]".to_owned(), ..self.clone() }
    }
}

const PROBE: &str = "
    INSERT INTO webhook_log (channel, received_at, path, headers, body, status, processing_us)
    VALUES ('probe', 0, '', '{}', '', 0, 0)";

const UNPROBE: &str = "DELETE FROM webhook_log WHERE id = ?1";

impl Store {
    /// Writes a row and deletes it again, to check whether the database can be written after a failure.
    pub async fn probe_write(&self) -> Result<(), StoreError> {
        self.write(|tx| {
            let id = tx.insert(PROBE, &[])?;
            tx.execute(UNPROBE, args![id]).map(drop)
        })
        .await
    }

    /// Logs a webhook that led to no message.
    pub async fn log_webhook(&self, record: WebhookRecord) -> Result<(), StoreError> {
        self.write(move |tx| insert(tx, &record, None)).await
    }
}

/// Logs a webhook in the transaction that stores what it led to.
pub(in crate::store) fn insert(
    tx: &mut dyn Tx,
    record: &WebhookRecord,
    message: Option<&MessageId>,
) -> Result<(), StoreError> {
    let took = i64::try_from(record.began.elapsed().as_micros()).unwrap_or(i64::MAX);
    tx.execute(
        INSERT,
        args![
            record.channel,
            record.received_at,
            record.path.as_str(),
            record.headers.as_str(),
            record.body.as_str(),
            i64::from(record.status),
            took,
            message,
            record.error.as_deref(),
        ],
    )?;
    Ok(())
}
