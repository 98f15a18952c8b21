//! Exit statuses, and what is printed with them.

use std::net::TcpListener;

use rusqlite::Connection;

use crate::setup::server_process::{CommandOutput, ServerProcess};
use crate::setup::test_environment::{OPENAI_KEY, TOKEN, TestEnvironment};

/// The first line names what failed, and no secret is printed.
fn assert_failed(ran: &CommandOutput, says: &[&str]) {
    assert_eq!(ran.status, Some(1), "{ran:?}");
    assert!(ran.stderr.lines().any(|line| line.starts_with("mynah: ")), "{ran:?}");
    for word in says {
        assert!(ran.stderr.contains(word), "{word:?} is missing in {ran:?}");
    }
    for secret in [TOKEN, OPENAI_KEY, "hunter2"] {
        assert!(!ran.stderr.contains(secret) && !ran.stdout.contains(secret), "a secret is told: {ran:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_usage_ends_with_2_and_help_with_0() {
    let environment = TestEnvironment::new().await;
    for wrong in [&[][..], &["serv"], &["serve", "--nonsense"], &["jobs"], &["jobs", "retry", "seven"]] {
        let ran = environment.settings.run(wrong).await;
        assert!(ran.status == Some(2) && ran.stderr.contains("--help"), "{wrong:?} {ran:?}");
    }
    for right in [&["--help"][..], &["--version"], &["serve", "--help"], &["jobs", "list", "--help"]] {
        let ran = environment.settings.run(right).await;
        assert!(ran.status == Some(0) && ran.stdout.contains("mynah"), "{right:?} {ran:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_configuration_is_reported_in_full_and_without_secrets() {
    let environment = TestEnvironment::new().await;
    let bad = environment
        .settings
        .clone()
        .with("MYNAH_LISTEN", "everywhere")
        .with("MYNAH_WORKERS", "many")
        .with("TWILIO_ACCOUNT_SID", "me")
        .with("TWILIO_AUTH_TOKEN", "hunter2 and more");
    let said = ["MYNAH_LISTEN", "everywhere", "MYNAH_WORKERS", "many", "TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN"];
    let ran = bad.run(&["serve"]).await;
    assert_failed(&ran, &said);
    assert!(ran.stderr.starts_with("mynah: the configuration has 4 errors\n"), "{ran:?}");
    let check = bad.run(&["check", "--offline"]).await;
    assert_eq!(check.status, Some(1));
    for word in said {
        assert!(check.stdout.contains(word), "{word:?} is missing in {check:?}");
    }
    assert!(!check.stdout.contains("hunter2"), "{check:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_that_is_taken_is_named_with_a_remedy() {
    let environment = TestEnvironment::new().await;
    let _taken = TcpListener::bind(("127.0.0.1", environment.settings.port)).unwrap();
    let ran = environment.settings.run(&["serve"]).await;
    assert_failed(&ran, &[&format!("127.0.0.1:{}", environment.settings.port), "MYNAH_LISTEN"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_of_a_newer_program_is_left_alone() {
    let environment = TestEnvironment::new().await;
    assert_eq!(environment.settings.run(&["migrate"]).await.status, Some(0));
    let file = environment.settings.folder.join("mynah.db");
    let version =
        |database: &Connection| -> i64 { database.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap() };
    Connection::open(&file).unwrap().pragma_update(None, "user_version", 999).unwrap();
    for command in [&["serve"][..], &["migrate"], &["jobs", "list"]] {
        assert_failed(&environment.settings.run(command).await, &["mynah.db", "schema 999", "newer program"]);
    }
    assert_eq!(version(&Connection::open(&file).unwrap()), 999);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spoilt_database_is_named_and_left_alone() {
    let environment = TestEnvironment::new().await;
    let file = environment.settings.folder.join("mynah.db");
    let letter = "this is a letter to my aunt, and not a database at all, dear reader\n".repeat(100);
    std::fs::write(&file, &letter).unwrap();
    assert_failed(&environment.settings.run(&["serve"]).await, &["mynah.db"]);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), letter);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_without_its_key_file_is_refused_by_the_files_name() {
    let environment = TestEnvironment::new().await;
    let mut server = ServerProcess::start(&environment.settings).await;
    server.kill9().await;
    std::fs::remove_file(environment.settings.folder.join("identity.age.txt")).unwrap();
    assert_failed(&environment.settings.run(&["serve"]).await, &["identity.age.txt"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_without_a_database_say_where_they_looked() {
    let environment = TestEnvironment::new().await;
    assert_failed(&environment.settings.run(&["jobs", "list"]).await, &["mynah.db", "MYNAH_DATA_DIR"]);
}
