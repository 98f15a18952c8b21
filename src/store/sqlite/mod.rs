//! SQLite: one connection that writes, on a thread of its own, and a pool of connections that read.

mod checkpoint;
mod copy;
mod inspection;
mod scrub;
mod transaction;
mod writer;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use r2d2_sqlite::SqliteConnectionManager;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use rusqlite_migration::{M, Migrations};
use tokio::sync::watch;

pub use self::copy::{CopyError, DatabaseCopy, check_whole, copy_database, files_in_copy};
pub use self::inspection::{Inspection, inspect, is_in_use};

use self::checkpoint::Checkpoints;
use self::transaction::SqliteTx;
use self::writer::Writer;
use super::database::{Database, DatabaseSize, Job, Store, StoreError, StoreOptions, Tx};

/// The oldest SQLite without the bug that corrupts a database in WAL mode (sqlite.org, release 3.51.3).
const MIN_SQLITE_VERSION: i32 = 3_051_003;

/// Number of connections that read. The store allows as many reads at once, so that no thread waits for a connection.
const READ_CONNECTIONS: u32 = 4;

/// Number of statements kept prepared on each connection.
const STATEMENT_CACHE_SIZE: usize = 128;

/// Returns the migrations in order. A released migration is never changed.
fn migration_steps() -> Vec<M<'static>> {
    let files = [
        include_str!("../../../migrations/sqlite/0001_start.sql"),
        include_str!("../../../migrations/sqlite/0002_configuration.sql"),
        include_str!("../../../migrations/sqlite/0003_alert_deliveries.sql"),
        include_str!("../../../migrations/sqlite/0004_erasure.sql"),
        include_str!("../../../migrations/sqlite/0005_restores.sql"),
        include_str!("../../../migrations/sqlite/0006_admin_page.sql"),
    ];
    files
        .map(|sql| {
            M::up_with_hook(sql, |_: &rusqlite::Transaction<'_>| {
                crate::failpoint::hit("migration");
                Ok(())
            })
        })
        .into()
}

impl Store {
    /// Opens the SQLite file at `path`, creates it if it does not exist, and migrates it.
    pub fn open(path: &Path, options: StoreOptions) -> Result<Store, StoreError> {
        let (tell, fatal) = watch::channel(None);
        let database = Sqlite::open(path, Arc::new(move |why| drop(tell.send(Some(why)))))?;
        Ok(Store::over(Arc::new(database), READ_CONNECTIONS as usize, fatal, options))
    }
}

/// A database file.
pub(crate) struct Sqlite {
    writer: Writer,
    readers: r2d2::Pool<SqliteConnectionManager>,
    path: PathBuf,
}

impl Sqlite {
    /// Opens the file, migrates its schema, and starts the writer. `fatal` is called once if the file turns out to be
    /// damaged or the disk cannot make a write durable.
    pub(crate) fn open(path: &Path, fatal: Arc<dyn Fn(String) + Send + Sync>) -> Result<Sqlite, StoreError> {
        if rusqlite::version_number() < MIN_SQLITE_VERSION {
            return Err(StoreError::Open(format!(
                "this executable contains SQLite {}, which can corrupt a database in WAL mode; \
                 build it with SQLite 3.51.3 or newer",
                rusqlite::version()
            )));
        }
        let mut connection = Connection::open(path).map_err(|error| open_error(path, &error))?;
        set_up(&connection).map_err(|error| open_error(path, &error))?;
        migrate(&mut connection, path)?;
        let manager = SqliteConnectionManager::file(path)
            .with_flags(OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)
            .with_init(|connection| {
                configure_statement_cache(connection)?;
                connection
                    .execute_batch("PRAGMA busy_timeout = 8000; PRAGMA trusted_schema = OFF; PRAGMA query_only = ON;")
            });
        let readers = r2d2::Pool::builder()
            .max_size(READ_CONNECTIONS)
            .min_idle(Some(1))
            .test_on_check_out(false)
            .connection_timeout(Duration::from_secs(8))
            .build(manager)
            .map_err(|error| StoreError::Open(format!("{}: {error}", path.display())))?;
        let checkpoints = Checkpoints::new(&connection, path.to_owned(), checkpoint::CHECKPOINT_PAGES);
        Ok(Sqlite { writer: Writer::start(connection, checkpoints, fatal)?, readers, path: path.to_owned() })
    }
}

/// Reads the file at `path` without migrating it: calls `read` for each of its tables, all in one transaction. Does
/// nothing if there is no such file.
pub(crate) fn peek(
    path: &Path,
    read: &mut dyn FnMut(&str, &mut dyn Tx) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    if !path.exists() {
        return Ok(());
    }
    let to_open_error = |error| open_error(path, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(to_open_error)?;
    connection.execute_batch("PRAGMA busy_timeout = 8000; PRAGMA query_only = ON; BEGIN").map_err(to_open_error)?;
    let mut tables =
        connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").map_err(to_open_error)?;
    let names = tables.query_map([], |row| row.get::<_, String>(0)).map_err(to_open_error)?;
    for name in names.collect::<Result<Vec<_>, _>>().map_err(to_open_error)? {
        read(&name, &mut SqliteTx { connection: &connection })?;
    }
    Ok(())
}

fn open_error(path: &Path, error: &rusqlite::Error) -> StoreError {
    StoreError::Open(format!("the database {} cannot be opened: {error}", path.display()))
}

/// Caches statements and their plans. Without QPSG, SQLite plans many statements again at each call, for the values of
/// their arguments.
fn configure_statement_cache(connection: &Connection) -> Result<(), rusqlite::Error> {
    connection.set_prepared_statement_cache_capacity(STATEMENT_CACHE_SIZE);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(drop)
}

/// A transaction that only reads, begun and ended by cached statements. It ends when it is dropped.
struct ReadTransaction<'a>(&'a Connection);

impl ReadTransaction<'_> {
    fn begin(connection: &Connection) -> Result<ReadTransaction<'_>, StoreError> {
        let began = connection.prepare_cached("BEGIN").and_then(|mut statement| statement.execute([]));
        began.map(|_| ReadTransaction(connection)).map_err(transaction::classify_error)
    }
}

impl Drop for ReadTransaction<'_> {
    fn drop(&mut self) {
        // This fails only on a connection without an open transaction.
        drop(self.0.prepare_cached("ROLLBACK").and_then(|mut statement| statement.execute([])));
    }
}

/// Sets the pragmas. busy_timeout comes first, because switching to WAL needs the lock that another process may hold.
/// page_size takes effect only for a new file: a message changes some thirty pages, and each is written whole, so small
/// pages spare the disk. temp_store keeps what a savepoint would undo in memory, not in files in /var/tmp, which may be
/// full or missing.
fn set_up(connection: &Connection) -> Result<(), rusqlite::Error> {
    configure_statement_cache(connection)?;
    connection.execute_batch(
        "PRAGMA busy_timeout = 8000;
         PRAGMA page_size = 1024;
         PRAGMA temp_store = MEMORY;
         PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA foreign_keys = ON;
         PRAGMA trusted_schema = OFF;
         PRAGMA secure_delete = ON;
         PRAGMA journal_size_limit = 33554432;",
    )
}

/// Runs all missing migrations in one transaction. Refuses a schema from a newer program.
fn migrate(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let steps = migration_steps();
    let found: i64 = connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(|error| open_error(path, &error))?;
    let known = steps.len();
    if found > i64::try_from(known).unwrap_or(i64::MAX) {
        return Err(StoreError::Open(format!(
            "the database {} has schema {found}, but this program knows schemas up to {known} only: \
             run the newer program, or restore a backup made by this one",
            path.display()
        )));
    }
    Migrations::new(steps)
        .to_latest(connection)
        .map_err(|error| StoreError::Open(format!("the database {} cannot be migrated: {error}", path.display())))
}

impl Database for Sqlite {
    fn write(&self, job: Box<dyn Job>) {
        self.writer.queue(job);
    }

    fn read(&self, mut job: Box<dyn Job>) {
        let outcome =
            self.readers.get().map_err(|error| StoreError::Unavailable(error.to_string())).and_then(|connection| {
                let reading = ReadTransaction::begin(&connection)?;
                job.run(&mut SqliteTx { connection: reading.0 })
            });
        job.finish(outcome);
    }

    fn write_error(&self) -> Option<String> {
        self.writer.write_error()
    }

    fn empty_log(&self) -> Result<bool, StoreError> {
        scrub::empty_log(&self.path)
    }

    fn rewrite(&self) -> Result<(), StoreError> {
        scrub::rewrite(&self.path)
    }

    fn size(&self) -> Option<DatabaseSize> {
        let mut log = self.path.clone().into_os_string();
        log.push("-wal");
        let bytes = |path: &Path| Some(fs::metadata(path).ok()?.len());
        Some(DatabaseSize { data: bytes(&self.path)?, log: bytes(Path::new(&log))? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_is_flushed_to_the_disk_before_it_is_reported() {
        let folder = tempfile::tempdir().unwrap();
        let connection = Connection::open(folder.path().join("a.db")).unwrap();
        set_up(&connection).unwrap();
        let pragma = |name: &str| -> String {
            connection
                .pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0))
                .map(|value| format!("{value:?}"))
                .unwrap()
        };
        assert_eq!(pragma("journal_mode"), "Text(\"wal\")");
        assert_eq!(pragma("synchronous"), "Integer(2)", "FULL");
        assert_eq!(pragma("foreign_keys"), "Integer(1)");
        assert_eq!(pragma("trusted_schema"), "Integer(0)");
        assert_eq!(pragma("secure_delete"), "Integer(1)");
    }

    #[test]
    fn a_schema_from_a_newer_program_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let connection = Connection::open(&path).unwrap();
        connection.pragma_update(None, "user_version", 999).unwrap();
        let Err(StoreError::Open(why)) = Sqlite::open(&path, Arc::new(|_| ())) else { panic!("opened") };
        assert!(why.contains("has schema 999") && why.contains("newer program"), "{why}");
        let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
        assert_eq!(version, 999);
    }

    #[test]
    fn a_file_that_is_no_database_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        fs::write(&path, "this is a letter to my aunt, and not a database at all, dear reader").unwrap();
        let Err(StoreError::Open(why)) = Sqlite::open(&path, Arc::new(|_| ())) else { panic!("opened") };
        assert!(why.contains("a.db"), "{why}");
    }

    #[test]
    fn the_migrations_are_valid() {
        Migrations::new(migration_steps()).validate().unwrap();
    }
}
