//! Tests that the export covers the schema: every column of every table that can hold something of a person is
//! exported, or is listed here with the reason why not.

use std::collections::BTreeSet;
use std::sync::Arc;

use rusqlite::Connection;

use super::*;
use crate::store::sqlite::Sqlite;

/// A table with its statement and columns, and the columns that are left out: keys that the document shows by its
/// shape, what the database derives, and the tokens of claims, which are random.
type Exported = (&'static str, &'static str, &'static [Column], &'static [&'static str]);

const EXPORTED: [Exported; 11] = [
    ("contacts", CONTACT, CONTACT_COLUMNS, &[]),
    ("addresses", ADDRESSES, ADDRESS_COLUMNS, &["contact_id"]),
    ("conversations", CONVERSATION, CONVERSATION_COLUMNS, &["contact_id", "is_open"]),
    ("messages", MESSAGES, MESSAGE_COLUMNS, &["conversation_id", "turn_id"]),
    ("attachments", ATTACHMENTS, ATTACHMENT_COLUMNS, &["conversation_id", "message_id"]),
    ("files", FILES, FILE_COLUMNS, &["conversation_id"]),
    ("turns", TURN, TURN_COLUMNS, &["conversation_id", "live", "token", "reserved"]),
    ("parts", PARTS, PART_COLUMNS, &["id", "turn_id", "conversation_id", "token", "status_rank"]),
    ("spent", USAGE, USAGE_COLUMNS, &["scope"]),
    ("alerts", ALERTS, ALERT_COLUMNS, &["told_at", "told_count", "untold"]),
    ("alert_deliveries", ALERT_MESSAGES, ALERT_MESSAGE_COLUMNS, &["id", "due_at", "token"]),
];

/// Tables that hold nothing of a contact: they are about the business, its numbers, its settings and its regular jobs.
const NOTHING_OF_A_PERSON: &[&str] = &[
    "our_addresses",
    "secrets",
    "schedule",
    "catch_ups",
    "settings",
    "configuration",
    "ai_configurations",
    "numbers",
    "admin_accounts",
    "admin_sessions",
    // Keyed hashes, and times.
    "erased_addresses",
    "erased_messages",
    "erasures",
    "restores",
];

fn database() -> (tempfile::TempDir, Connection) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    drop(Sqlite::open(&path, Arc::new(|_| ())).unwrap());
    let connection = Connection::open(path).unwrap();
    (folder, connection)
}

fn texts(connection: &Connection, sql: &str) -> BTreeSet<String> {
    let mut statement = connection.prepare(sql).unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

/// The columns between `SELECT` and `FROM`.
fn selected(sql: &str) -> Vec<String> {
    let list = sql.trim().strip_prefix("SELECT ").and_then(|rest| rest.split_once("FROM ")).unwrap().0;
    list.split(',').map(|column| column.trim().to_owned()).collect()
}

#[test]
fn every_column_that_can_hold_something_of_a_person_is_exported() {
    let (_folder, connection) = database();
    let webhook_log: Exported = ("webhook_log", WEBHOOKS, WEBHOOK_COLUMNS, &[]);
    for (table, sql, columns, left_out) in EXPORTED.into_iter().chain([webhook_log]) {
        let selected = selected(sql);
        assert_eq!(selected.len(), columns.len(), "{table}: the names do not fit the statement");
        let covered: BTreeSet<String> =
            selected.into_iter().chain(left_out.iter().map(|column| (*column).to_owned())).collect();
        let all = texts(&connection, &format!("SELECT name FROM pragma_table_xinfo('{table}')"));
        assert_eq!(covered, all, "{table}: export the column, or list it as left out with a reason");
    }
}

#[test]
fn every_table_is_exported_or_holds_nothing_of_a_person() {
    let (_folder, connection) = database();
    let all = texts(&connection, "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'");
    let exported = EXPORTED.iter().map(|(table, ..)| *table).chain(["webhook_log"]);
    let listed: BTreeSet<String> = exported.chain(NOTHING_OF_A_PERSON.iter().copied()).map(str::to_owned).collect();
    assert_eq!(
        listed, all,
        "a table that can hold a contact's data must be exported (store/people/records.rs) and erased; others are \
         listed in this test"
    );
}
