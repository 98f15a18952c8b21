//! The one writer, with group commit.
//!
//! It takes one job and what else waits, runs all inside one `BEGIN IMMEDIATE`, commits once, and only then answers
//! everybody: one flush to the disk serves all of them. A group in which nobody needs the flush is committed without; the
//! next flush takes it along.
//!
//! A job that fails undoes itself alone: the group is taken back and done again with a savepoint around each job.
//! Savepoints from the start would have SQLite copy every page that a job touches, for failures that hardly ever come.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::checkpoint::Checkpoints;
use super::transaction::{SqliteTx, classify_error};
use crate::store::database::Job;
use crate::store::database::StoreError;

/// The most jobs of one commit.
const MAX_GROUP_SIZE: usize = 256;

/// A transaction that runs longer than this is told by [`Writer::trouble`].
const SLOW_TRANSACTION: Duration = Duration::from_secs(8);

/// Failures of the same kind are logged at most this often.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// Hands jobs to the writing thread.
pub(super) struct Writer {
    jobs: Option<Sender<Box<dyn Job>>>,
    health: Arc<Mutex<WriterHealth>>,
    thread: Option<JoinHandle<()>>,
}

/// A job that ran, and how.
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

/// Waits for what is queued: a store that is dropped has written everything it took.
impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the database writer ended in a panic");
        }
    }
}

struct WriterLoop {
    connection: Connection,
    checkpoints: Checkpoints,
    waiting: Receiver<Box<dyn Job>>,
    health: Arc<Mutex<WriterHealth>>,
    fatal: Arc<dyn Fn(String) + Send + Sync>,
    /// Whether commits flush: `PRAGMA synchronous` is FULL, and not NORMAL.
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
            // A full disk may undo one statement only and leave the commit of the rest to succeed.
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

    /// Not with a damaged file, or a disk that failed to make a write durable.
    fn can_continue(&self, outcome: &Result<(), StoreError>) -> bool {
        if let Err(StoreError::Fatal(why)) = outcome {
            (self.fatal)(why.clone());
        }
        !matches!(outcome, Err(StoreError::Fatal(_)))
    }

    /// Whether the writer goes on.
    fn checkpoint_if_due(&mut self) -> bool {
        lock(&self.health).running_since = Some(Instant::now());
        let outcome = self.checkpoints.after_commit(&self.connection);
        self.record_outcome(&outcome, false);
        self.can_continue(&outcome)
    }

    /// Runs the jobs. An error here is everybody's in the group: nothing was committed. Those behind the one that undid the
    /// transaction stay in `jobs`.
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
        // One job alone needs no savepoint: what it did is undone with the transaction.
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
            // Nothing more can be done about a rollback that fails: the connection is left to the next BEGIN.
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

    /// Some failures have undone the transaction already.
    fn roll_back(&self) -> Result<(), StoreError> {
        if self.connection.is_autocommit() { Ok(()) } else { self.statement("ROLLBACK") }
    }

    fn set_flush_at_commit(&mut self, flush: bool) -> Result<(), StoreError> {
        if flush != self.flushes {
            // Not as a cached statement: the pragma takes effect when it is prepared.
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

    /// A commit that changed nothing wrote nothing, so it shows nothing about the disk.
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
