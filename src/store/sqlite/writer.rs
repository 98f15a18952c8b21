//! The single writer, with group commit.
//!
//! The writer takes one job and whatever else is queued, runs all of them inside one `BEGIN IMMEDIATE`, and commits
//! once. After the commit it reports to every caller, so one flush to the disk serves all of them. A group in which no
//! job needs the flush is committed without one; the next flush includes it.
//!
//! A job that fails undoes only itself: the writer rolls the group back and runs it again with a savepoint around each
//! job. With savepoints from the start, SQLite would copy every page that a job changes, for failures that hardly ever
//! happen.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::checkpoint::Checkpoints;
use super::transaction::{SqliteTx, classify_error};
use crate::store::database::{Job, StoreError};

/// The most jobs in one commit.
const MAX_GROUP_SIZE: usize = 256;

/// [`Writer::write_error`] reports a transaction that runs longer than this.
const SLOW_TRANSACTION: Duration = Duration::from_secs(8);

/// Failures are logged at most this often.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// Passes jobs to the writing thread.
pub(super) struct Writer {
    jobs: Option<Sender<Box<dyn Job>>>,
    health: Arc<Mutex<WriterHealth>>,
    thread: Option<JoinHandle<()>>,
}

/// A job that ran, and its result.
type JobResult = (Box<dyn Job>, Result<(), StoreError>);

#[derive(Default)]
struct WriterHealth {
    running_since: Option<Instant>,
    failure: Option<String>,
    logged: Option<Instant>,
}

fn lock(health: &Mutex<WriterHealth>) -> std::sync::MutexGuard<'_, WriterHealth> {
    health.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Writer {
    pub(super) fn start(
        connection: Connection,
        checkpoints: Checkpoints,
        fatal: Arc<dyn Fn(String) + Send + Sync>,
    ) -> Result<Writer, StoreError> {
        let (jobs, waiting) = channel();
        let health = Arc::new(Mutex::new(WriterHealth::default()));
        let mut loop_ =
            WriterLoop { connection, checkpoints, waiting, health: Arc::clone(&health), fatal, flushes: true };
        let thread = std::thread::Builder::new()
            .name("writer".into())
            .spawn(move || loop_.run())
            .map_err(|error| StoreError::Open(format!("the writing thread cannot start: {error}")))?;
        Ok(Writer { jobs: Some(jobs), health, thread: Some(thread) })
    }

    pub(super) fn queue(&self, job: Box<dyn Job>) {
        let refused = match &self.jobs {
            Some(jobs) => jobs.send(job).err().map(|error| error.0),
            None => Some(job),
        };
        if let Some(job) = refused {
            job.finish(Err(StoreError::Closed));
        }
    }

    pub(super) fn write_error(&self) -> Option<String> {
        let health = lock(&self.health);
        let slow = health.running_since.is_some_and(|since| since.elapsed() > SLOW_TRANSACTION);
        if slow {
            Some(format!("a commit has been running for more than {} s", SLOW_TRANSACTION.as_secs()))
        } else {
            health.failure.clone()
        }
    }
}

/// Waits until all queued jobs have run: a store that is dropped has written everything it accepted.
impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the database writer panicked");
        }
    }
}

struct WriterLoop {
    connection: Connection,
    checkpoints: Checkpoints,
    waiting: Receiver<Box<dyn Job>>,
    health: Arc<Mutex<WriterHealth>>,
    fatal: Arc<dyn Fn(String) + Send + Sync>,
    /// Whether commits flush: `PRAGMA synchronous` is FULL, not NORMAL.
    flushes: bool,
}

impl WriterLoop {
    fn run(&mut self) {
        let mut jobs: VecDeque<Box<dyn Job>> = VecDeque::with_capacity(MAX_GROUP_SIZE);
        let mut group: Vec<JobResult> = Vec::with_capacity(MAX_GROUP_SIZE);
        loop {
            if jobs.is_empty() {
                let Ok(first) = self.waiting.recv() else { return };
                jobs.push_back(first);
            }
            jobs.extend(self.waiting.try_iter().take(MAX_GROUP_SIZE - jobs.len()));
            lock(&self.health).running_since = Some(Instant::now());
            let changes = self.connection.total_changes();
            let outcome = self.run_group(&mut jobs, &mut group);
            // A full disk may undo only one statement, so that the commit of the others succeeds. That is a failure
            // too.
            let alone = group.iter().find(|(_, result)| matches!(result, Err(StoreError::Unavailable(_))));
            let reported = alone.filter(|_| outcome.is_ok()).map_or(&outcome, |(_, result)| result);
            self.record_outcome(reported, self.connection.total_changes() > changes);
            let mut continues = self.can_continue(&outcome);
            for (job, result) in group.drain(..) {
                job.finish(outcome.clone().and(result));
            }
            continues = continues && self.checkpoint_if_due();
            if !continues {
                return;
            }
        }
    }

    /// Returns whether the writer can go on, and reports a fatal error. It cannot go on with a damaged file, or with a
    /// disk that failed to make a write durable.
    fn can_continue(&self, outcome: &Result<(), StoreError>) -> bool {
        if let Err(StoreError::Fatal(why)) = outcome {
            (self.fatal)(why.clone());
        }
        !matches!(outcome, Err(StoreError::Fatal(_)))
    }

    /// Copies the log if that is due. Returns whether the writer can go on.
    fn checkpoint_if_due(&mut self) -> bool {
        lock(&self.health).running_since = Some(Instant::now());
        let outcome = self.checkpoints.after_commit(&self.connection);
        self.record_outcome(&outcome, false);
        self.can_continue(&outcome)
    }

    /// Runs the jobs. An error here counts for the whole group: nothing was committed. Jobs behind the one that undid
    /// the transaction stay in `jobs`.
    fn run_group(&mut self, jobs: &mut VecDeque<Box<dyn Job>>, group: &mut Vec<JobResult>) -> Result<(), StoreError> {
        let flush = jobs.iter().any(|job| job.needs_flush());
        let mut group_result = self.set_flush_at_commit(flush).and_then(|()| self.statement("BEGIN IMMEDIATE"));
        if group_result.is_ok() && jobs.len() > 1 {
            if jobs.iter_mut().all(|job| self.run_job(job.as_mut()).is_ok()) {
                group_result = self.commit();
                group.extend(jobs.drain(..).map(|job| (job, Ok(()))));
                return group_result;
            }
            group_result = self.roll_back().and_then(|()| self.statement("BEGIN IMMEDIATE"));
        }
        if group_result.is_err() {
            group.extend(jobs.drain(..).map(|job| (job, Ok(()))));
        }
        // A single job needs no savepoint: what it did is undone with the transaction.
        let single_job = jobs.len() == 1;
        while let Some(mut job) = jobs.pop_front() {
            let result = if single_job { self.run_job(job.as_mut()) } else { self.run_in_savepoint(job.as_mut()) };
            // A full disk can undo the whole transaction, and with it the jobs before this one.
            if self.connection.is_autocommit() {
                let undone = || StoreError::Unavailable("the transaction was undone".into());
                group_result = Err(result.clone().err().unwrap_or_else(undone));
            } else if let Err(fatal @ StoreError::Fatal(_)) = &result {
                group_result = Err(fatal.clone());
            }
            group.push((job, result));
            if group_result.is_err() {
                break;
            }
        }
        if group_result.is_ok() && single_job && group.iter().any(|(_, result)| result.is_err()) {
            group_result = self.roll_back();
        } else if group_result.is_ok() {
            return self.commit();
        }
        if group_result.is_err() {
            // If the rollback fails, nothing more can be done here. The next BEGIN deals with the connection.
            drop(self.roll_back());
        }
        group_result
    }

    fn commit(&self) -> Result<(), StoreError> {
        crate::failpoint::hit("before-commit");
        let outcome = self.statement("COMMIT");
        crate::failpoint::hit("after-commit");
        if outcome.is_err() {
            drop(self.roll_back());
        }
        outcome
    }

    /// Rolls the transaction back, unless a failure has undone it already.
    fn roll_back(&self) -> Result<(), StoreError> {
        if self.connection.is_autocommit() { Ok(()) } else { self.statement("ROLLBACK") }
    }

    fn set_flush_at_commit(&mut self, flush: bool) -> Result<(), StoreError> {
        if flush != self.flushes {
            // Not a cached statement: the pragma takes effect when it is prepared.
            let pragma = if flush { "PRAGMA synchronous = FULL" } else { "PRAGMA synchronous = NORMAL" };
            self.connection.execute_batch(pragma).map_err(classify_error)?;
            self.flushes = flush;
        }
        Ok(())
    }

    fn run_in_savepoint(&self, job: &mut dyn Job) -> Result<(), StoreError> {
        self.statement("SAVEPOINT job")?;
        let ran = self.run_job(job);
        if ran.is_err() && !self.connection.is_autocommit() {
            self.statement("ROLLBACK TO job")?;
        }
        if !self.connection.is_autocommit() {
            self.statement("RELEASE job")?;
        }
        ran
    }

    fn run_job(&self, job: &mut dyn Job) -> Result<(), StoreError> {
        let run = AssertUnwindSafe(|| job.run(&mut SqliteTx { connection: &self.connection }));
        std::panic::catch_unwind(run).unwrap_or_else(|_| Err(StoreError::Refused("a job panicked".into())))
    }

    fn statement(&self, sql: &str) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute([]))
            .map(drop)
            .map_err(classify_error)
    }

    /// Records the outcome for [`Writer::write_error`]. A commit that changed nothing wrote nothing, so it says nothing
    /// about the disk.
    fn record_outcome(&self, outcome: &Result<(), StoreError>, changed: bool) {
        let mut health = lock(&self.health);
        health.running_since = None;
        match outcome {
            Ok(()) => {
                if changed && health.failure.take().is_some() {
                    tracing::info!("the database can be written again");
                }
            }
            Err(error) => {
                if health.logged.is_none_or(|logged| logged.elapsed() > LOG_INTERVAL) {
                    tracing::error!(%error, "a transaction failed");
                    health.logged = Some(Instant::now());
                }
                health.failure = Some(error.to_string());
            }
        }
    }
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
