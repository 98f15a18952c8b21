//! SQLite: a file in a temporary folder.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use mynah::store::{Store, stored_configuration};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};

use crate::setup::fresh_store::{DEFAULT_OPTIONS, FreshStore};

crate::every_promise!(crate::sqlite::database_file::new_store);

/// An empty store.
fn new_store() -> FreshStore {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mynah.db");
    let (opens, reads, writes) = (path.clone(), path.clone(), path);
    FreshStore::new(
        Arc::new(move |options| Store::open(&opens, options).unwrap()),
        Arc::new(move |sql| rows(&reads, sql)),
        Arc::new(move |sql| execute(&writes, sql)),
        POISON_TRIGGER,
        Box::new(folder),
    )
}

/// What `.cargo/config.toml` asks of the bundled SQLite reaches its compiler, which accepts a wrong flag silently.
#[test]
fn sqlite_is_built_without_what_nobody_calls() {
    let connection = Connection::open_in_memory().unwrap();
    let mut statement = connection.prepare("PRAGMA compile_options").unwrap();
    let options: Vec<String> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    for wanted in ["DEFAULT_MEMSTATUS=0", "ENABLE_FTS5", "OMIT_LOAD_EXTENSION", "OMIT_SHARED_CACHE"] {
        assert!(options.iter().any(|option| option == wanted), "{wanted} of {options:?}");
    }
    for unwanted in ["ENABLE_MEMORY_MANAGEMENT", "ENABLE_FTS3", "ENABLE_RTREE", "ENABLE_STAT4", "SOUNDEX"] {
        assert!(!options.iter().any(|option| option == unwanted), "{unwanted} of {options:?}");
    }
}

/// Each read uses its own connection, so that it sees only what is committed.
fn reader(path: &Path) -> Connection {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    connection.busy_timeout(std::time::Duration::from_secs(8)).unwrap();
    connection
}

fn rows(path: &Path, sql: &str) -> Vec<String> {
    let connection = reader(path);
    let mut statement = connection.prepare(sql).unwrap();
    let columns = statement.column_count();
    let mut found = Vec::new();
    let mut rows = statement.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        let cells = (0..columns).map(|column| match row.get_ref(column).unwrap() {
            ValueRef::Null => "-".to_owned(),
            ValueRef::Integer(value) => value.to_string(),
            ValueRef::Real(value) => value.to_string(),
            ValueRef::Text(text) => String::from_utf8(text.to_vec()).unwrap(),
            ValueRef::Blob(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        });
        found.push(cells.collect::<Vec<_>>().join("|"));
    }
    found
}

fn execute(path: &Path, sql: &str) {
    let connection = Connection::open(path).unwrap();
    connection.busy_timeout(std::time::Duration::from_secs(8)).unwrap();
    connection.execute_batch("PRAGMA foreign_keys = ON").unwrap();
    connection.execute_batch(sql).unwrap();
}

const POISON_TRIGGER: &str = "
    CREATE TRIGGER poison BEFORE INSERT ON webhook_log WHEN NEW.body = 'poison'
    BEGIN SELECT RAISE(ABORT, 'poisoned'); END";

#[test]
fn a_database_that_is_not_there_or_is_older_than_settings_has_none_and_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mynah.db");
    assert!(stored_configuration(&path).unwrap() == Default::default() && !path.exists());
    execute(&path, "CREATE TABLE t (id INTEGER PRIMARY KEY)");
    assert_eq!(stored_configuration(&path).unwrap(), Default::default());
    assert_eq!(rows(&path, "SELECT name FROM sqlite_schema"), ["t"]);
}

/// Without such an index, deleting one row would read the whole table of its children.
#[test]
fn every_foreign_key_has_an_index_that_begins_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mynah.db");
    drop(Store::open(&path, DEFAULT_OPTIONS).unwrap());
    let tables = rows(&path, "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'");
    assert!(tables.len() >= 6, "{tables:?}");
    let mut keys = 0;
    for table in &tables {
        // One key may span several columns.
        let mut children: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let sql = format!("SELECT id, \"from\" FROM pragma_foreign_key_list('{table}') ORDER BY id, seq");
        for row in rows(&path, &sql) {
            let (key, column) = row.split_once('|').unwrap();
            children.entry(key.to_owned()).or_default().push(column.to_owned());
        }
        // A partial index does not find every child.
        let names = rows(&path, &format!("SELECT name FROM pragma_index_list('{table}') WHERE partial = 0"));
        let indexes: Vec<Vec<String>> = names
            .iter()
            .map(|index| rows(&path, &format!("SELECT name FROM pragma_index_info('{index}') ORDER BY seqno")))
            .collect();
        for columns in children.values() {
            keys += 1;
            let found = indexes.iter().any(|index| index.starts_with(columns));
            assert!(found, "{table} {columns:?} is a foreign key without an index; there are {indexes:?}");
        }
    }
    assert_eq!(keys, 6, "foreign keys in the schema");
}

/// With the keys' actions and their indexes, a contact goes with all that was said.
#[tokio::test]
async fn a_contact_that_is_deleted_goes_with_everything() {
    let fresh = new_store();
    let claim = fresh.claimed_turn("+15550000001").await;
    fresh.answer(&claim, &["One.", "Two."]).await;
    fresh.execute_sql("DELETE FROM contacts");
    for table in ["contacts", "addresses", "conversations", "messages", "parts"] {
        assert_eq!(fresh.count(table), 0, "{table}");
    }
    // Its number stays taken, and nothing is left to do about it.
    let left = "SELECT id, state, live, due_at, error FROM turns";
    assert_eq!(fresh.rows(left), [format!("{}|skipped|-|-|its conversation was deleted", claim.turn)]);
}

/// Whatever was reported as stored is there when the file is opened again.
#[tokio::test]
async fn accepted_messages_survive_a_restart() {
    let fresh = new_store();
    let claim = fresh.claimed_turn("+15550000001").await;
    let everything = fresh.all_rows();
    let folder: &tempfile::TempDir = fresh.keep.downcast_ref().unwrap();
    let again = Store::open(&folder.path().join("mynah.db"), DEFAULT_OPTIONS).unwrap();
    assert_eq!(fresh.all_rows(), everything);
    assert_eq!(again.context_window(claim.conversation, claim.turn, 10).await.unwrap().len(), 1);
}
