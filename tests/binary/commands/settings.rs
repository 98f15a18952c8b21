//! Stored settings at the shell.

use serde_json::json;

use crate::setup::server_process::{CommandSettings, ServerProcess};
use crate::setup::test_environment::TestEnvironment;

async fn run_settings(settings: &CommandSettings, arguments: &[&str]) -> String {
    let ran = settings.run(&[&["settings"], arguments].concat()).await;
    assert_eq!(ran.status, Some(0), "{ran:?}");
    ran.stdout
}

async fn run_refused(settings: &CommandSettings, arguments: &[&str]) -> String {
    let ran = settings.run(&[&["settings"], arguments].concat()).await;
    assert!(ran.status == Some(1) && ran.stdout.is_empty(), "{ran:?}");
    ran.stderr
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_are_stored_listed_and_taken_away() {
    let environment = TestEnvironment::new().await;
    let settings = &environment.settings;
    assert!(run_refused(settings, &["list"]).await.contains("there is no database at"));
    assert_eq!(settings.run(&["migrate"]).await.status, Some(0));
    assert!(run_settings(settings, &["list"]).await.starts_with("no settings are stored"));
    assert_eq!(settings.run(&["settings", "list", "--json"]).await.json(), json!([]));

    let stored = "MYNAH_TYPING is stored; a running `mynah serve` uses it within two seconds\n";
    assert_eq!(run_settings(settings, &["set", "MYNAH_TYPING", "false"]).await, stored);
    let hidden = "MYNAH_AI_MODEL is stored, but is not in effect: overridden by environment variable MYNAH_AI_MODEL\n";
    assert_eq!(run_settings(settings, &["set", "MYNAH_AI_MODEL", "other"]).await, hidden);
    run_settings(settings, &["set", "MYNAH_TEXT_HELP", "-- Write to us.\nOr call."]).await;
    assert_eq!(run_settings(settings, &["get", "MYNAH_TEXT_HELP"]).await, "-- Write to us.\nOr call.\n");
    assert_eq!(
        run_settings(settings, &["list"]).await,
        "MYNAH_AI_MODEL   overridden by environment variable MYNAH_AI_MODEL  other\n\
         MYNAH_TEXT_HELP  in effect                                          -- Write to us. Or call.\n\
         MYNAH_TYPING     in effect                                          false\n"
    );
    let got = settings.run(&["settings", "get", "MYNAH_AI_MODEL", "--json"]).await.json();
    let why = "overridden by environment variable MYNAH_AI_MODEL";
    assert_eq!(got, json!({ "key": "MYNAH_AI_MODEL", "value": "other", "state": "hidden", "why": why }));

    let gone = "MYNAH_TYPING is deleted; a running `mynah serve` does without it within two seconds\n";
    assert_eq!(run_settings(settings, &["unset", "MYNAH_TYPING"]).await, gone);
    for action in ["get", "unset"] {
        assert!(run_refused(settings, &[action, "MYNAH_TYPING"]).await.contains("MYNAH_TYPING is not stored"));
        let unknown = run_refused(settings, &[action, "MYNAH_TYPNG"]).await;
        assert!(
            unknown.starts_with("mynah: setting MYNAH_TYPNG: found an unknown setting, expected MYNAH_TYPING"),
            "{unknown}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_setting_that_cannot_be_stored_is_refused_and_changes_nothing() {
    let environment = TestEnvironment::new().await;
    let settings = &environment.settings;
    assert_eq!(settings.run(&["migrate"]).await.status, Some(0));
    for (key, value, why) in [
        ("MYNAH_WORKERS", "many", "setting MYNAH_WORKERS: found \"many\", expected a whole number from 1 to 10000"),
        ("MYNAH_WORKER", "7", "setting MYNAH_WORKER: found an unknown setting, expected MYNAH_WORKERS"),
        ("OPENAI_API_KEY", "sk-canary", "setting OPENAI_API_KEY: found a secret, which cannot be stored"),
        (
            "MYNAH_DATA_DIR",
            "/elsewhere",
            "setting MYNAH_DATA_DIR: found a setting that mynah needs to read the database",
        ),
        ("MYNAH_LISTEN", "127.0.0.1:1", "setting MYNAH_LISTEN: found a setting that a running process cannot change"),
        ("MYNAH_LOG_DIR", "/tmp/x", "setting MYNAH_LOG_DIR: found a setting that a running process cannot change"),
        ("MYNAH_LOG_FORMAT", "json", "setting MYNAH_LOG_FORMAT: found a setting that a running process cannot change"),
        ("MYNAH_WHO", "code", "MYNAH_PAIRING_CODE: found no value"),
    ] {
        let refusal = run_refused(settings, &["set", key, value]).await;
        assert!(refusal.starts_with(&format!("mynah: {key} was not stored:\n{why}")), "{refusal}");
        assert!(!refusal.contains("canary"), "{refusal}");
    }
    assert_eq!(settings.run(&["settings", "list", "--json"]).await.json(), json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stored_setting_counts_from_the_next_start_and_may_complete_the_rest() {
    let environment = TestEnvironment::new().await;
    let half = environment.settings.clone().with("MYNAH_AI_2_MODEL", "gpt-5-mini").with("MYNAH_AI_2_API_KEY", "sk-2");
    assert_eq!(environment.settings.run(&["migrate"]).await.status, Some(0));
    assert_eq!(half.run(&["check", "--offline"]).await.status, Some(1));
    run_settings(&half, &["set", "MYNAH_AI_2_PROVIDER", "openai"]).await;
    let mut server = ServerProcess::start(&half).await;
    environment.contact_writes((0, 0)).await;
    environment.wait_until_all_answered_once(&mut server, 1, 1).await;
    // Beside the server. Removing a setting that others need is reported.
    let unset = half.run(&["settings", "unset", "MYNAH_AI_2_PROVIDER"]).await;
    assert!(unset.status == Some(0) && unset.stderr.contains("mynah does not start: "), "{unset:?}");
    assert!(unset.stderr.contains("MYNAH_AI_2_PROVIDER: found no value"), "{unset:?}");
}
