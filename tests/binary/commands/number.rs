//! Stored numbers at the shell.

use serde_json::json;

use crate::setup::server_process::{CommandOutput, CommandSettings, ServerProcess};
use crate::setup::test_environment::{ACCOUNT, TOKEN, TestEnvironment};
use crate::setup::wait::{TEST_TIMEOUT, wait_until};

const OTHER_ACCOUNT: &str = "ACffffffffffffffffffffffffffffffff";

async fn run(settings: &CommandSettings, arguments: &[&str], input: &str) -> CommandOutput {
    settings.run_with_input(&[&["number"], arguments].concat(), input).await
}

async fn run_ok(settings: &CommandSettings, arguments: &[&str], input: &str) -> String {
    let ran = run(settings, arguments, input).await;
    assert_eq!(ran.status, Some(0), "{ran:?}");
    ran.stdout
}

async fn refused(settings: &CommandSettings, arguments: &[&str], input: &str) -> String {
    let ran = run(settings, arguments, input).await;
    assert!(ran.status == Some(1) && ran.stdout.is_empty() && !ran.stderr.contains(TOKEN), "{ran:?}");
    ran.stderr
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stored_number_inherits_is_changed_and_is_taken_away_while_a_server_runs() {
    let environment = TestEnvironment::new().await;
    let settings = environment.settings.clone();
    let server = ServerProcess::start(&settings).await;
    let stored = run_ok(&settings, &["add", "sales", "--from", "+14155550002"], "").await;
    assert_eq!(stored, "the number sales is stored; a running `mynah serve` uses it within two seconds\n");
    wait_until("the server has two numbers", TEST_TIMEOUT, || async {
        let ready: serde_json::Value = serde_json::from_str(&server.get("/readyz").await?.1).ok()?;
        (ready["numbers"].as_array()?.len() == 2).then_some(())
    })
    .await;
    let listed = run(&settings, &["list", "--json"], "").await.json();
    let sales = json!({
        "name": "sales", "source": "stored", "sender": "whatsapp:+14155550002", "account": ACCOUNT,
        "models": ["environment"],
    });
    assert_eq!((&listed[0]["name"], &listed[0]["source"], &listed[1]), (&json!("main"), &json!("main"), &sales));
    let token = ["update", "sales", "--account-sid", OTHER_ACCOUNT, "--secret", "TWILIO_AUTH_TOKEN=-"];
    run_ok(&settings, &token, TOKEN).await;
    assert_eq!(run(&settings, &["list", "--json"], "").await.json()[1]["account"], OTHER_ACCOUNT);
    let secrets = settings.run(&["secret", "list", "--json"]).await.json();
    let own = secrets.as_array().unwrap().iter().find(|secret| secret["name"] == "sales.TWILIO_AUTH_TOKEN");
    assert_eq!(own.unwrap()["state"], "counts");
    let changed = settings.run_with_input(&["secret", "set", "sales.TWILIO_AUTH_TOKEN"], TOKEN).await;
    assert_eq!(changed.status, Some(0), "{changed:?}");
    run_ok(&settings, &["remove", "sales"], "").await;
    assert_eq!(run(&settings, &["list", "--json"], "").await.json().as_array().unwrap().len(), 1);
    let secrets = settings.run(&["secret", "list"]).await.stdout;
    assert!(!secrets.contains("sales."), "its secrets went with it: {secrets}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_that_cannot_work_is_refused_and_nothing_is_stored() {
    let environment = TestEnvironment::new().await;
    let settings = &environment.settings;
    assert_eq!(settings.run(&["migrate"]).await.status, Some(0));
    for (arguments, expected) in [
        (&["add", "sales"][..], "found neither, expected one of the two"),
        (&["add", "sales", "--from", "+14155238886"], "the sender of the number main"),
        (&["add", "sales", "--from", "tomorrow"], "TWILIO_WHATSAPP_FROM: found \"tomorrow\""),
        (&["add", "main", "--from", "+14155550002"], "there is a number main already"),
        (&["add", "sales", "--from", "+14155550002", "--account-sid", OTHER_ACCOUNT], "TWILIO_AUTH_TOKEN"),
        (&["add", "sales", "--from", "+14155550002", "--set", "MYNAH_WORKERS=3"], "does not belong here"),
        (&["add", "sales", "--from", "+14155550002", "--set", "MYNAH_TYPNG=1"], "expected MYNAH_TYPING"),
        (&["add", "sales", "--from", "+14155550002", "--set", "OPENAI_API_KEY=x"], "--secret OPENAI_API_KEY=FILE"),
        (&["add", "sales", "--from", "+14155550002", "--ai", "fast"], "fast, which is not stored"),
        (&["update", "sales", "--ai", "fast"], "the number sales is not stored"),
        (&["remove", "sales"], "the number sales is not stored"),
        (&["remove", "main"], "the number main is not stored"),
    ] {
        let error = refused(settings, arguments, "").await;
        assert!(error.contains(expected), "{arguments:?}: {error}");
    }
    let unknown = settings.run_with_input(&["secret", "set", "sales.OPENAI_API_KEY"], "sk-1").await;
    assert!(unknown.stderr.contains("the number sales is not stored"), "{unknown:?}");
    assert_eq!(run(settings, &["list", "--json"], "").await.json().as_array().unwrap().len(), 1);
}
