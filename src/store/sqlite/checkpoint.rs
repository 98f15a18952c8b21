//! Copies the write-ahead log into the database beside the writer.
//!
//! SQLite by itself copies within a commit, and everyone who writes waits: for 32 MB, a tenth of a second on a good
//! disk and many seconds on an SD card. It also does not report what went wrong there, and a flush that failed once
//! must not count as done when it is repeated. So a separate thread copies while the writer goes on. Little is added to
//! the log meanwhile, and the writer copies that itself, because the log restarts only at a commit that finds all of it
//! copied.

use std::cell::Cell;
use std::path::PathBuf;
use std::thread::JoinHandle;

use rusqlite::Connection;

use super::transaction::classify_error;
use crate::store::database::StoreError;

/// Number of pages in the log at which it is copied. A page that is written often is copied once in that many pages.
pub(super) const CHECKPOINT_PAGES: usize = 32_000;

/// How often the thread copies. Each round copies what was added to the log during the round before.
const ROUNDS: usize = 3;

thread_local! {
    /// Pages in the log after this thread's last commit.
    static WAL_PAGES: Cell<usize> = const { Cell::new(0) };
}

/// Decides when the log is copied, and by whom.
pub(super) struct Checkpoints {
    path: PathBuf,
    threshold: usize,
    /// Pages in the log at which the next copy starts. This is more than `threshold` after a copy that a reader or
    /// another process held up.
    next_checkpoint: usize,
    copy_thread: Option<JoinHandle<Result<(), StoreError>>>,
}

impl Checkpoints {
    /// Takes over checkpoints from SQLite on the writing connection, which only one thread uses. `path` is the database
    /// file, and `threshold` is in pages.
    pub(super) fn new(connection: &Connection, path: PathBuf, threshold: usize) -> Checkpoints {
        connection.wal_hook(Some(|_, pages| {
            WAL_PAGES.set(usize::try_from(pages).unwrap_or(0));
            Ok(())
        }));
        Checkpoints { path, threshold, next_checkpoint: threshold, copy_thread: None }
    }

    /// Starts or finishes a copy if one is due; called after each commit. An error is about the disk, not about what
    /// was committed: that is in the log and stays there.
    pub(super) fn after_commit(&mut self, connection: &Connection) -> Result<(), StoreError> {
        let pages = WAL_PAGES.get();
        if pages < self.threshold {
            self.next_checkpoint = self.threshold;
        }
        // The log must not grow without limit, however slow the disk is.
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
                    // Without a thread the writer copies, as SQLite would.
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

/// Waits for a copy that is still running, so that it is not cut off.
impl Drop for Checkpoints {
    fn drop(&mut self) {
        if let Some(copying) = self.copy_thread.take() {
            drop(copying.join());
        }
    }
}

/// Copies everything that no reader holds up, and waits for nobody. It is not an error if another connection is
/// copying.
fn copy(connection: &Connection) -> Result<(), StoreError> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())).map_err(classify_error)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Opens a database that is written without flushes and whose log is copied at 100 pages.
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
    fn a_checkpoint_that_a_reader_blocks_is_not_retried_at_each_commit() {
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
