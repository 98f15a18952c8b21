//! Looks into a database file that is not open yet, and changes nothing in it.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::{migration_steps, open_error};
use crate::store::database::StoreError;

/// How many problems of a damaged file are returned.
const MAX_PROBLEMS: usize = 3;

/// How many steps of SQLite's machine pass between two looks at the clock: about a millisecond.
const STEPS: i32 = 10_000;

/// The state of a database file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inspection {
    /// The file is sound.
    Sound,
    /// The file is too large to be checked in the time. What was checked is sound.
    Unfinished,
    /// The file is damaged, or is no database; why, in at most three sentences.
    Damaged(Vec<String>),
    /// A newer program wrote the schema.
    Newer {
        /// The schema of the file.
        schema: i64,
        /// The newest schema that this program knows.
        known: i64,
    },
}

/// Checks that the file at `path` is a sound database with a schema that this program knows. Takes about `limit` at
/// most, also for a large file. Another process may use the database meanwhile.
pub fn inspect(path: &Path, limit: Duration) -> Result<Inspection, StoreError> {
    // Not read-only: a database in WAL mode that nobody has open can be read only by a connection that may create files.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|error| open_error(path, &error))?;
    match inspect_connection(&connection, limit) {
        Ok(inspection) => Ok(inspection),
        Err(error) => match error.sqlite_error_code() {
            Some(ErrorCode::OperationInterrupted) => Ok(Inspection::Unfinished),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Ok(Inspection::Damaged(vec![error.to_string()]))
            }
            _ => Err(open_error(path, &error)),
        },
    }
}

/// Returns whether another process has the database open. `false` for a file that cannot be opened.
pub fn is_in_use(path: &Path) -> bool {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    // In this mode, a connection needs the file for itself.
    let alone = Connection::open_with_flags(path, flags).and_then(|connection| {
        connection.execute_batch("PRAGMA busy_timeout = 0; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; ROLLBACK")
    });
    let code = alone.err().and_then(|error| error.sqlite_error_code());
    matches!(code, Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

fn inspect_connection(connection: &Connection, limit: Duration) -> Result<Inspection, rusqlite::Error> {
    connection.execute_batch("PRAGMA busy_timeout = 8000; PRAGMA trusted_schema = OFF; PRAGMA query_only = ON;")?;
    let schema: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let known = i64::try_from(migration_steps().len()).unwrap_or(i64::MAX);
    if schema > known {
        return Ok(Inspection::Newer { schema, known });
    }
    let began = Instant::now();
    connection.progress_handler(STEPS, Some(move || began.elapsed() > limit))?;
    let mut problems = Vec::new();
    connection.pragma_query(None, "quick_check", |row| {
        let problem: String = row.get(0)?;
        if problem != "ok" && problems.len() < MAX_PROBLEMS {
            problems.push(problem);
        }
        Ok(())
    })?;
    Ok(if problems.is_empty() { Inspection::Sound } else { Inspection::Damaged(problems) })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{Seek, SeekFrom, Write};

    use super::*;
    use crate::store::{Store, StoreOptions};

    const NO_LIMIT: Duration = Duration::from_secs(3600);

    /// A database of our own that nobody has open.
    fn database() -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        drop(Store::open(&path, StoreOptions::new(Duration::ZERO, NO_LIMIT)).unwrap());
        (folder, path)
    }

    #[test]
    fn a_sound_file_is_told_from_a_damaged_one_a_newer_one_and_a_letter() {
        let (_folder, path) = database();
        assert_eq!(inspect(&path, NO_LIMIT), Ok(Inspection::Sound));

        let connection = Connection::open(&path).unwrap();
        connection.pragma_update(None, "user_version", 999).unwrap();
        assert!(matches!(inspect(&path, NO_LIMIT), Ok(Inspection::Newer { schema: 999, known: 1.. })));
        connection.pragma_update(None, "user_version", 1).unwrap();
        drop(connection);

        let length = fs::metadata(&path).unwrap().len();
        let mut file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.seek(SeekFrom::Start(2048)).unwrap();
        file.write_all(&vec![0x5a; usize::try_from(length).unwrap() - 2048]).unwrap();
        let damaged = inspect(&path, NO_LIMIT).unwrap();
        assert!(matches!(&damaged, Inspection::Damaged(why) if !why.is_empty()), "{damaged:?}");

        fs::write(&path, "this is a letter to my aunt, and not a database at all\n".repeat(100)).unwrap();
        let letter = inspect(&path, NO_LIMIT).unwrap();
        assert!(matches!(&letter, Inspection::Damaged(why) if why[0].contains("not a database")), "{letter:?}");
    }

    #[test]
    fn a_database_that_somebody_has_open_is_in_use() {
        let (folder, path) = database();
        assert!(!is_in_use(&path) && !is_in_use(&folder.path().join("none.db")));
        let store = Store::open(&path, StoreOptions::new(Duration::ZERO, NO_LIMIT)).unwrap();
        assert!(is_in_use(&path));
        drop(store);
        assert!(!is_in_use(&path));
        fs::write(&path, "this is a letter to my aunt").unwrap();
        assert!(!is_in_use(&path));
    }

    #[test]
    fn a_file_that_takes_too_long_is_left_unfinished() {
        let (_folder, path) = database();
        let connection = Connection::open(&path).unwrap();
        connection
            .execute_batch(
                "CREATE TABLE big (x); WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
                 INSERT INTO big SELECT i FROM n;",
            )
            .unwrap();
        assert_eq!(inspect(&path, Duration::ZERO), Ok(Inspection::Unfinished));
        assert_eq!(inspect(&path, NO_LIMIT), Ok(Inspection::Sound));
    }
}
