//! Copying the log into the database beside the writer.
//!
//! SQLite by itself does it within a commit, and everybody waits: for 32 MB that is a tenth of a second on a good disk and
//! many seconds on an SD card. It also keeps to itself what went wrong there, and a flush that failed once must not be
//! taken for done when it is tried again. So a thread of its own copies while the writer goes on; what was added meanwhile
//! is little, and the writer copies that itself, because the log begins anew only at a commit that finds all of it copied.

use std::cell::Cell;
use std::path::PathBuf;
use std::thread::JoinHandle;

use rusqlite::Connection;

use super::transaction::classify_error;
use crate::store::database::StoreError;

/// Pages in the log at which it is copied. What is written often is copied once in so many pages.
pub(super) const CHECKPOINT_PAGES: usize = 32_000;

/// Times that the thread copies: each finds what was added during the one before.
const ROUNDS: usize = 3;

thread_local! {
    /// Pages in the log after this thread's last commit.
    static WAL_PAGES: Cell<usize> = const { Cell::new(0) };
}

/// When the log is copied, and who does it.
pub(super) struct Checkpoints {
    path: PathBuf,
    threshold: usize,
    /// Pages in the log at which the next copy begins; more than `log` where a reader, or another process, was in the way.
    next_checkpoint: usize,
    copy_thread: Option<JoinHandle<Result<(), StoreError>>>,
}

impl Checkpoints {
    /// Takes over from SQLite on the writing connection, which one thread uses, of the database there. `log` is in pages.
    pub(super) fn new(connection: &Connection, path: PathBuf, threshold: usize) -> Checkpoints {
        connection.wal_hook(Some(|_, pages| {
            WAL_PAGES.set(usize::try_from(pages).unwrap_or(0));
            Ok(())
        }));
        Checkpoints { path, threshold, next_checkpoint: threshold, copy_thread: None }
    }

    /// After each commit. An error tells of the disk, not of what was committed: that is in the log, and stays there.
    pub(super) fn after_commit(&mut self, connection: &Connection) -> Result<(), StoreError> {
        let pages = WAL_PAGES.get();
        if pages < self.threshold {
            self.next_checkpoint = self.threshold;
        }
        // However slow the disk, the log ends somewhere.
        let must_wait = pages >= self.next_checkpoint.saturating_add(3 * self.threshold);
        match self.copy_thread.take_if(|copying| must_wait || copying.is_finished()) {
            Some(copying) => {
                self.next_checkpoint = pages + self.threshold / 4;
                copying.join().unwrap_or_else(|_| Err(StoreError::Refused("a checkpoint panicked".into())))?;
                copy(connection)
            }
            None if self.copy_thread.is_none() && pages >= self.next_checkpoint => {
                let path = self.path.clone();
                let copy_in_thread = move || {
                    let copy_connection = Connection::open(path).map_err(classify_error)?;
                    (0..ROUNDS).try_for_each(|_| copy(&copy_connection))
                };
                let spawned = std::thread::Builder::new().name("checkpoint".into()).spawn(copy_in_thread);
                match spawned {
                    Ok(copying) => self.copy_thread = Some(copying),
                    // Without a thread the writer does it, as SQLite would.
                    Err(_) => {
                        self.next_checkpoint = pages + self.threshold / 4;
                        copy(connection)?;
                    }
                }
                Ok(())
            }
            None => Ok(()),
        }
    }
}

/// What a copy still does at the end is not cut off.
impl Drop for Checkpoints {
    fn drop(&mut self) {
        if let Some(copying) = self.copy_thread.take() {
            drop(copying.join());
        }
    }
}

/// Copies what no reader is in the way of; it waits for nobody. That somebody else copies is no error.
fn copy(connection: &Connection) -> Result<(), StoreError> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())).map_err(classify_error)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A database, written without flushes, whose log is copied at a hundred pages.
    fn small_log_database(folder: &tempfile::TempDir) -> (Connection, Checkpoints) {
        let path = folder.path().join("a.db");
        let connection = Connection::open(&path).unwrap();
        super::super::set_up(&connection).unwrap();
        connection.execute_batch("PRAGMA synchronous = OFF; CREATE TABLE t (body BLOB)").unwrap();
        let checkpoints = Checkpoints::new(&connection, path, 100);
        (connection, checkpoints)
    }

    fn write(connection: &Connection, checkpoints: &mut Checkpoints) {
        connection.execute("INSERT INTO t VALUES (randomblob(1000))", []).unwrap();
        checkpoints.after_commit(connection).unwrap();
    }

    #[test]
    fn a_copy_that_takes_its_time_makes_the_writer_wait_before_the_log_is_too_long() {
        let folder = tempfile::tempdir().unwrap();
        let (connection, mut checkpoints) = small_log_database(&folder);
        let slow = std::thread::spawn(|| {
            std::thread::sleep(Duration::from_millis(300));
            Ok(())
        });
        checkpoints.copy_thread = Some(slow);
        while checkpoints.copy_thread.is_some() {
            write(&connection, &mut checkpoints);
        }
        assert!(WAL_PAGES.get() < 410, "{} pages", WAL_PAGES.get());
    }

    #[test]
    fn where_a_reader_is_in_the_way_it_is_not_tried_at_each_commit() {
        let folder = tempfile::tempdir().unwrap();
        let (connection, mut checkpoints) = small_log_database(&folder);
        let reader = Connection::open(folder.path().join("a.db")).unwrap();
        reader.execute_batch("BEGIN; SELECT * FROM t").unwrap();
        let mut tried = 0;
        while WAL_PAGES.get() < 1_000 {
            let idle = checkpoints.copy_thread.is_none();
            write(&connection, &mut checkpoints);
            while checkpoints.copy_thread.as_ref().is_some_and(|copying| !copying.is_finished()) {
                std::thread::yield_now();
            }
            tried += usize::from(idle && checkpoints.copy_thread.is_some());
        }
        assert!((2..=900 / 25 + 1).contains(&tried), "{tried} times");
    }
}
