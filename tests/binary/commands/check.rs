//! `mynah check`: a sound set-up, and set-ups with one fault each, which it names with a remedy.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use axum::Router;
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse};
use axum::routing::{get, post};
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::setup::proxy::{Proxy, normalize_like_lighttpd};
use crate::setup::server_process::{CommandOutput, CommandSettings, ServerProcess, free_port};
use crate::setup::test_environment::{OPENAI_KEY, TOKEN, TestEnvironment, serve};

const OVERRIDES: &str = "#ct=3000&rt=4000&rc=3&rp=ct,rt,5xx";

/// An environment in which nothing is wrong.
pub(super) async fn sound_environment() -> TestEnvironment {
    let mut environment = TestEnvironment::new().await;
    environment.settings = environment.settings.with("MYNAH_BACKUP_EVERY", "24h");
    let folder = &environment.settings.folder;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).expect("the folder is there");
    let webhook = format!("http://127.0.0.1:{}/webhooks/twilio{OVERRIDES}", environment.settings.port);
    environment.twilio.set_sender_webhook(Some(&webhook));
    environment
}

/// Reached from outside at this address.
pub(super) fn reached_at(environment: &TestEnvironment, public_url: &str) -> CommandSettings {
    environment.twilio.set_sender_webhook(Some(&format!("{public_url}/webhooks/twilio{OVERRIDES}")));
    environment.settings.clone().with("MYNAH_PUBLIC_URL", public_url)
}

/// Runs the check, and returns how it ended and what it found.
pub(super) async fn run_check(settings: &CommandSettings) -> (CommandOutput, Vec<Value>) {
    let ran = settings.run(&["check", "--json"]).await;
    let findings = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    for secret in [TOKEN, OPENAI_KEY] {
        assert!(!ran.stdout.contains(secret) && !ran.stderr.contains(secret), "a secret is told: {ran:?}");
    }
    (ran, findings)
}

pub(super) fn with_outcome<'a>(findings: &'a [Value], outcome: &str) -> Vec<&'a Value> {
    findings.iter().filter(|finding| finding["outcome"] == outcome).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sound_set_up_passes_before_the_first_start_and_beside_a_server() {
    let environment = sound_environment().await;
    let (before, findings) = run_check(&environment.settings).await;
    assert_eq!(before.status, Some(0), "{before:?}");
    let names: Vec<_> = findings.iter().map(|finding| finding["check"].as_str().unwrap()).collect();
    let expected = [
        "configuration",
        "data folder",
        "disk space",
        "age identity",
        "database",
        "cache",
        "backup",
        "public URL",
        "clock",
        "Twilio",
        "sender",
        "webhook",
        "server",
        "round trip",
        "model",
    ];
    assert_eq!(names, expected, "in this order");
    assert_eq!(with_outcome(&findings, "ok").len(), findings.len() - 1, "{findings:#?}");
    let skipped = with_outcome(&findings, "skipped");
    assert_eq!(skipped[0]["check"], "server");
    assert!(skipped[0]["found"].as_str().unwrap().contains("this command answers"), "{skipped:?}");

    let server = ServerProcess::start(&environment.settings).await;
    let (beside, findings) = run_check(&environment.settings).await;
    assert_eq!(beside.status, Some(0), "{beside:?}");
    assert_eq!(with_outcome(&findings, "ok").len(), findings.len(), "{findings:#?}");
    let found = |name: &str| findings.iter().find(|finding| finding["check"] == name).unwrap()["found"].clone();
    assert!(found("server").as_str().unwrap().contains(&format!("process {}", server.pid())), "{findings:#?}");
    assert!(found("round trip").as_str().unwrap().contains("arrived unchanged"), "{findings:#?}");
    // Nothing of it was stored or refused.
    let conversations = environment.settings.run(&["conversations", "list", "--json"]).await.json();
    assert_eq!(conversations, json!([]));
    let log = Connection::open(environment.settings.folder.join("mynah.db")).unwrap();
    let webhooks: i64 = log.query_row("SELECT COUNT(*) FROM webhook_log", [], |row| row.get(0)).unwrap();
    assert_eq!(webhooks, 0);
    assert!(!server.log().contains("refused"), "{}", server.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lines_for_people_say_what_to_do() {
    let environment = sound_environment().await;
    environment.twilio.set_sender_state("OFFLINE");
    let ran = environment.settings.run(&["check"]).await;
    assert_eq!((ran.status, ran.stderr.as_str()), (Some(1), "mynah: one check failed\n"), "{ran:?}");
    let lines: Vec<_> = ran.stdout.lines().collect();
    let at = lines.iter().position(|line| line.starts_with("failed   sender         ")).expect("the sender");
    assert!(lines[at].contains("OFFLINE") && lines[at + 1].trim_start().starts_with("→ see the sender"), "{ran:?}");
    assert!(!ran.stdout.contains('\u{1b}'), "no colour where nobody sees it: {ran:?}");
    let help = environment.settings.run(&["check", "--help"]).await;
    assert!(help.stdout.contains("Examples:") && help.stdout.contains("mynah check --offline"), "{help:?}");
}

/// A set-up with one fault.
struct SeededFault {
    name: &'static str,
    /// The check that names it.
    check: &'static str,
    outcome: &'static str,
    /// What it says.
    found: &'static str,
    /// What it says to do.
    remedy: &'static str,
}

const fn fault(
    name: &'static str,
    check: &'static str,
    outcome: &'static str,
    found: &'static str,
    remedy: &'static str,
) -> SeededFault {
    SeededFault { name, check, outcome, found, remedy }
}

const FAULTS: &[SeededFault] = &[
    fault("a bad setting", "configuration", "failed", "MYNAH_WORKERS: found \"many\"", "a whole number from 1 to"),
    fault("no public URL", "public URL", "failed", "refuses every webhook", "set MYNAH_PUBLIC_URL to"),
    fault("an unreadable identity", "age identity", "failed", "contains no identity", "put the file back"),
    fault("an identity that others can read", "age identity", "failed", "(mode 644)", "run: chmod 600 /"),
    fault("a damaged database", "database", "failed", "is damaged: ", "restore a backup"),
    fault("a database of a newer program", "database", "failed", "schema 999", "run the newest version"),
    #[cfg(feature = "failpoints")]
    fault("a full disk", "disk space", "failed", "977 KiB are free", "free some space now"),
    fault("a backup that failed", "backup", "warning", "the last one failed at", "mend what it says"),
    fault("a backup of long ago", "backup", "warning", "the last one is of 20", "it should be newer"),
    fault("a clock that is wrong", "clock", "failed", "s ahead of Twilio's", "timedatectl set-ntp true"),
    fault("a wrong auth token", "Twilio", "failed", "does not accept the credentials", "check TWILIO_ACCOUNT_SID"),
    fault("an unknown sender", "sender", "failed", "no WhatsApp sender whatsapp:+14155550999", "TWILIO_WHATSAPP_FROM"),
    fault("a sender that is offline", "sender", "failed", "is OFFLINE; 63010", "until it is ONLINE"),
    fault(
        "a webhook that leads elsewhere",
        "webhook",
        "failed",
        "https://old.example.org/hook",
        "--set-webhook --force`, or in",
    ),
    fault("a webhook without retries", "webhook", "warning", "lose a message if no answer", "#ct=3000&rt=4000"),
    fault("a proxy that rewrites the query", "proxy", "warning", "b=%7E&c=%41&d=%c3%a9&e={x} arrived", "url-normalize"),
    fault(
        "a proxy that redirects",
        "round trip",
        "failed",
        "redirects (301) to https://www",
        "set MYNAH_PUBLIC_URL to https://www",
    ),
    fault(
        "a proxy that reaches nothing",
        "round trip",
        "failed",
        "answers 502",
        "pass requests on to http://127.0.0.1:",
    ),
    fault(
        "a proxy that keeps its prefix",
        "round trip",
        "failed",
        "arrived as /bot/webhooks/twilio",
        "remove /bot before",
    ),
    fault("a proxy that drops the body", "round trip", "failed", "arrived as nothing", "pass the body on"),
    fault(
        "a proxy that believes everybody",
        "proxy",
        "warning",
        "X-Forwarded-For that a caller writes",
        "proxy_set_header",
    ),
    fault("a web page", "round trip", "failed", "a web page (200)", "pass /webhooks/ on to"),
    fault("a log-in in front", "round trip", "failed", "refuses the request", "without a log-in"),
    fault("another mynah", "round trip", "failed", "another mynah (installation ", "the data folder of the other one"),
    fault("a name that does not resolve", "DNS", "failed", "nowhere.invalid does not resolve", "create a DNS record"),
    fault("a port that nobody listens on", "round trip", "failed", "nothing accepts connections", "start the proxy"),
    fault("another program on our port", "server", "failed", "another program answers at", "set MYNAH_LISTEN"),
    fault("a wrong model key", "model", "failed", "answered 401", "check OPENAI_API_KEY"),
    fault("an unknown model", "model", "failed", "answered 404", "check MYNAH_AI_MODEL"),
    fault("a model that answers with a web page", "model", "failed", "web page", "OPENAI_BASE_URL"),
    fault("a model whose account is empty", "model", "failed", "exceeded your current quota", "the balance"),
    fault("a transcription that fails", "transcription", "failed", "answered 500", "MYNAH_TRANSCRIPTION_BASE_URL"),
];

/// Seeds the fault. Returns the settings to check with, and what must live until then.
async fn seed(name: &str, environment: &TestEnvironment) -> (CommandSettings, Option<Box<dyn Send>>) {
    let settings = environment.settings.clone();
    let (folder, port) = (settings.folder.clone(), settings.port);
    let identity = folder.join("identity.age.txt");
    let proxy = Proxy::to_port(port);
    let at = async |proxy: Proxy| reached_at(environment, &proxy.start().await);
    let answering = async |router: Router| reached_at(environment, &serve(router).await);
    let model = async |router: Router| settings.clone().with("OPENAI_BASE_URL", &format!("{}/v1", serve(router).await));
    let settings = match name {
        "a bad setting" => settings.with("MYNAH_WORKERS", "many"),
        "no public URL" => settings.without("MYNAH_PUBLIC_URL"),
        "an unreadable identity" => {
            fs::write(&identity, "# nothing\n").expect("the folder is there");
            fs::set_permissions(&identity, fs::Permissions::from_mode(0o600)).expect("the folder is there");
            settings
        }
        "an identity that others can read" => {
            assert_eq!(settings.run(&["check", "--offline"]).await.status, Some(0));
            fs::set_permissions(&identity, fs::Permissions::from_mode(0o644)).expect("the folder is there");
            settings
        }
        "a damaged database" => {
            assert_eq!(settings.run(&["migrate"]).await.status, Some(0));
            let mut content = fs::read(folder.join("mynah.db")).expect("the folder is there");
            content[2048..].fill(0x5a);
            fs::write(folder.join("mynah.db"), content).expect("the folder is there");
            settings
        }
        "a database of a newer program" => {
            assert_eq!(settings.run(&["migrate"]).await.status, Some(0));
            let database = Connection::open(folder.join("mynah.db")).expect("the folder is there");
            database.pragma_update(None, "user_version", 999).expect("the folder is there");
            settings
        }
        "a backup that failed" => {
            let settings = settings.with("MYNAH_BACKUP_DIR", "/dev/null/backups");
            let mut server = ServerProcess::start(&settings).await;
            server.wait_for_log("the backup failed").await;
            server.signal("TERM");
            server.wait_for_exit().await;
            settings
        }
        "a backup of long ago" => {
            assert_eq!(settings.run(&["migrate"]).await.status, Some(0));
            let sql = "INSERT INTO schedule VALUES ('backup', 1500000000000, 1, 'x.tar', 0, 1500000000000)";
            Connection::open(folder.join("mynah.db")).expect("it is there").execute(sql, []).expect("it is ours");
            settings
        }
        "a full disk" => settings.with("MYNAH_TEST_FREE_BYTES", "1000000"),
        "a clock that is wrong" => {
            let api = environment.twilio.api().layer(axum::middleware::map_response(set_back_date));
            settings.with("TWILIO_API_BASE_URL", &serve(api).await)
        }
        "a wrong auth token" => settings.with("TWILIO_AUTH_TOKEN", "00000000000000000000000000000000"),
        "an unknown sender" => settings.with("TWILIO_WHATSAPP_FROM", "+14155550999"),
        "a sender that is offline" => {
            environment.twilio.set_sender_state("OFFLINE");
            settings
        }
        "a webhook that leads elsewhere" => {
            environment.twilio.set_sender_webhook(Some("https://old.example.org/hook"));
            settings
        }
        "a webhook without retries" => {
            environment.twilio.set_sender_webhook(Some(&format!("http://127.0.0.1:{port}/webhooks/twilio")));
            settings
        }
        "a proxy that rewrites the query" => {
            at(proxy.named("lighttpd/1.4.69").changing_target(normalize_like_lighttpd)).await
        }
        "a proxy that redirects" => {
            let moved = |uri: Uri| async move {
                (StatusCode::MOVED_PERMANENTLY, [(header::LOCATION, format!("https://www.example.org{uri}"))])
            };
            answering(Router::new().fallback(moved)).await
        }
        "a proxy that reaches nothing" => at(Proxy::to_port(free_port())).await,
        "a proxy that keeps its prefix" => {
            let url = format!("{}/bot", proxy.start().await);
            reached_at(environment, &url)
        }
        "a proxy that drops the body" => at(proxy.changing_body(|_| Vec::new())).await,
        "a proxy that believes everybody" => at(proxy.keeping_forwarded_for()).await,
        "a web page" => answering(Router::new().fallback(|| async { Html("<!doctype html><p>Welcome!") })).await,
        "a log-in in front" => {
            answering(Router::new().fallback(|| async { (StatusCode::UNAUTHORIZED, "Log in first") })).await
        }
        "another mynah" => {
            let other = Box::new(TestEnvironment::new().await);
            let settings = reached_at(environment, &format!("http://127.0.0.1:{}", other.settings.port));
            let server = ServerProcess::start(&other.settings).await;
            return (settings, Some(Box::new((other, server))));
        }
        "a name that does not resolve" => reached_at(environment, "http://nowhere.invalid"),
        "a port that nobody listens on" => reached_at(environment, &format!("http://127.0.0.1:{}", free_port())),
        "another program on our port" => {
            let other = serve(Router::new()).await;
            let listen = other.strip_prefix("http://").expect("an address");
            reached_at(environment, &other).with("MYNAH_LISTEN", listen)
        }
        "a wrong model key" => {
            model(Router::new().fallback(|| refusal(401, "invalid_api_key", "Incorrect API key"))).await
        }
        "an unknown model" => {
            let list = get(|| async { axum::Json(json!({ "data": [{ "id": "another" }] })) });
            let router = Router::new().route("/v1/models", list);
            model(router.fallback(|| refusal(404, "model_not_found", "The model does not exist"))).await
        }
        "a model that answers with a web page" => {
            model(Router::new().fallback(|| async { Html("<!doctype html><title>Router</title>") })).await
        }
        "a model whose account is empty" => {
            let list = get(|| async { axum::Json(json!({ "data": [{ "id": "test" }] })) });
            let router = Router::new().route("/v1/models", list);
            model(router.fallback(|| refusal(429, "insufficient_quota", "You exceeded your current quota"))).await
        }
        "a transcription that fails" => {
            let refuse = post(|| refusal(500, "server_error", "the model cannot be loaded"));
            let server = serve(Router::new().route("/v1/audio/transcriptions", refuse)).await;
            settings.with("MYNAH_TRANSCRIPTION_BASE_URL", &format!("{server}/v1"))
        }
        other => panic!("nothing seeds {other}"),
    };
    (settings, None)
}

/// Dates an answer a day back.
async fn set_back_date(mut response: axum::response::Response) -> axum::response::Response {
    response.headers_mut().insert(header::DATE, HeaderValue::from_static("Thu, 24 Aug 2023 05:01:45 GMT"));
    response
}

async fn refusal(status: u16, code: &'static str, message: &'static str) -> impl IntoResponse {
    let body = json!({ "error": { "message": message, "type": "x", "param": null, "code": code } });
    (StatusCode::from_u16(status).expect("a status"), axum::Json(body))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_seeded_fault_is_named_with_its_remedy() {
    assert!(FAULTS.len() >= 16);
    let mut wrong = Vec::new();
    for fault in FAULTS {
        let environment = sound_environment().await;
        let (settings, _alive) = seed(fault.name, &environment).await;
        let (ran, findings) = run_check(&settings).await;
        let has =
            |finding: &Value, member: &str, text: &str| finding[member].as_str().is_some_and(|it| it.contains(text));
        let named = findings.iter().any(|finding| {
            finding["check"] == fault.check
                && finding["outcome"] == fault.outcome
                && has(finding, "found", fault.found)
                && has(finding, "remedy", fault.remedy)
        });
        // A name that does not resolve, or a port that another program has, also breaks the round trip.
        let follows = |finding: &&&Value| finding["check"] == "round trip" && ["DNS", "server"].contains(&fault.check);
        let failed = with_outcome(&findings, "failed");
        let others = failed.iter().filter(|finding| finding["check"] != fault.check && !follows(finding)).count();
        let status = if fault.outcome == "failed" { Some(1) } else { Some(0) };
        if !named || ran.status != status || others > 0 {
            let told: Vec<_> = findings.iter().filter(|finding| finding["outcome"] != "ok").collect();
            wrong.push(format!("{}: {:?}\n{told:#?}", fault.name, ran.status));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
