//! Removes what deleted rows leave in the files of the database: older versions of their pages in the log, and copies
//! in the free space of pages.

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;

use super::transaction::classify_error;
use crate::store::database::StoreError;

/// How long emptying the log waits for readers and for the writer, who wait meanwhile.
const LOG_WAIT: Duration = Duration::from_millis(500);

/// The largest database that is rewritten in memory. A larger one is rewritten through a temporary file.
const MAX_REWRITE_IN_MEMORY: u64 = 256 * 1024 * 1024;

/// Copies the log into the database and cuts it to nothing. Returns `false` if a reader or a writer held it up for too
/// long.
pub(super) fn empty_log(path: &Path) -> Result<bool, StoreError> {
    let connection = Connection::open(path).map_err(classify_error)?;
    connection.busy_timeout(LOG_WAIT).map_err(classify_error)?;
    let held_up = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
    held_up.map(|held_up| held_up == 0).map_err(classify_error)
}

/// Writes all rows into new pages. Everybody who writes waits meanwhile.
pub(super) fn rewrite(path: &Path) -> Result<(), StoreError> {
    let connection = Connection::open(path).map_err(classify_error)?;
    super::set_up(&connection).map_err(classify_error)?;
    let size = std::fs::metadata(path).map_or(u64::MAX, |file| file.len());
    if size > MAX_REWRITE_IN_MEMORY {
        connection.execute_batch("PRAGMA temp_store = FILE").map_err(classify_error)?;
    }
    connection.execute_batch("VACUUM").map_err(classify_error)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;

    /// A database with one row, in its log only.
    fn database(folder: &tempfile::TempDir) -> (PathBuf, Connection) {
        let path = folder.path().join("a.db");
        let connection = Connection::open(&path).unwrap();
        super::super::set_up(&connection).unwrap();
        connection.execute_batch("CREATE TABLE t (body TEXT); INSERT INTO t VALUES ('the secret of Ana')").unwrap();
        (path, connection)
    }

    fn contains(path: &Path, text: &str) -> bool {
        fs::read(path).unwrap_or_default().windows(text.len()).any(|window| window == text.as_bytes())
    }

    fn wal(path: &Path) -> PathBuf {
        path.with_extension("db-wal")
    }

    #[test]
    fn what_is_deleted_is_overwritten_in_the_database() {
        let folder = tempfile::tempdir().unwrap();
        let (path, connection) = database(&folder);
        assert!(empty_log(&path).unwrap() && contains(&path, "secret of Ana"));
        connection.execute_batch("DELETE FROM t").unwrap();
        assert!(empty_log(&path).unwrap());
        assert!(!contains(&path, "secret of Ana") && fs::metadata(wal(&path)).unwrap().len() == 0);
    }

    #[test]
    fn a_reader_keeps_the_log_and_nothing_fails() {
        let folder = tempfile::tempdir().unwrap();
        let (path, connection) = database(&folder);
        let reader = Connection::open(&path).unwrap();
        reader.execute_batch("BEGIN; SELECT * FROM t").unwrap();
        connection.execute_batch("DELETE FROM t").unwrap();
        assert!(!empty_log(&path).unwrap() && contains(&wal(&path), "secret of Ana"));
        drop(reader);
        assert!(empty_log(&path).unwrap() && !contains(&wal(&path), "secret of Ana"));
    }

    #[test]
    fn rewriting_leaves_no_copy_in_free_space() {
        let folder = tempfile::tempdir().unwrap();
        let (path, connection) = database(&folder);
        // As an older version deleted it.
        connection.execute_batch("PRAGMA secure_delete = OFF; DELETE FROM t").unwrap();
        assert!(empty_log(&path).unwrap() && contains(&path, "secret of Ana"));
        rewrite(&path).unwrap();
        assert!(empty_log(&path).unwrap() && !contains(&path, "secret of Ana"));
    }
}
