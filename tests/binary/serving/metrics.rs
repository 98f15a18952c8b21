//! `/metrics` of the compiled program, judged by Prometheus.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::setup::exposition::{assert_promtool_accepts_metrics, families, overlooked_problems};
use crate::setup::packaged_proxy::PackagedProxy;
use crate::setup::server_process::{CommandSettings, ServerProcess};
use crate::setup::test_environment::TestEnvironment;
use crate::setup::wait::{TEST_TIMEOUT, wait_until};

/// The metrics after a message was answered and a webhook was refused.
async fn scraped() -> (TestEnvironment, String) {
    let environment = TestEnvironment::new().await;
    let mut server = ServerProcess::start(&environment.settings).await;
    environment.contact_writes((0, 0)).await;
    environment.wait_until_all_answered_once(&mut server, 1, 1).await;
    environment.twilio.wait_until_idle().await;
    assert_eq!(server.submit("/webhooks/twilio", &[("Body", "forged")]).await.0, 403);
    let (status, text) = server.get("/metrics").await.expect("an answer");
    assert_eq!(status, 200, "{text}");
    (environment, text)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prometheus_accepts_the_metrics_of_a_server_that_has_answered_and_refused() {
    let (_environment, text) = scraped().await;
    assert_promtool_accepts_metrics(&text);
    assert_eq!(overlooked_problems(&text), [""; 0], "{text}");
    for sample in [
        "mynah_webhook_acks_total{event=\"message\"} 1\n",
        "mynah_webhook_rejects_total{cause=\"signature\"} 1\n",
        "mynah_turn_duration_seconds_count{reply=\"answer\"} 1\n",
        "mynah_ai_calls_total{model=\"test\",outcome=\"ok\",provider=\"openai\"} 1\n",
        "mynah_sends_total{code=\"none\",outcome=\"sent\"} 1\n",
        "mynah_delivery_statuses_total{code=\"none\",status=\"read\"} 1\n",
        "mynah_queue_turns{state=\"open\"} 0\n",
        "mynah_database_up 1\n",
    ] {
        assert!(text.contains(sample), "{sample}{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_documentation_lists_the_metrics_that_there_are() {
    let (_environment, text) = scraped().await;
    let docs = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/monitoring.md")).unwrap();
    let rows = docs.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    let rows = rows.filter(|(_, rest)| ["counter", "gauge", "histogram"].iter().any(|kind| rest.starts_with(kind)));
    let documented: BTreeSet<_> = rows.map(|(name, _)| name.to_owned()).collect();
    assert_eq!(documented, families(&text));
}

/// As an owner does who sees that the metrics can be read through the proxy.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_is_stored_counts_while_the_server_runs() {
    let environment = TestEnvironment::new().await;
    let server = ServerProcess::start(&environment.settings).await;
    assert_eq!(server.get("/metrics").await.expect("an answer").0, 200);
    let short = environment.settings.run_with_input(&["secret", "set", "MYNAH_METRICS_TOKEN"], "too-short").await;
    assert!(short.status == Some(1) && short.stderr.contains("at least 16 characters"), "{short:?}");
    let token = "a-token-of-the-test";
    let stored = environment.settings.run_with_input(&["secret", "set", "MYNAH_METRICS_TOKEN"], token).await;
    assert_eq!(stored.status, Some(0), "{stored:?}");
    wait_until("the token counts", TEST_TIMEOUT, || async {
        server.get("/metrics").await.filter(|(status, _)| *status == 401)
    })
    .await;
    assert!(!server.log().contains(token), "{}", server.log());
}

/// What a stranger gets who reaches the server through a proxy on the same machine, and claims to be that machine.
async fn stranger_reads(proxy: &PackagedProxy) -> (u16, String) {
    let client = mynah::http::client(TEST_TIMEOUT, TEST_TIMEOUT, mynah::http::AllowedTargets::Any);
    let request = client.get(format!("http://127.0.0.1:{}/metrics", proxy.port)).header("x-forwarded-for", "127.0.0.1");
    let response = request.send().await.expect("an answer");
    (response.status().as_u16(), response.text().await.expect("a text"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_do_not_read_the_metrics_through_a_proxy_on_the_same_machine() {
    let environment = TestEnvironment::new().await;
    let server = ServerProcess::start(&environment.settings).await;
    let port = environment.settings.port;
    let upstream = format!("proxy_pass http://127.0.0.1:{port};");
    let nginx = |lines: &str| format!("listen 127.0.0.1:PORT; location / {{ {upstream} {lines} }}");
    let smallest = PackagedProxy::nginx(&nginx("")).await;
    let hides_the_claim = PackagedProxy::nginx(&nginx("proxy_set_header X-Forwarded-For \"\";")).await;
    let as_in_readme = PackagedProxy::nginx(&nginx(
        "proxy_set_header Host $host; proxy_set_header X-Forwarded-For $remote_addr; \
         proxy_set_header X-Forwarded-Proto $scheme;",
    ))
    .await;
    let lighttpd = PackagedProxy::lighttpd(port, "").await;
    for proxy in [&smallest, &hides_the_claim, &as_in_readme, &lighttpd] {
        let (status, text) = stranger_reads(proxy).await;
        assert!(status == 403 && !text.contains("mynah_"), "{status} {text}");
    }
    assert_eq!(server.get("/metrics").await.expect("an answer").0, 200, "directly");
}

/// No server can recognize such a proxy, but a request through it can.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_finds_a_proxy_that_hides_and_lets_everybody_read_the_metrics() {
    let environment = TestEnvironment::new().await;
    let server = format!(
        "listen 127.0.0.1:PORT; location / {{ proxy_pass http://127.0.0.1:{}; proxy_http_version 1.1; \
         proxy_set_header X-Forwarded-For \"\"; }}",
        environment.settings.port
    );
    let proxy = PackagedProxy::nginx(&server).await;
    let public = format!("http://127.0.0.1:{}", proxy.port);
    let settings = environment.settings.clone().with("MYNAH_PUBLIC_URL", &public);
    let _server = ServerProcess::start(&settings).await;
    assert_eq!(stranger_reads(&proxy).await.0, 200);
    let findings = async |settings: &CommandSettings| {
        let checked = settings.run(&["check", "--json"]).await;
        let all: Vec<serde_json::Value> = serde_json::from_str(&checked.stdout).expect("a list of findings");
        all.into_iter().filter(|finding| finding["check"] == "metrics").collect::<Vec<_>>()
    };
    let found = findings(&settings).await;
    assert!(found.len() == 1 && found[0]["outcome"] == "warning", "{found:?}");
    assert!(found[0]["remedy"].as_str().expect("a remedy").contains("MYNAH_METRICS_TOKEN"), "{found:?}");
    let stored = settings.run_with_input(&["secret", "set", "MYNAH_METRICS_TOKEN"], "a-token-of-the-test").await;
    assert_eq!(stored.status, Some(0), "{stored:?}");
    wait_until("the token counts", TEST_TIMEOUT, || async {
        Some(stranger_reads(&proxy).await.0).filter(|status| *status == 401)
    })
    .await;
    assert_eq!(findings(&settings).await, [serde_json::Value::Null; 0]);
}
