//! `/metrics` of the compiled program, judged by Prometheus.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::setup::exposition::{assert_promtool_accepts_metrics, families, overlooked_problems};
use crate::setup::server_process::ServerProcess;
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
