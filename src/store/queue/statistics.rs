//! Counts of what is in the queue and of what failed, for monitoring. Each statement reads a partial index.

use crate::clock::Time;
use crate::store::database::{Store, StoreError, args};

const LIVE: &str = "
    SELECT SUM(CASE WHEN state = 'open' THEN 1 ELSE 0 END), SUM(CASE WHEN state = 'running' THEN 1 ELSE 0 END),
        SUM(CASE WHEN state = 'retry' THEN 1 ELSE 0 END), SUM(CASE WHEN state = 'sending' THEN 1 ELSE 0 END),
        MIN(created_at)
    FROM turns WHERE live IS NOT NULL";

const FAILED: &str = "
    SELECT COUNT(*) FROM turns WHERE state IN ('dead', 'expired', 'skipped') AND state = ?1";

const UNKNOWN: &str = "
    SELECT SUM(CASE WHEN state = 'unknown' THEN 1 ELSE 0 END) FROM parts WHERE state IN ('sending', 'unknown')";

const UNDELIVERED: &str = "SELECT COUNT(*) FROM parts WHERE status = 'failed'";

/// How many turns and parts are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueStatistics {
    /// Turns that still take messages.
    pub open: i64,
    /// Turns that a worker is answering.
    pub running: i64,
    /// Turns that wait for another attempt.
    pub retry: i64,
    /// Turns whose reply is being sent.
    pub sending: i64,
    /// When the oldest of these turns was created.
    pub oldest_created_at: Option<Time>,
    /// Turns that were given up and are still kept.
    pub dead: i64,
    /// Turns that expired and are still kept.
    pub expired: i64,
    /// Parts of which it is not known whether the provider accepted them.
    pub unknown_parts: i64,
    /// Parts that the provider accepted and did not deliver, and that are still kept.
    pub undelivered_parts: i64,
}

impl Store {
    /// Counts turns and parts by state. This reads only what is in progress or has failed.
    pub async fn queue_statistics(&self) -> Result<QueueStatistics, StoreError> {
        self.read(|tx| {
            let mut found = tx.fetch_optional(LIVE, &[], |row| {
                // A sum over no rows is NULL.
                let count = |column| Ok::<_, StoreError>(row.int_or_null(column)?.unwrap_or(0));
                Ok(QueueStatistics {
                    open: count(0)?,
                    running: count(1)?,
                    retry: count(2)?,
                    sending: count(3)?,
                    oldest_created_at: row.int_or_null(4)?.map(Time),
                    ..QueueStatistics::default()
                })
            })?;
            let found = found.get_or_insert_default();
            for (state, count) in [("dead", &mut found.dead), ("expired", &mut found.expired)] {
                *count = tx.fetch_optional(FAILED, args![state], |row| row.int(0))?.unwrap_or(0);
            }
            let unknown = tx.fetch_optional(UNKNOWN, &[], |row| row.int_or_null(0))?;
            found.unknown_parts = unknown.flatten().unwrap_or(0);
            found.undelivered_parts = tx.fetch_optional(UNDELIVERED, &[], |row| row.int(0))?.unwrap_or(0);
            Ok(*found)
        })
        .await
    }
}
