//! The first set-up, with flags and at a terminal, and the password of the admin page.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::json;

use crate::setup::server_process::{CommandOutput, CommandSettings, ServerProcess};
use crate::setup::test_environment::{ACCOUNT, OPENAI_KEY, OUR_NUMBER, TOKEN, TestEnvironment};

/// A machine on which nothing is set but where mynah lies and where the stand-ins are; the addresses of the webhook and
/// of the model.
fn bare(environment: &TestEnvironment) -> (CommandSettings, String, String) {
    let settings = environment.settings.clone();
    let value = |key: &str| settings.get(key).expect("the test sets it").to_owned();
    let (public_url, model) = (value("MYNAH_PUBLIC_URL"), value("OPENAI_BASE_URL"));
    let settings = settings.without("MYNAH_PUBLIC_URL").without("TWILIO_ACCOUNT_SID").without("TWILIO_AUTH_TOKEN");
    let settings = settings.without("TWILIO_WHATSAPP_FROM").without("OPENAI_BASE_URL").without("OPENAI_API_KEY");
    let settings = settings.without("MYNAH_AI_MODEL").without("MYNAH_AI_CONCURRENCY");
    let folder = settings.folder.join("data");
    (settings.with("MYNAH_DATA_DIR", folder.to_str().expect("a plain name")), public_url, model)
}

fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("the folder is there");
    path.to_str().expect("a plain name").to_owned()
}

async fn init(settings: &CommandSettings, arguments: &[&str]) -> CommandOutput {
    settings.run(&[&["init"], arguments].concat()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_with_two_accounts_is_at_a_working_number_with_init_and_serve() {
    let environment = TestEnvironment::new().await;
    let (settings, public_url, model) = bare(&environment);
    let token = write(&settings.folder, "token.txt", TOKEN);
    let key = write(&settings.folder, "key.txt", &format!("{OPENAI_KEY}\n"));
    let password = write(&settings.folder, "password.txt", "correct horse battery\n");
    let arguments = [
        "--public-url",
        &public_url,
        "--account-sid",
        ACCOUNT,
        "--auth-token-file",
        &token,
        "--from",
        OUR_NUMBER,
        "--ai-provider",
        "openai",
        "--ai-base-url",
        &model,
        "--ai-model",
        "test",
        "--ai-key-file",
        &key,
        "--admin-password-file",
        &password,
        "--set-webhook",
    ];
    let made = init(&settings, &[&arguments[..], &["--json"]].concat()).await.json();
    let data = settings.folder.join("data");
    assert_eq!(made["created"]["data_folder"], data.to_str().unwrap(), "{made}");
    assert!(made["checks"].as_array().unwrap().iter().all(|check| check["outcome"] != "failed"), "{made}");
    let address = made["webhook_address"].as_str().unwrap();
    assert!(address.ends_with("/webhooks/twilio#ct=3000&rt=4000&rc=3&rp=ct,rt,5xx"), "{address}");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&data), mode(&data.join("identity.age.txt"))), (0o700, 0o600));
    for file in std::fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().path()) {
        let bytes = std::fs::read(&file).unwrap();
        for secret in [TOKEN, OPENAI_KEY, "correct horse battery"] {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{}", file.display());
        }
    }
    let mut server = ServerProcess::start(&settings).await;
    environment.contact_writes((0, 0)).await;
    environment.wait_until_all_answered_once(&mut server, 1, 1).await;

    // Once more: only what is answered anew changes.
    let listed = settings.run(&["settings", "list", "--json"]).await.json();
    let again = init(&settings, &["--ai-model", "other", "--json"]).await.json();
    assert_eq!((&again["stored"], &again["created"]["identity"]), (&json!([]), &json!(null)), "{again}");
    assert_eq!(settings.run(&["settings", "list", "--json"]).await.json(), listed);
    let models = settings.run(&["ai", "list", "--json"]).await.json();
    assert_eq!((&models[0]["model"], &models[0]["has_key"]), (&json!("other"), &json!(true)), "{models}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_that_do_not_work_are_stored_and_named() {
    let environment = TestEnvironment::new().await;
    let (settings, public_url, _) = bare(&environment);
    let token = write(&settings.folder, "token.txt", "00000000000000000000000000000000");
    let arguments =
        ["--public-url", &public_url, "--account-sid", ACCOUNT, "--auth-token-file", &token, "--from", OUR_NUMBER];
    let made = init(&settings, &[&arguments[..], &["--ai-provider", "offline"]].concat()).await;
    assert_eq!(made.status, Some(1), "{made:?}");
    assert!(made.stdout.contains("failed") && made.stdout.contains("check TWILIO_ACCOUNT_SID"), "{made:?}");
    assert!(made.stderr.starts_with("mynah: what was answered is stored"), "{made:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_cannot_be_right_are_refused_together_and_nothing_is_stored() {
    let environment = TestEnvironment::new().await;
    let (settings, ..) = bare(&environment);
    let settings = settings.without("TWILIO_API_BASE_URL");
    let refused = init(&settings, &["--public-url", "bot.example.org", "--account-sid", "AC1"]).await;
    assert_eq!(refused.status, Some(1), "{refused:?}");
    for variable in ["MYNAH_PUBLIC_URL", "TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN"] {
        assert!(refused.stderr.contains(variable), "{variable}: {refused:?}");
    }
    assert_eq!(settings.run(&["settings", "list", "--json"]).await.json(), json!([]));
    let missing = init(&settings, &["--auth-token-file", "/nonexistent/token"]).await;
    assert!(missing.status == Some(1) && missing.stderr.contains("/nonexistent/token"), "{missing:?}");
    assert_eq!(init(&settings, &["--force"]).await.status, Some(2), "--force belongs to --set-webhook");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_address_of_another_program_at_twilio_is_not_overwritten_without_force() {
    let environment = TestEnvironment::new().await;
    let (settings, public_url, _) = bare(&environment);
    environment.twilio.set_sender_webhook(Some("https://old.example.org/hook"));
    let token = write(&settings.folder, "token.txt", TOKEN);
    let arguments =
        ["--public-url", &public_url, "--account-sid", ACCOUNT, "--auth-token-file", &token, "--from", OUR_NUMBER];
    let arguments = [&arguments[..], &["--ai-provider", "offline", "--set-webhook", "--json"]].concat();
    assert_eq!(init(&settings, &arguments).await.json()["webhook_at_twilio"], "calls_elsewhere");
    assert_eq!(init(&settings, &["--set-webhook", "--force", "--json"]).await.json()["webhook_at_twilio"], "set");
    assert_eq!(init(&settings, &["--set-webhook", "--json"]).await.json()["webhook_at_twilio"], "unchanged");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_admin_password_is_read_from_stdin_and_stored_as_a_hash() {
    let environment = TestEnvironment::new().await;
    let settings = &environment.settings;
    let set = |input: &'static str, arguments: &'static [&'static str]| async move {
        let arguments = [&["admin", "set-password"], arguments].concat();
        settings.run_with_input(&arguments, input).await
    };
    assert!(set("correct horse battery", &[]).await.stderr.contains("there is no database at"));
    assert_eq!(settings.run(&["migrate"]).await.status, Some(0));
    let short = set("short", &[]).await;
    assert!(short.status == Some(1) && short.stderr.contains("fewer than 10 characters"), "{short:?}");
    assert_eq!(set("correct horse battery\n", &[]).await.stdout, "the password of owner is set\n");
    let json = set("another horse battery", &["--name", "ana", "--json"]).await.json();
    assert_eq!(json, json!({ "name": "ana", "password": "set" }));
    let database = rusqlite::Connection::open(settings.folder.join("mynah.db")).unwrap();
    let hash: String = database
        .query_row("SELECT password_hash FROM admin_accounts WHERE name = 'owner'", [], |row| row.get(0))
        .unwrap();
    assert!(mynah::password::verify(&"correct horse battery".to_owned().into(), &hash));
}
