//! What a Prometheus reads, and who may read it.

use axum::body::Body;
use axum::http::StatusCode;
use mynah::http::{AllowedTargets, client};
use mynah::web;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use wiremock::ResponseTemplate;

use crate::setup::test_app::{ANA, BEN, TestApp, form_params};

const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(60);
const TOKEN: &str = "scrape-0123456789";

/// Asks a test app behind a real socket for its metrics, from the loopback.
async fn scrape_with(test_app: &TestApp, headers: &[(&str, &str)]) -> (StatusCode, String, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/metrics", listener.local_addr().unwrap());
    let security_headers = web::SecurityHeaders::from_config(&test_app.app.config.server);
    let stop = CancellationToken::new();
    let server = tokio::spawn(web::serve(listener, test_app.routes(), security_headers, stop.clone()));
    let mut request = client(TIMEOUT, TIMEOUT, AllowedTargets::Any).get(&address);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = request.send().await.unwrap();
    let status = response.status();
    let content_type = response.headers().get("content-type").map(|value| value.to_str().unwrap().to_owned());
    let text = response.text().await.unwrap();
    stop.cancel();
    server.await.unwrap();
    (status, content_type.unwrap_or_default(), text)
}

async fn scrape(test_app: &TestApp) -> String {
    let (status, _, text) = scrape_with(test_app, &[]).await;
    assert_eq!(status, StatusCode::OK, "{text}");
    text
}

/// The value of a sample; `None` if it is not there.
fn value(text: &str, sample: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' ')?.parse().ok())
}

#[track_caller]
fn assert_values(text: &str, samples: &[(&str, f64)]) {
    for (sample, expected) in samples {
        assert_eq!(value(text, sample), Some(*expected), "{sample}\n{text}");
    }
}

#[tokio::test]
async fn without_a_token_this_machine_reads_the_metrics_and_nobody_through_a_proxy() {
    let test_app = TestApp::new().await;
    let (status, content_type, _) = scrape_with(&test_app, &[]).await;
    assert_eq!((status, content_type.as_str()), (StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8"));
    // Prometheus prefers this type, in which the document would have to end differently.
    let accept = [("accept", "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5")];
    assert_eq!(scrape_with(&test_app, &accept).await.1, "text/plain; version=0.0.4; charset=utf-8");
    for header in [("x-forwarded-for", "127.0.0.1"), ("x-forwarded-for", "203.0.113.5"), ("host", "bot.example.org")] {
        let (status, _, text) = scrape_with(&test_app, &[header]).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{header:?}");
        assert!(text.contains("MYNAH_METRICS_TOKEN") && !text.contains("mynah_"), "{text}");
    }
}

#[tokio::test]
async fn with_a_token_everybody_needs_it() {
    let test_app = TestApp::with_settings(&[("MYNAH_METRICS_TOKEN", TOKEN)]).await;
    for wrong in [&[][..], &[("authorization", "Bearer scrape-0123456788")], &[("authorization", "Basic eDp5")]] {
        let (status, _, text) = scrape_with(&test_app, wrong).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{wrong:?}");
        assert!(!text.contains(TOKEN) && !text.contains("mynah_"), "{text}");
    }
    let bearer = format!("Bearer {TOKEN}");
    for more in [&[][..], &[("x-forwarded-for", "203.0.113.5"), ("host", "bot.example.org")]] {
        let headers: Vec<_> = [("authorization", bearer.as_str())].into_iter().chain(more.iter().copied()).collect();
        assert_eq!(scrape_with(&test_app, &headers).await.0, StatusCode::OK, "{more:?}");
    }
}

#[tokio::test]
async fn an_answered_message_is_counted_on_its_whole_way() {
    let test_app = TestApp::with_settings(&[("MYNAH_PRICES", "test-model=1/2")]).await;
    test_app.twilio_accepts_everything().await;
    test_app.model_answers("Hello!").await;
    let params = test_app.message_params(ANA, "hello");
    assert_eq!(test_app.deliver_webhook(&params).await, StatusCode::OK);
    assert_eq!(test_app.deliver_webhook(&params).await, StatusCode::OK, "Twilio repeats it");
    test_app.advance(3);
    test_app.drain().await;
    test_app.contact_writes(ANA, "and then?").await;
    test_app.drain().await;
    let callback = test_app.last_status_callback().await;
    let sid = format!("SM{:032x}", 0xabc0_0002_u32);
    let status = form_params(&[("MessageSid", &sid), ("MessageStatus", "undelivered"), ("ErrorCode", "63016")]);
    assert_eq!(test_app.post_signed(&callback, &status).await.status(), StatusCode::OK);
    test_app.advance(1);
    let text = scrape(&test_app).await;
    assert_values(
        &text,
        &[
            ("mynah_webhook_acks_total{event=\"message\"}", 3.0),
            ("mynah_webhook_acks_total{event=\"status\"}", 1.0),
            ("mynah_webhook_ack_duration_seconds_count{event=\"message\"}", 3.0),
            ("mynah_messages_received_total{outcome=\"queued\",source=\"webhook\"}", 2.0),
            ("mynah_messages_received_total{outcome=\"duplicate\",source=\"webhook\"}", 1.0),
            ("mynah_turn_duration_seconds_count{reply=\"answer\"}", 2.0),
            // By the app's clock: the first waited three seconds, the second not at all.
            ("mynah_turn_duration_seconds_sum{reply=\"answer\"}", 3.0),
            ("mynah_ai_calls_total{model=\"test-model\",outcome=\"ok\",provider=\"openai\"}", 2.0),
            ("mynah_ai_call_duration_seconds_count{model=\"test-model\",provider=\"openai\"}", 2.0),
            ("mynah_ai_calls_in_flight{model=\"test-model\",provider=\"openai\"}", 0.0),
            ("mynah_ai_tokens_total{kind=\"input\",model=\"test-model\",provider=\"openai\"}", 40.0),
            ("mynah_ai_tokens_total{kind=\"output\",model=\"test-model\",provider=\"openai\"}", 6.0),
            ("mynah_ai_cost_dollars_total{model=\"test-model\",provider=\"openai\"}", 0.000_052),
            ("mynah_sends_total{code=\"none\",outcome=\"sent\"}", 2.0),
            ("mynah_send_duration_seconds_count", 2.0),
            ("mynah_delivery_statuses_total{code=\"63016\",status=\"failed\"}", 1.0),
            ("mynah_undelivered_parts", 1.0),
            ("mynah_queue_turns{state=\"open\"}", 0.0),
            ("mynah_database_up", 1.0),
            ("mynah_ai_circuit_open{model=\"test-model\",provider=\"openai\"}", 0.0),
        ],
    );
    let lookups =
        ["hit", "miss"].map(|result| value(&text, &format!("mynah_cache_lookups_total{{result=\"{result}\"}}")));
    assert_eq!(lookups.iter().flatten().sum::<f64>(), 2.0, "{lookups:?}");
    for (name, file) in [("mynah_database_size_bytes", "mynah.db"), ("mynah_database_wal_size_bytes", "mynah.db-wal")] {
        let length = std::fs::metadata(test_app.folder.path().join(file)).unwrap().len();
        assert_values(&text, &[(name, f64::from(u32::try_from(length).unwrap()))]);
    }
    assert!(value(&text, "mynah_disk_available_bytes").unwrap() <= value(&text, "mynah_disk_size_bytes").unwrap());
}

#[tokio::test]
async fn what_fails_is_counted_by_its_cause() {
    let test_app = TestApp::new().await;
    let params = test_app.message_params(ANA, "hello");
    let forged = test_app.post_form("/webhooks/twilio", "Body=x".into(), Some("c2lnbmVk")).await;
    assert_eq!(forged.status(), StatusCode::FORBIDDEN);
    let without: Vec<_> = params.iter().filter(|(name, _)| name != "MessageSid").cloned().collect();
    assert_eq!(test_app.deliver_webhook(&without).await, StatusCode::BAD_REQUEST);
    let huge = test_app.post_form("/webhooks/twilio", Body::from("x".repeat(70_000)), None).await;
    assert_eq!(huge.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let foreign = form_params(&[("MessageSid", "SM-not-ours"), ("MessageStatus", "delivered")]);
    assert_eq!(test_app.post_signed("/webhooks/twilio/status", &foreign).await.status(), StatusCode::FORBIDDEN);
    for _ in 0..61 {
        test_app.post_form("/webhooks/twilio", "Body=x".into(), None).await;
    }
    assert_values(
        &scrape(&test_app).await,
        &[
            ("mynah_webhook_rejects_total{cause=\"signature\"}", 60.0),
            ("mynah_webhook_rejects_total{cause=\"rate_limit\"}", 2.0),
            ("mynah_webhook_rejects_total{cause=\"malformed\"}", 1.0),
            ("mynah_webhook_rejects_total{cause=\"too_large\"}", 1.0),
            ("mynah_webhook_rejects_total{cause=\"not_ours\"}", 1.0),
            ("mynah_webhook_rejects_total{cause=\"database\"}", 0.0),
            ("mynah_webhook_acks_total{event=\"message\"}", 0.0),
        ],
    );
}

#[tokio::test]
async fn a_refused_send_and_a_failing_model_show_with_code_and_outcome() {
    let test_app = TestApp::with_settings(&[]).await;
    test_app.model_answers("Hello!").await;
    let refused = json!({ "code": 21610, "message": "unsubscribed", "status": 400 });
    test_app
        .mock_send_message()
        .respond_with(ResponseTemplate::new(400).set_body_json(refused))
        .mount(&test_app.twilio)
        .await;
    test_app.contact_writes(ANA, "hello").await;
    test_app.drain().await;
    test_app.advance(1);
    let text = scrape(&test_app).await;
    assert_values(
        &text,
        &[
            ("mynah_sends_total{code=\"21610\",outcome=\"failed\"}", 1.0),
            ("mynah_failed_turns{state=\"dead\"}", 1.0),
            ("mynah_turn_duration_seconds_count{reply=\"answer\"}", 1.0),
        ],
    );
    test_app.model.reset().await;
    test_app.mock_completion().respond_with(ResponseTemplate::new(500)).mount(&test_app.model).await;
    test_app.contact_writes(BEN, "hello").await;
    test_app.drain().await;
    test_app.advance(1);
    let text = scrape(&test_app).await;
    assert_values(
        &text,
        &[
            ("mynah_ai_calls_total{model=\"test-model\",outcome=\"error\",provider=\"openai\"}", 1.0),
            ("mynah_queue_turns{state=\"retry\"}", 1.0),
        ],
    );
}

#[tokio::test]
async fn a_flood_of_scrapes_reads_the_database_once_a_second() {
    let test_app = TestApp::new().await;
    let open = "mynah_queue_turns{state=\"open\"}";
    assert_eq!(value(&scrape(&test_app).await, open), Some(0.0));
    test_app.contact_writes(ANA, "hello").await;
    let text = scrape(&test_app).await;
    assert_eq!(value(&text, open), Some(0.0), "the queue as it was read before");
    assert_values(&text, &[("mynah_webhook_acks_total{event=\"message\"}", 1.0)]);
    test_app.advance(1);
    let text = scrape(&test_app).await;
    assert_values(&text, &[(open, 1.0), ("mynah_queue_oldest_turn_age_seconds", 1.0)]);
}

#[tokio::test]
async fn what_was_counted_stays_when_the_configuration_changes() {
    let test_app = TestApp::new().await;
    test_app.contact_writes(ANA, "hello").await;
    let changed = test_app.app.with_config(test_app.app.config.clone()).await.unwrap();
    let acks = "mynah_webhook_acks_total{event=\"message\"}";
    assert_eq!(value(&changed.metrics_text().await, acks), Some(1.0));
}

#[tokio::test]
async fn no_label_tells_anything_about_a_contact() {
    let test_app = TestApp::new().await;
    test_app.contact_writes(ANA, "my secret is swordfish").await;
    test_app.drain().await;
    let text = scrape(&test_app).await;
    for secret in ["2025550101", "4155238886", "swordfish", "Ana", "Hello!", "sk-test"] {
        assert!(!text.contains(secret), "{secret}\n{text}");
    }
}
