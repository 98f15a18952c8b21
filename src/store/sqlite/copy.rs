//! Copies a database file beside a process that writes it, and proves that the copy is whole.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::transaction::classify_error;
use super::{migration_steps, open_error};
use crate::model::FileHash;
use crate::store::database::StoreError;

/// How much is copied at once. Between two steps, others get the disk.
const STEP_BYTES: u32 = 1 << 20;

/// The longest pause between two steps.
const MAX_PAUSE: Duration = Duration::from_millis(100);

/// After how many steps the copy is flushed. Otherwise the system collects all of it and writes it at once, and the flush
/// of a message waits for that.
const STEPS_PER_FLUSH: u32 = 8;

/// What is in a copy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DatabaseCopy {
    /// Its schema.
    pub schema: i64,
    /// The rows of each table.
    pub rows: BTreeMap<String, u64>,
}

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// It was stopped.
    #[error("stopped before the end")]
    Stopped,
    /// The copy is not what it should be.
    #[error("the copy of the database is not whole: {0}")]
    NotWhole(String),
    /// The database cannot be read, or the copy not written: where the copy lies, and why.
    #[error("the database cannot be copied to {0}: {1}")]
    Failed(String, String),
    /// The file of the copy cannot be written.
    #[error("{0} cannot be written: {1}")]
    File(String, std::io::Error),
    /// The database or its copy cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Copies the database file `from` to `to`, which must not exist. Other processes may write the database meanwhile: the
/// copy is the database as it was when the copying began. Nothing is migrated. `progress` gets the bytes copied and to be
/// copied, then zeros while the copy is checked, and returns `false` to stop. Blocks. If it fails, the file `to` may be
/// there, unfinished.
pub fn copy_database(
    from: &Path,
    to: &Path,
    progress: &mut dyn FnMut(u64, u64) -> bool,
) -> Result<DatabaseCopy, CopyError> {
    let file_error = |error| CopyError::File(to.display().to_string(), error);
    let file = File::options().write(true).create_new(true).mode(0o600).open(to).map_err(file_error)?;
    let source = open(from)?;
    // The transaction is held from the first to the last step, so that all of them see the same state. Without it, each step
    // would begin one of its own, and SQLite would start over whenever another connection has written.
    source.execute_batch("BEGIN; SELECT 1 FROM sqlite_schema LIMIT 1").map_err(classify_error)?;
    {
        let mut target = Connection::open(to).map_err(|error| open_error(to, &error))?;
        target.execute_batch("PRAGMA synchronous = OFF").map_err(classify_error)?;
        let copy_error = |error: rusqlite::Error| CopyError::Failed(to.display().to_string(), error.to_string());
        let backup = Backup::new(&source, &mut target).map_err(copy_error)?;
        let page_size: u32 = source.pragma_query_value(None, "page_size", |row| row.get(0)).map_err(classify_error)?;
        let pages = i32::try_from(STEP_BYTES / page_size.max(512)).unwrap_or(1).max(1);
        for step in 1_u32.. {
            let began = Instant::now();
            let result = backup.step(pages).map_err(copy_error)?;
            let state = backup.progress();
            let bytes = |pages: i32| u64::try_from(pages).unwrap_or(0) * u64::from(page_size);
            if !progress(bytes(state.pagecount - state.remaining), bytes(state.pagecount)) {
                return Err(CopyError::Stopped);
            }
            if result == StepResult::Done {
                break;
            }
            if step % STEPS_PER_FLUSH == 0 {
                file.sync_data().map_err(file_error)?;
            }
            std::thread::sleep(began.elapsed().min(MAX_PAUSE));
        }
    }
    let expected = contents(&source).map_err(classify_error)?;
    drop(source);
    check_copy(to, &expected, &mut || progress(0, 0))?;
    file.sync_all().map_err(file_error)?;
    Ok(expected)
}

/// Checks that the file is a sound database with this content.
fn check_copy(path: &Path, expected: &DatabaseCopy, go_on: &mut dyn FnMut() -> bool) -> Result<(), CopyError> {
    let copy = open(path)?;
    let mut problems = Vec::new();
    for check in ["integrity_check", "foreign_key_check"] {
        if !go_on() {
            return Err(CopyError::Stopped);
        }
        copy.pragma_query(None, check, |row| {
            let problem = row.get_ref(0)?.as_str().unwrap_or("a reference to a row that is not there").to_owned();
            problems.extend((problem != "ok").then(|| format!("{check}: {problem}")));
            Ok(())
        })
        .map_err(classify_error)?;
    }
    let found = contents(&copy).map_err(classify_error)?;
    if found != *expected {
        problems.push(format!("it holds {found:?} and should hold {expected:?}"));
    }
    problems.into_iter().next().map_or(Ok(()), |problem| Err(CopyError::NotWhole(problem)))
}

fn open(path: &Path) -> Result<Connection, StoreError> {
    // Not read-only: a database in WAL mode that nobody has open can be read only by a connection that may create files.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|error| open_error(path, &error))?;
    connection
        .execute_batch("PRAGMA busy_timeout = 8000; PRAGMA trusted_schema = OFF; PRAGMA query_only = ON;")
        .map_err(|error| open_error(path, &error))?;
    Ok(connection)
}

fn contents(connection: &Connection) -> Result<DatabaseCopy, rusqlite::Error> {
    let schema = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let mut tables = connection
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite~_%' ESCAPE '~'")?;
    let tables = tables.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
    let mut rows = BTreeMap::new();
    for table in tables {
        let sql = format!("SELECT COUNT(*) FROM \"{}\"", table.replace('"', "\"\""));
        let count: i64 = connection.query_row(&sql, [], |row| row.get(0))?;
        rows.insert(table, u64::try_from(count).unwrap_or(0));
    }
    Ok(DatabaseCopy { schema, rows })
}

/// Calls `each` with every file that the copy at `path` names, once.
pub fn files_in_copy<E: From<StoreError>>(
    path: &Path,
    each: &mut dyn FnMut(FileHash) -> Result<(), E>,
) -> Result<(), E> {
    let copy = open(path)?;
    let mut files = copy.prepare("SELECT DISTINCT hash FROM files ORDER BY hash").map_err(classify_error)?;
    let mut rows = files.query([]).map_err(classify_error)?;
    while let Some(row) = rows.next().map_err(classify_error)? {
        let hash: String = row.get(0).map_err(classify_error)?;
        let hash = FileHash::parse(&hash).ok_or_else(|| StoreError::unexpected(0, "the hash of a file"))?;
        each(hash)?;
    }
    Ok(())
}

/// Checks that the file at `path` is a sound database with a schema that this program knows, and all of it.
pub fn check_whole(path: &Path, expected: &DatabaseCopy) -> Result<(), CopyError> {
    let known = i64::try_from(migration_steps().len()).unwrap_or(i64::MAX);
    if expected.schema > known {
        return Err(CopyError::NotWhole(format!(
            "it has schema {}, but this program knows schemas up to {known} only: restore it with the newer program",
            expected.schema
        )));
    }
    fs::metadata(path).map_err(|error| CopyError::File(path.display().to_string(), error))?;
    check_copy(path, expected, &mut || true)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::store::sqlite::Sqlite;

    /// A database of our own with some pages, that nobody has open.
    fn database(folder: &Path, pages: u32) -> std::path::PathBuf {
        let path = folder.join("a.db");
        drop(Sqlite::open(&path, Arc::new(|_| ())).unwrap());
        let connection = Connection::open(&path).unwrap();
        connection
            .execute_batch(&format!(
                "CREATE TABLE pairs (id INTEGER PRIMARY KEY, twin INTEGER, filler BLOB);
                 WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {pages})
                 INSERT INTO pairs SELECT i, 0, randomblob(900) FROM n;"
            ))
            .unwrap();
        path
    }

    fn text(path: &Path, sql: &str) -> String {
        let value = Connection::open(path).unwrap().query_row(sql, [], |row| row.get::<_, rusqlite::types::Value>(0));
        format!("{:?}", value.unwrap())
    }

    #[test]
    fn a_copy_beside_a_writer_that_never_rests_is_one_moment_of_the_database() {
        let folder = tempfile::tempdir().unwrap();
        let path = database(folder.path(), 20_000);
        let stop = Arc::new(AtomicBool::new(false));
        let (writing, at) = (Arc::clone(&stop), path.clone());
        // Each commit changes the first and the last page of the table in the same way.
        let writer = std::thread::spawn(move || {
            let connection = Connection::open(at).unwrap();
            connection.execute_batch("PRAGMA synchronous = OFF; PRAGMA busy_timeout = 8000").unwrap();
            let mut commits = 0_u32;
            while !writing.load(Ordering::Relaxed) {
                connection
                    .execute_batch(
                        "BEGIN IMMEDIATE; UPDATE pairs SET twin = twin + 1 WHERE id IN (1, 20000);
                         INSERT INTO pairs (twin) VALUES (7); COMMIT",
                    )
                    .unwrap();
                commits += 1;
            }
            commits
        });
        let copy = folder.path().join("copy.db");
        let mut steps = 0;
        let copied = copy_database(&path, &copy, &mut |_, _| {
            steps += 1;
            // Some twenty are enough. Without the transaction, SQLite would start over for ever.
            steps < 1_000
        });
        stop.store(true, Ordering::Relaxed);
        let commits = writer.join().unwrap();
        let copied = copied.unwrap();
        assert!(steps > 10 && commits > 10, "{steps} steps beside {commits} commits");
        assert_eq!(text(&copy, "SELECT COUNT(DISTINCT twin) FROM pairs WHERE id IN (1, 20000)"), "Integer(1)");
        // As many commits are in it as the first page says.
        let sql = "SELECT (SELECT COUNT(*) FROM pairs) - 20000 - (SELECT twin FROM pairs WHERE id = 1)";
        assert_eq!(text(&copy, sql), "Integer(0)");
        assert_eq!(
            copied.rows["pairs"].to_string(),
            text(&copy, "SELECT COUNT(*) || '' FROM pairs")[6..].trim_matches(|c| "()\"".contains(c))
        );
        assert!(!folder.path().join("copy.db-wal").exists(), "the copy is one file");
    }

    #[test]
    fn a_damaged_copy_and_one_with_other_rows_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = database(folder.path(), 100);
        let copy = folder.path().join("copy.db");
        let copied = copy_database(&path, &copy, &mut |_, _| true).unwrap();
        assert_eq!(copied.rows["pairs"], 100);
        check_whole(&copy, &copied).unwrap();

        Connection::open(&copy).unwrap().execute_batch("DELETE FROM pairs WHERE id = 5").unwrap();
        let error = check_whole(&copy, &copied).unwrap_err().to_string();
        assert!(error.contains("not whole") && error.contains("99"), "{error}");

        let mut bytes = fs::read(&copy).unwrap();
        let length = bytes.len();
        bytes[length / 2..].fill(0x5a);
        fs::write(&copy, bytes).unwrap();
        assert!(check_whole(&copy, &copied).is_err());

        let newer = DatabaseCopy { schema: 999, ..copied };
        assert!(check_whole(&path, &newer).unwrap_err().to_string().contains("newer program"));
    }

    #[test]
    fn a_copy_that_is_stopped_ends_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = database(folder.path(), 5_000);
        let mut steps = 0;
        let copied = copy_database(&path, &folder.path().join("copy.db"), &mut |_, _| {
            steps += 1;
            steps < 2
        });
        assert!(matches!(copied, Err(CopyError::Stopped)) && steps == 2);
    }
}
