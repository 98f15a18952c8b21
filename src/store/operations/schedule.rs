//! When the scheduled jobs ran, how that went, and when they run next.

use crate::clock::Time;
use crate::store::database::{Store, StoreError, args};

const DUE: &str = "SELECT next_run_at FROM schedule WHERE job = ?1";

const RECORD_RUN: &str = "
    INSERT INTO schedule (job, last_run_at, took_ms, result, failed, next_run_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
    ON CONFLICT (job) DO UPDATE SET last_run_at = excluded.last_run_at, took_ms = excluded.took_ms,
        result = excluded.result, failed = excluded.failed, next_run_at = excluded.next_run_at";

const ALL: &str =
    "SELECT job, last_run_at, took_ms, result, failed, next_run_at FROM schedule WHERE job > '' ORDER BY job";

/// A scheduled job and its last run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduledJob {
    /// Its name.
    pub job: String,
    /// When the last run started.
    pub last_run_at: Time,
    /// How long the last run took, in milliseconds.
    pub took_ms: i64,
    /// The result of the last run, in a sentence.
    pub result: String,
    /// Whether the last run failed.
    pub failed: bool,
    /// When it runs next.
    pub next_run_at: Time,
}

impl ScheduledJob {
    /// The name of the job that makes backups.
    pub const BACKUP: &'static str = "backup";
}

impl Store {
    /// Returns when a job runs next; `None` if it never ran.
    pub async fn next_run(&self, job: &'static str) -> Result<Option<Time>, StoreError> {
        self.read(move |tx| tx.fetch_optional(DUE, args![job], |row| row.int(0).map(Time))).await
    }

    /// Records a run. The write is not flushed: if a power cut undoes it, the job runs again.
    pub async fn record_run(&self, run: ScheduledJob) -> Result<(), StoreError> {
        self.write_unflushed(move |tx| {
            let (job, result, failed) = (run.job.as_str(), run.result.as_str(), i64::from(run.failed));
            tx.execute(RECORD_RUN, args![job, run.last_run_at, run.took_ms, result, failed, run.next_run_at]).map(drop)
        })
        .await
    }

    /// Returns every job that ever ran.
    pub async fn schedule(&self) -> Result<Vec<ScheduledJob>, StoreError> {
        self.read(|tx| {
            tx.fetch_all(ALL, &[], |row| {
                Ok(ScheduledJob {
                    job: row.text(0)?.to_owned(),
                    last_run_at: Time(row.int(1)?),
                    took_ms: row.int(2)?,
                    result: row.text(3)?.to_owned(),
                    failed: row.int(4)? != 0,
                    next_run_at: Time(row.int(5)?),
                })
            })
        })
        .await
    }
}
