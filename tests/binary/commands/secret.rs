//! Stored secrets at the shell, and the `age` tool that reads and makes them.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use rusqlite::Connection;
use serde_json::json;

use crate::setup::server_process::{CommandOutput, CommandSettings, ServerProcess};
use crate::setup::test_environment::{OPENAI_KEY, TOKEN, TestEnvironment};

const CANARY: &str = "sk-canary-7f3a9c";

async fn run(settings: &CommandSettings, arguments: &[&str], input: &str) -> CommandOutput {
    settings.run_with_input(&[&["secret"], arguments].concat(), input).await
}

async fn run_ok(settings: &CommandSettings, arguments: &[&str], input: &str) -> String {
    let ran = run(settings, arguments, input).await;
    assert_eq!(ran.status, Some(0), "{ran:?}");
    ran.stdout
}

async fn refused(settings: &CommandSettings, arguments: &[&str], input: &str) -> String {
    let ran = run(settings, arguments, input).await;
    assert!(ran.status == Some(1) && ran.stdout.is_empty(), "{ran:?}");
    assert!(!ran.stderr.contains(CANARY), "{ran:?}");
    ran.stderr
}

/// A data folder with a database.
async fn migrated(environment: &TestEnvironment) -> &CommandSettings {
    assert_eq!(environment.settings.run(&["migrate"]).await.status, Some(0));
    &environment.settings
}

fn sealed(folder: &Path, name: &str) -> String {
    let database = Connection::open(folder.join("mynah.db")).expect("it exists");
    database.query_row("SELECT sealed FROM secrets WHERE name = ?1", [name], |row| row.get(0)).expect("it is stored")
}

/// Runs the `age` tool with this input; what it prints.
fn age(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new("age")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the package `age` is installed (tests/run does that)");
    child.stdin.take().expect("it is piped").write_all(input).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "age {arguments:?}");
    output.stdout
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_is_stored_encrypted_listed_without_its_value_and_taken_away() {
    let environment = TestEnvironment::new().await;
    let settings = &migrated(&environment).await.clone().without("OPENAI_API_KEY");
    assert!(run_ok(settings, &["list"], "").await.starts_with("no secrets are stored"));
    let stored = run(settings, &["set", "OPENAI_API_KEY"], &format!("{CANARY}\n")).await;
    assert_eq!(stored.stdout, "OPENAI_API_KEY is stored; a running `mynah serve` uses it within two seconds\n");
    assert!(stored.stderr.contains("made the age identity") && stored.stderr.contains("keep a copy"), "{stored:?}");
    let mode = std::fs::metadata(settings.folder.join("identity.age.txt")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let again = run(settings, &["set", "OPENAI_API_KEY", "--json"], CANARY).await;
    assert!(again.stderr.is_empty(), "the identity is there already: {again:?}");
    assert_eq!((&again.json()["name"], &again.json()["state"]), (&json!("OPENAI_API_KEY"), &json!("counts")));
    let listed = run_ok(settings, &["list"], "").await;
    assert!(listed.contains("OPENAI_API_KEY") && listed.contains("in effect") && !listed.contains(CANARY), "{listed}");
    let overridden = settings.clone().with("OPENAI_API_KEY", "sk-other");
    let listed = run(&overridden, &["list", "--json"], "").await.json();
    assert_eq!(listed[0]["why"], "overridden by environment variable OPENAI_API_KEY");
    // No file of the folder holds the value.
    for file in std::fs::read_dir(&settings.folder).unwrap().map(|entry| entry.unwrap().path()) {
        let bytes = std::fs::read(&file).unwrap();
        assert!(!bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes()), "{}", file.display());
    }
    assert_eq!(
        run_ok(settings, &["remove", "OPENAI_API_KEY"], "").await,
        "OPENAI_API_KEY is deleted; a running `mynah serve` does without it within two seconds\n"
    );
    assert!(refused(settings, &["remove", "OPENAI_API_KEY"], "").await.contains("OPENAI_API_KEY is not stored"));
    assert_eq!(run(settings, &["list", "--json"], "").await.json(), json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_secret_or_no_value_is_refused_and_nothing_is_stored() {
    let environment = TestEnvironment::new().await;
    let settings = migrated(&environment).await;
    for (name, value, expected) in [
        ("MYNAH_TYPING", CANARY, "expected a secret, or `mynah settings set MYNAH_TYPING`"),
        ("DATABASE_URL", CANARY, "the address of the database"),
        ("OPENAI_API_KEYS", CANARY, "expected OPENAI_API_KEY"),
        ("OPENAI_API_KEY", "two words sk-canary-7f3a9c", "expected an API key without spaces"),
        ("OPENAI_API_KEY", "\n", "no value for OPENAI_API_KEY"),
    ] {
        let error = refused(settings, &["set", name], value).await;
        assert!(error.contains(expected), "{name}: {error}");
    }
    assert_eq!(run(settings, &["list", "--json"], "").await.json(), json!([]));
    let argument = run(settings, &["set", "OPENAI_API_KEY", CANARY], "").await;
    assert_eq!(argument.status, Some(2), "a value is never an argument: {argument:?}");
    let missing = refused(settings, &["set", "OPENAI_API_KEY", "--file", "/nonexistent/key"], "").await;
    assert!(missing.contains("/nonexistent/key"), "{missing}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_age_tool_opens_what_mynah_stores_and_mynah_opens_what_the_tool_makes() {
    let environment = TestEnvironment::new().await;
    let settings = &migrated(&environment).await.clone().without("OPENAI_API_KEY");
    run_ok(settings, &["set", "OPENAI_API_KEY"], CANARY).await;
    let identity = settings.folder.join("identity.age.txt");
    let stored = sealed(&settings.folder, "OPENAI_API_KEY");
    let opened = age(&["--decrypt", "--identity", identity.to_str().unwrap()], stored.as_bytes());
    assert_eq!(opened, CANARY.as_bytes());

    let text = std::fs::read_to_string(&identity).unwrap();
    let recipient = text.lines().find_map(|line| line.strip_prefix("# public key: ")).unwrap();
    let made = age(&["--encrypt", "--armor", "--recipient", recipient], OPENAI_KEY.as_bytes());
    let database = Connection::open(settings.folder.join("mynah.db")).unwrap();
    let put = "UPDATE secrets SET sealed = ?1 WHERE name = 'OPENAI_API_KEY'";
    assert_eq!(database.execute(put, [String::from_utf8(made).unwrap()]).unwrap(), 1);
    drop(database);
    // The stand-in for the model wants no particular key, so what counts is that it is read.
    assert_eq!(run(settings, &["list", "--json"], "").await.json()[0]["state"], "counts");
    let mut server = ServerProcess::start(settings).await;
    environment.contact_writes((0, 0)).await;
    environment.wait_until_all_answered_once(&mut server, 1, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_server_uses_a_token_that_is_changed_and_refuses_the_one_before() {
    let environment = TestEnvironment::new().await;
    let settings = &migrated(&environment).await.clone().without("TWILIO_AUTH_TOKEN");
    run_ok(settings, &["set", "TWILIO_AUTH_TOKEN"], "00000000000000000000000000000000").await;
    let mut server = ServerProcess::start(settings).await;
    run_ok(settings, &["set", "TWILIO_AUTH_TOKEN"], TOKEN).await;
    // The contact repeats the message until it is acknowledged, which needs the right token.
    environment.contact_writes((0, 0)).await;
    environment.wait_until_all_answered_once(&mut server, 1, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_encrypts_every_secret_anew_and_the_old_identity_opens_none() {
    let environment = TestEnvironment::new().await;
    let settings = &migrated(&environment).await.clone().without("OPENAI_API_KEY").without("TWILIO_AUTH_TOKEN");
    run_ok(settings, &["set", "OPENAI_API_KEY"], OPENAI_KEY).await;
    run_ok(settings, &["set", "TWILIO_AUTH_TOKEN"], TOKEN).await;
    let mut server = ServerProcess::start(settings).await;
    let identity = settings.folder.join("identity.age.txt");
    let old = std::fs::read(&identity).unwrap();
    let rotated = run(settings, &["rotate", "--json"], "").await.json();
    assert_eq!(rotated["secrets"], 3, "with the key of status callbacks: {rotated}");
    assert_ne!(std::fs::read(&identity).unwrap(), old);
    let all = run(settings, &["list", "--json"], "").await.json();
    assert!(all.as_array().unwrap().iter().all(|secret| secret["state"] != "unreadable"), "{all}");
    // The server goes on, and so does the next one.
    environment.contact_writes((0, 0)).await;
    environment.wait_until_all_answered_once(&mut server, 1, 1).await;
    server.signal("TERM");
    server.wait_for_exit().await;
    server.restart(settings).await;
    environment.contact_writes((0, 1)).await;
    environment.wait_until_all_answered_once(&mut server, 1, 2).await;
    std::fs::write(&identity, &old).unwrap();
    let all = run(settings, &["list", "--json"], "").await.json();
    assert!(all.as_array().unwrap().iter().all(|secret| secret["state"] == "unreadable"), "{all}");
    let error = refused(settings, &["rotate"], "").await;
    assert!(error.contains("cannot be decrypted, so nothing was changed"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_identity_of_the_owners_is_used_where_it_is_named_and_a_rotation_to_one_says_what_is_left_to_do() {
    let environment = TestEnvironment::new().await;
    let settings = &migrated(&environment).await.clone().without("OPENAI_API_KEY");
    let keys = settings.folder.join("keys");
    std::fs::create_dir(&keys).unwrap();
    let [first, second] = ["first.txt", "second.txt"].map(|name| keys.join(name).to_str().unwrap().to_owned());
    for path in [&first, &second] {
        assert!(Command::new("age-keygen").args(["-o", path]).stderr(Stdio::null()).status().unwrap().success());
    }
    let with = |path: &str| settings.clone().with("MYNAH_AGE_KEY_FILE", path);
    run_ok(&with(&first), &["set", "OPENAI_API_KEY"], CANARY).await;
    assert!(!settings.folder.join("identity.age.txt").exists());
    let rotated = run_ok(&with(&first), &["rotate", "--to", &second], "").await;
    assert!(rotated.contains("1 secrets are encrypted for age1") && rotated.contains("in the place"), "{rotated}");
    let state = |all: serde_json::Value| all[0]["state"].clone();
    assert_eq!(state(run(&with(&first), &["list", "--json"], "").await.json()), "unreadable");
    assert_eq!(state(run(&with(&second), &["list", "--json"], "").await.json()), "counts");
    // systemd passes it as a credential.
    let credentials = settings.folder.join("credentials");
    std::fs::create_dir(&credentials).unwrap();
    std::fs::copy(&second, credentials.join("mynah.age")).unwrap();
    let by_systemd = settings.clone().with("CREDENTIALS_DIRECTORY", credentials.to_str().unwrap());
    assert_eq!(state(run(&by_systemd, &["list", "--json"], "").await.json()), "counts");
    assert!(refused(&by_systemd, &["rotate"], "").await.contains("systemd credential"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_or_unsuitable_identity_is_an_error_that_names_what_is_unreadable_and_what_to_do() {
    let environment = TestEnvironment::new().await;
    let settings = &migrated(&environment).await.clone().without("OPENAI_API_KEY").without("TWILIO_AUTH_TOKEN");
    run_ok(settings, &["set", "OPENAI_API_KEY"], OPENAI_KEY).await;
    run_ok(settings, &["set", "TWILIO_AUTH_TOKEN"], TOKEN).await;
    let identity = settings.folder.join("identity.age.txt");
    let kept = std::fs::read(&identity).unwrap();

    std::fs::set_permissions(&identity, std::fs::Permissions::from_mode(0o644)).unwrap();
    let failed = settings.run(&["check", "--offline"]).await;
    let chmod = format!("chmod 600 {}", identity.display());
    assert!(failed.status == Some(1) && failed.stdout.contains(&chmod), "{failed:?}");

    for damage in [None, Some("# empty\n")] {
        if damage.is_none() {
            std::fs::remove_file(&identity).unwrap();
        }
        if let Some(text) = damage {
            std::fs::write(&identity, text).unwrap();
            std::fs::set_permissions(&identity, std::fs::Permissions::from_mode(0o600)).unwrap();
        }
        let mut server = ServerProcess::launch(settings);
        assert!(!server.wait_until_ready_or_ended().await);
        server.wait_for_exit().await;
        let log = server.log();
        for name in ["OPENAI_API_KEY", "TWILIO_AUTH_TOKEN"] {
            let line = log.lines().find(|line| line.starts_with(&format!("stored secret {name}"))).unwrap_or_default();
            assert!(line.contains(&format!("`mynah secret set {name}`")), "{log}");
        }
    }
    // Lost for good: the secrets are set again, under a new identity.
    std::fs::remove_file(&identity).unwrap();
    let again = run(settings, &["set", "OPENAI_API_KEY"], OPENAI_KEY).await;
    assert_eq!(again.status, Some(0), "{again:?}");
    assert!(again.stderr.contains("the stored secret TWILIO_AUTH_TOKEN cannot be decrypted"), "{again:?}");
    assert_ne!(std::fs::read(&identity).unwrap(), kept);
    run_ok(settings, &["set", "TWILIO_AUTH_TOKEN"], TOKEN).await;
    let mut server = ServerProcess::start(settings).await;
    environment.contact_writes((0, 0)).await;
    environment.wait_until_all_answered_once(&mut server, 1, 1).await;
}

#[cfg(feature = "failpoints")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_in_a_rotation_leaves_every_secret_readable() {
    let environment = TestEnvironment::new().await;
    let settings = &migrated(&environment).await.clone().without("OPENAI_API_KEY");
    run_ok(settings, &["set", "OPENAI_API_KEY"], CANARY).await;
    for place in ["rotate-before-commit", "rotate-after-commit"] {
        let crashed = run(&settings.clone().with("MYNAH_FAILPOINT", place), &["rotate"], "").await;
        assert!(crashed.stderr.contains("the process ends here"), "{crashed:?}");
        assert_eq!(run(settings, &["list", "--json"], "").await.json()[0]["state"], "counts", "{place}");
    }
    run_ok(settings, &["rotate"], "").await;
    let text = std::fs::read_to_string(settings.folder.join("identity.age.txt")).unwrap();
    assert_eq!(text.matches("AGE-SECRET-KEY-1").count(), 1, "a rotation that ends leaves one identity");
    assert_eq!(run(settings, &["list", "--json"], "").await.json()[0]["state"], "counts");
}
