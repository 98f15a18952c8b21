//! Alerts that reach somebody, judged by a real mail server and by the published libraries for signed webhooks.

use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use serde_json::{Value, json};

use crate::setup::judges::{MailServer, verify_webhook};
use crate::setup::server_process::{CommandSettings, ServerProcess};
use crate::setup::test_environment::{TestEnvironment, serve};
use crate::setup::wait::{TEST_TIMEOUT, wait_until};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYqr";

/// Takes what is posted to it, and answers with a status.
#[derive(Default)]
struct Receiver {
    status: AtomicU16,
    /// The path, the headers and the body of each request.
    taken: Mutex<Vec<(String, Value, String)>>,
}

impl Receiver {
    async fn start() -> (Arc<Receiver>, String) {
        let receiver = Arc::new(Receiver { status: AtomicU16::new(200), ..Receiver::default() });
        let router = Router::new().fallback(take).with_state(Arc::clone(&receiver));
        (receiver, serve(router).await)
    }

    fn requests(&self, path: &str) -> Vec<(Value, String)> {
        let taken = self.taken.lock().expect("no panic under this lock").clone();
        taken.into_iter().filter(|(to, ..)| to == path).map(|(_, headers, body)| (headers, body)).collect()
    }
}

async fn take(State(receiver): State<Arc<Receiver>>, uri: Uri, headers: HeaderMap, body: Bytes) -> StatusCode {
    let headers = headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), Value::from(value.to_str().expect("plain text"))));
    let body = String::from_utf8(body.to_vec()).expect("UTF-8");
    let taken = (uri.path().to_owned(), Value::Object(headers.collect()), body);
    receiver.taken.lock().expect("no panic under this lock").push(taken);
    StatusCode::from_u16(receiver.status.load(Ordering::SeqCst)).expect("a status")
}

/// Every way at these addresses.
fn with_ways(settings: &CommandSettings, mail: &str, url: &str) -> CommandSettings {
    settings
        .clone()
        .with("MYNAH_ALERT_EMAIL_TO", "ana@example.org,ben@example.org")
        .with("MYNAH_ALERT_EMAIL_FROM", "mynah@example.org")
        .with("SMTP_URL", mail)
        .with("MYNAH_ALERT_SLACK_URL", &format!("{url}/slack/canary-slack"))
        .with("MYNAH_ALERT_WEBHOOK_URL", &format!("{url}/hook/canary-hook"))
        .with("MYNAH_ALERT_WEBHOOK_SECRET", SECRET)
        .with("MYNAH_ALERT_NTFY_URL", &format!("{url}/canary-topic"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_test_alert_arrives_in_every_way_as_real_servers_and_libraries_want_it() {
    let environment = TestEnvironment::new().await;
    assert_eq!(environment.settings.run(&["migrate"]).await.status, Some(0));
    let (receiver, url) = Receiver::start().await;
    let mail = MailServer::start("plain");
    let settings = with_ways(&environment.settings, &format!("smtp://127.0.0.1:{}", mail.port), &url);
    // The libraries compare the time of a signature with their own.
    let settings = settings.with("MYNAH_TEST_CLOCK_SPEED", "1");
    let tested = settings.run(&["alert", "test", "--json"]).await.json();
    for (at, way) in ["email", "slack", "webhook", "ntfy"].into_iter().enumerate() {
        assert_eq!(tested[at], json!({ "way": way, "sent": true, "error": null }));
    }
    let message = wait_until("the e-mail", TEST_TIMEOUT, || async { mail.messages().pop() }).await;
    assert_eq!(message["to"], json!(["ana@example.org", "ben@example.org"]));
    assert_eq!((&message["from"], &message["automatic"]), (&json!("mynah@example.org"), &json!("auto-generated")));
    assert_eq!(message["subject"], "mynah on 127.0.0.1: this is a test");
    assert!(message["text"].as_str().unwrap().contains("This is a test of the alerts."), "{message}");
    assert_eq!(message["hello"], "[127.0.0.1]", "never the machine's own name");

    let (headers, body) = receiver.requests("/hook/canary-hook").remove(0);
    verify_webhook(SECRET, &headers, &body).unwrap();
    assert!(verify_webhook(SECRET, &headers, &body.replace("test", "tset")).is_err(), "the libraries do look");
    let document: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&document["type"], &document["data"]["cause"]), (&json!("alert.raised"), &json!("test")));
    let slack: Value = serde_json::from_str(&receiver.requests("/slack/canary-slack")[0].1).unwrap();
    assert!(slack["text"].as_str().unwrap().contains("*mynah on 127.0.0.1: this is a test*"), "{slack}");
    let ntfy: Value = serde_json::from_str(&receiver.requests("/")[0].1).unwrap();
    assert_eq!((&ntfy["topic"], &ntfy["priority"]), (&json!("canary-topic"), &json!(4)), "{ntfy}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_goes_over_tls_from_the_first_byte_or_after_starttls_to_a_server_that_is_trusted() {
    let environment = TestEnvironment::new().await;
    assert_eq!(environment.settings.run(&["migrate"]).await.status, Some(0));
    for (mode, url) in [("tls", "smtps://127.0.0.1:PORT"), ("starttls", "smtp://127.0.0.1:PORT?tls=required")] {
        let mail = MailServer::start(mode);
        let settings = environment.settings.clone();
        let settings = settings
            .with("MYNAH_ALERT_EMAIL_TO", "ana@example.org")
            .with("SMTP_URL", &url.replace("PORT", &mail.port.to_string()));
        let untrusted = settings.run(&["alert", "test"]).await;
        assert!(untrusted.status == Some(1) && untrusted.stdout.contains("certificate"), "{mode}: {untrusted:?}");
        let settings = settings.with("SMTP_CA_FILE", mail.authority.to_str().unwrap());
        let sent = settings.run(&["alert", "test"]).await;
        assert_eq!(sent.status, Some(0), "{mode}: {sent:?}");
        let message = wait_until("the e-mail", TEST_TIMEOUT, || async { mail.messages().pop() }).await;
        assert_eq!(message["tls"], true, "{mode}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_way_that_fails_says_why_without_its_address_and_the_others_work() {
    let environment = TestEnvironment::new().await;
    assert_eq!(environment.settings.run(&["migrate"]).await.status, Some(0));
    let none = environment.settings.run(&["alert", "test"]).await;
    assert!(none.status == Some(1) && none.stderr.contains("no way is configured"), "{none:?}");
    let (receiver, url) = Receiver::start().await;
    let mail = MailServer::start("refuse");
    let settings = with_ways(&environment.settings, &format!("smtp://127.0.0.1:{}", mail.port), &url);
    for (status, expected) in [(500, "answers 500"), (410, "answers 410; check"), (302, "redirect (302)")] {
        receiver.status.store(status, Ordering::SeqCst);
        let failed = settings.run(&["alert", "test"]).await;
        assert!(failed.status == Some(1) && failed.stderr.starts_with("mynah: 4 ways failed"), "{failed:?}");
        assert!(failed.stdout.contains(expected) && failed.stdout.contains("the mailbox is full"), "{failed:?}");
        assert!(!failed.stdout.contains("canary") && !failed.stderr.contains("canary"), "{failed:?}");
    }
    receiver.status.store(204, Ordering::SeqCst);
    let one = settings.run(&["alert", "test", "--json"]).await;
    let results: Value = serde_json::from_str(&one.stdout).unwrap();
    let sent = |at: usize| results[at]["sent"].as_bool().unwrap();
    assert_eq!((one.status, [sent(0), sent(1), sent(2), sent(3)]), (Some(1), [false, true, true, true]));
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = silent.local_addr().unwrap();
    drop(silent);
    let closed = settings.with("MYNAH_ALERT_SLACK_URL", &format!("http://{nobody}/x")).run(&["alert", "test"]).await;
    assert!(closed.stdout.contains("MYNAH_ALERT_SLACK_URL does not answer"), "{closed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_server_tells_that_the_model_fails_and_that_it_is_well_again() {
    let environment = TestEnvironment::new().await;
    let (receiver, url) = Receiver::start().await;
    let refusing = Router::new().fallback(|| async {
        let error = json!({ "error": { "message": "Incorrect API key provided", "code": "invalid_api_key" } });
        (StatusCode::UNAUTHORIZED, axum::Json(error))
    });
    let bad = format!("{}/v1", serve(refusing).await);
    let settings = environment.settings.clone().with("MYNAH_ALERT_WEBHOOK_URL", &format!("{url}/hook"));
    // The libraries compare the time of a signature with their own, so the clock may not run ahead.
    let settings = settings.with("MYNAH_ALERT_WEBHOOK_SECRET", SECRET).with("MYNAH_TEST_CLOCK_SPEED", "1");
    // The webhook is down at first: the message waits, over a restart, too.
    receiver.status.store(500, Ordering::SeqCst);
    let mut server = ServerProcess::start(&settings.clone().with("OPENAI_BASE_URL", &bad)).await;
    environment.contact_writes((0, 0)).await;
    let about_model = |(_, body): &(Value, String)| body.contains("\"cause\":\"model\"");
    let tried = || async { receiver.requests("/hook").into_iter().find(about_model) };
    let (first, _) = wait_until("the first try", TEST_TIMEOUT, tried).await;
    let listed = settings.run(&["alert", "list"]).await.stdout;
    assert!(listed.contains("Messages that were not taken") || listed.contains("model"), "{listed}");
    server.signal("TERM");
    server.wait_for_exit().await;
    receiver.status.store(200, Ordering::SeqCst);
    server.restart(&settings).await;
    let told = || async {
        let same = |request: &(Value, String)| request.0["webhook-id"] == first["webhook-id"];
        receiver.requests("/hook").into_iter().filter(same).nth(1)
    };
    let (headers, body) = wait_until("a later try", TEST_TIMEOUT, told).await;
    verify_webhook(SECRET, &headers, &body).unwrap();
    assert!(body.contains("Incorrect API key") && !body.contains("2025550"), "{body}");
    // The model works now.
    environment.contact_writes((1, 0)).await;
    let recovered = || async {
        let resolved = |(_, body): &(Value, String)| body.contains("alert.resolved");
        receiver.requests("/hook").into_iter().find(resolved)
    };
    let (headers, body) = wait_until("it is well again", TEST_TIMEOUT, recovered).await;
    verify_webhook(SECRET, &headers, &body).unwrap();
    let alerts = settings.run(&["alert", "list", "--json"]).await.json();
    let model = alerts.as_array().unwrap().iter().find(|alert| alert["cause"] == "model").unwrap();
    assert!(model["resolved_at"].is_string(), "{model}");
    assert!(model["deliveries"].as_array().unwrap().iter().any(|delivery| delivery["state"] == "sent"), "{model}");
}
