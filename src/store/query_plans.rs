//! Tests that no statement reads a whole table. They find the statements in the source, so that none is forgotten.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use rusqlite::Connection;

use super::sqlite::Sqlite;

/// Returns the statements of every file of the store, by file (from the store's folder) and name.
fn statements() -> BTreeMap<String, String> {
    let store = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store");
    let mut files = Vec::new();
    let mut folders = vec![store.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => files.push(path),
            }
        }
    }
    let mut found = BTreeMap::new();
    for path in files {
        let file = path.strip_prefix(&store).unwrap().to_str().unwrap().to_owned();
        // The folder `sqlite` uses SQLite's own dialect and reads no table of ours.
        if !file.ends_with(".rs")
            || file.ends_with("_tests.rs")
            || file == "query_plans.rs"
            || file.starts_with("sqlite/")
        {
            continue;
        }
        let source = std::fs::read_to_string(&path).unwrap();
        let mut remaining = source.as_str();
        while let Some((_, after)) = remaining.split_once("const ") {
            remaining = after;
            let Some((name, value)) = after.split_once(": &str =") else { continue };
            if !name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_') {
                continue;
            }
            let text = value.trim_start().strip_prefix('"').and_then(|text| text.split_once('"'));
            let (sql, _) = text.unwrap_or_else(|| panic!("{file} {name} is not a plain string"));
            assert!(!sql.contains('\\'), "{file} {name} holds an escape, which this test does not read");
            found.insert(format!("{file} {name}"), sql.to_owned());
        }
        // Statements are constants: this test would miss the text of a statement in any other place.
        let verbs = ["SELECT ", "INSERT INTO ", "UPDATE ", "DELETE FROM "];
        let code = source.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let constants: String = found.iter().filter(|(key, _)| key.starts_with(&file)).map(|(_, sql)| &**sql).collect();
        for verb in verbs {
            let found_in_code = code.lines().filter(|line| !line.trim_start().starts_with("//"));
            let in_code = found_in_code.map(|line| line.matches(verb).count()).sum::<usize>();
            assert_eq!(in_code, constants.matches(verb).count(), "{file}: a {verb}outside the constants");
        }
    }
    found
}

fn database() -> (tempfile::TempDir, Connection) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    drop(Sqlite::open(&path, Arc::new(|_| ())).unwrap());
    let connection = Connection::open(path).unwrap();
    (folder, connection)
}

/// Returns the steps of a statement's plan (sqlite.org, EXPLAIN QUERY PLAN).
fn plan(connection: &Connection, sql: &str) -> Result<Vec<String>, rusqlite::Error> {
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
    let mut rows = statement.raw_query();
    let mut steps = Vec::new();
    while let Some(row) = rows.next()? {
        steps.push(row.get(3)?);
    }
    Ok(steps)
}

fn texts(connection: &Connection, sql: &str) -> HashSet<String> {
    let mut statement = connection.prepare(sql).unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

/// Statements that may scan, because they stop once they have enough and find enough soon: pages in the order of a key,
/// which return every row that they read, and the few rows of small tables. Those of `people` run only when an operator
/// looks for somebody by name, or exports or erases a person.
const ALLOWED_SCANS: &[&str] = &[
    "queue/jobs.rs DONE",
    "queue/restored_work.rs END_ADMIN_SESSIONS",
    "queue/restored_work.rs LATEST_RESTORE",
    "queue/restored_work.rs NEWEST_TURN",
    "operations/alerts.rs LATEST",
    "operations/alerts.rs OPEN",
    "operations/admin_accounts.rs ANY",
    "operations/admin_sessions.rs DELETE_ENDED",
    "operations/budget.rs OLD",
    "conversations/listing.rs LIST",
    "operations/retention.rs ENDED",
    "operations/retention.rs OLDEST_LOG",
    "operations/retention.rs OLD_ALERTS",
    "conversations/ending.rs OPEN",
    "operations/schedule.rs ALL",
    "operations/secrets.rs ALL",
    "operations/settings.rs ALL",
    "operations/stored_ai_configurations.rs ALL",
    "operations/stored_numbers.rs ALL",
    "conversations/short_ids.rs BEGIN",
    "conversations/short_ids.rs LATEST",
    "operations/erased.rs ALL",
    "operations/erased.rs OLD_MESSAGES",
    "people/erase.rs ALERTS",
    "people/erase.rs ALL_ADDRESSES",
    "people/erase.rs DELETE_USAGE",
    "people/erase.rs EMPTY_NEWEST_CONTACT",
    "people/erase.rs EMPTY_NEWEST_TURN",
    "people/erase.rs LATEST",
    "people/find.rs NAMES",
    "people/mentions.rs ADDRESSES",
    "people/mentions.rs AI_CONFIGURATIONS",
    "people/mentions.rs ALERTS",
    "people/mentions.rs ALERT_MESSAGES",
    "people/mentions.rs ATTACHMENTS",
    "people/mentions.rs CONTACTS",
    "people/mentions.rs CONVERSATIONS",
    "people/mentions.rs FILES",
    "people/mentions.rs MESSAGES",
    "people/mentions.rs NUMBERS",
    "people/mentions.rs OUR_ADDRESSES",
    "people/mentions.rs PARTS",
    "people/mentions.rs SCHEDULE",
    "people/mentions.rs SETTINGS",
    "people/mentions.rs TURNS",
    "people/mentions.rs WEBHOOKS",
    "people/records.rs ALERTS",
    "people/records.rs ALERT_MESSAGES",
    "people/records.rs USAGE",
    "people/records.rs WEBHOOKS",
    "people/traces.rs ALL_MESSAGES",
];

/// Returns the partial indexes, which hold only what is in progress or has failed.
fn partial_indexes(connection: &Connection) -> HashSet<String> {
    let conditions = ["state", "live", "due_at", "command", "status", "unfinished", "untold"];
    let of = |column| format!("SELECT name FROM sqlite_schema WHERE type = 'index' AND sql LIKE '% WHERE {column} %'");
    conditions.iter().flat_map(|column| texts(connection, &of(column))).collect()
}

/// Whether a step costs more with every stored message. A search with only one bound, such as `(rowid<?)`, reads from
/// there to the end if nothing else stops it.
fn grows_with_table(step: &str, partial: &HashSet<String>) -> bool {
    let is_full_scan = step.starts_with("SCAN ") && step != "SCAN CONSTANT ROW";
    let between = step.contains("(rowid>? AND rowid<?)");
    let is_half_open_range = step.starts_with("SEARCH ") && !step.contains("=?") && !between;
    let index = step.split_once("INDEX ").map(|(_, rest)| rest.split(' ').next().unwrap_or_default());
    step.contains("TEMP B-TREE")
        || step.contains("AUTOMATIC")
        || ((is_full_scan || is_half_open_range) && !index.is_some_and(|index| partial.contains(index)))
}

#[test]
fn no_statement_reads_or_sorts_a_whole_table() {
    let (_folder, connection) = database();
    let partial = partial_indexes(&connection);
    assert!(partial.contains("turns_due") && !partial.contains("messages_provider"), "{partial:?}");
    let statements = statements();
    assert!(statements.len() > 40 && statements.contains_key("queue/turns.rs DUE"), "{:?}", statements.keys());
    assert!(ALLOWED_SCANS.iter().all(|name| statements.contains_key(*name)));
    let mut wrong = Vec::new();
    for (name, sql) in statements.iter().filter(|(name, _)| !ALLOWED_SCANS.contains(&name.as_str())) {
        match plan(&connection, sql) {
            Ok(steps) => {
                wrong.extend(
                    steps.iter().filter(|step| grows_with_table(step, &partial)).map(|step| format!("{name}: {step}")),
                );
            }
            Err(error) => wrong.push(format!("{name}: {error}")),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Shows that the test above can fail.
#[test]
fn a_statement_that_reads_a_whole_table_is_noticed() {
    let (_folder, connection) = database();
    let partial = partial_indexes(&connection);
    for sql in [
        "SELECT 1 FROM messages WHERE content = ?1",
        "SELECT 1 FROM parts WHERE provider_id IS NULL AND status_rank < ?1",
        "SELECT id FROM messages WHERE conversation_id = ?1 ORDER BY created_at",
        "UPDATE turns SET error = ?1 WHERE model = ?2",
        "DELETE FROM webhook_log WHERE received_at < ?1",
        "SELECT id FROM turns WHERE state = 'expired' AND id < ?1 ORDER BY id DESC LIMIT 50",
        "SELECT id FROM turns WHERE live IS NULL AND created_at < ?1",
    ] {
        let steps = plan(&connection, sql).unwrap();
        assert!(steps.iter().any(|step| grows_with_table(step, &partial)), "{sql}: {steps:?}");
    }
}
