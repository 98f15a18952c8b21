//! Delivery statuses: which ones count, and what happens to a message that was not delivered.

use axum::http::StatusCode;
use serde_json::json;
use wiremock::ResponseTemplate;

use crate::setup::captured_log::CapturedLog;
use crate::setup::test_app::{ANA, OUR_NUMBER, TestApp, form_params};

/// The id that Twilio gave to the first message that it accepted.
const SID: &str = "SM000000000000000000000000abc00001";

fn status_params(sid: &str, status: &str, code: &str) -> Vec<(String, String)> {
    form_params(&[
        ("MessageSid", sid),
        ("MessageStatus", status),
        ("ErrorCode", code),
        ("From", OUR_NUMBER),
        ("To", ANA),
    ])
}

impl TestApp {
    async fn post_status(&self, path: &str, params: &[(String, String)]) -> StatusCode {
        self.post_signed(path, params).await.status()
    }

    fn logged_statuses(&self, status: u16) -> i64 {
        self.query_integer(&format!(
            "SELECT COUNT(*) FROM webhook_log WHERE path LIKE '%/status%' AND status = {status}"
        ))
    }
}

/// A test app that has answered.
async fn app_with_one_answer() -> TestApp {
    let test_app = TestApp::new().await;
    test_app.contact_writes(ANA, "hello").await;
    test_app.drain().await;
    test_app
}

#[tokio::test]
async fn a_status_of_no_message_of_ours_is_refused_unless_it_bears_our_mac() {
    let test_app = app_with_one_answer().await;
    let callback = test_app.last_status_callback().await;
    let (path, proof) = callback.split_once("&m=").unwrap();
    let other = format!("{path}&m={}", "0".repeat(proof.len()));
    for wrong in ["/webhooks/twilio/status", path, &other, "/webhooks/twilio"] {
        assert_eq!(
            test_app.post_status(wrong, &status_params("SMforeign", "failed", "63003")).await,
            StatusCode::FORBIDDEN,
            "{wrong}"
        );
    }
    assert_eq!((test_app.logged_statuses(403), test_app.logged_statuses(200)), (3, 0));
    // With the reference it is ours, even if that message has another id by now or was deleted with its conversation.
    assert_eq!(test_app.post_status(&callback, &status_params("SMforeign", "failed", "63003")).await, StatusCode::OK);
    test_app.execute_sql("DELETE FROM conversations");
    assert_eq!(test_app.post_status(&callback, &status_params(SID, "failed", "63003")).await, StatusCode::OK);
    assert_eq!((test_app.logged_statuses(403), test_app.logged_statuses(200)), (3, 2));
}

#[tokio::test]
async fn a_status_of_a_message_of_ours_is_taken_wherever_it_is_sent_to() {
    let test_app = app_with_one_answer().await;
    // The callback address in Twilio's settings names no part.
    assert_eq!(
        test_app.post_status("/webhooks/twilio/status", &status_params(SID, "delivered", "")).await,
        StatusCode::OK
    );
    assert_eq!(test_app.query_integer("SELECT COUNT(*) FROM parts WHERE status = 'delivered'"), 1);
    assert_eq!(test_app.post_status("/webhooks/twilio", &status_params(SID, "read", "")).await, StatusCode::OK);
    assert_eq!(test_app.query_integer("SELECT COUNT(*) FROM parts WHERE status = 'read'"), 1);
    assert_eq!(test_app.turn_states().await, ["done"]);
}

#[tokio::test]
async fn an_undelivered_message_is_logged_once_and_alerted_if_the_owner_must_act() {
    for (code, level, alerts) in
        [("63007", "ERROR", 1), ("63013", "ERROR", 1), ("63038", "ERROR", 1), ("63003", "WARN", 0)]
    {
        let log = CapturedLog::start();
        let test_app = app_with_one_answer().await;
        let callback = test_app.last_status_callback().await;
        for told in ["sent", "undelivered", "undelivered", "sent", "failed"] {
            assert_eq!(test_app.post_status(&callback, &status_params(SID, told, code)).await, StatusCode::OK);
        }
        assert_eq!(log.count_lines(level, &format!("code={code}")), 1, "{code}");
        let stored = test_app.app.store.alerts(9).await.unwrap();
        assert_eq!(stored.len(), alerts, "{stored:?}");
        for alert in stored {
            assert_eq!((alert.cause.as_str(), alert.subject.as_str(), alert.count), ("delivery", code, 1));
            assert!(alert.message.starts_with("a message was not delivered: ") && alert.message.contains(": "));
        }
        let marked = test_app.turns().await;
        assert_eq!(marked.len(), 2, "among what is not done, and among what is: {marked:?}");
        assert_eq!(marked[0].undelivered[0].code, Some(code.parse().unwrap()));
    }
}

#[tokio::test]
async fn the_second_message_of_an_answer_waits_for_the_firsts_status_without_holding_a_worker() {
    let test_app = TestApp::with_settings(&[("MYNAH_WORKERS", "1")]).await;
    test_app.twilio_accepts_everything().await;
    test_app.model_answers(&"A sentence that is one of many. ".repeat(60)).await;
    test_app.contact_writes(ANA, "hello").await;
    // Nothing is due any more, so no worker holds anything.
    test_app.drain().await;
    assert_eq!((test_app.sent_texts().await.len(), test_app.drain().await), (1, 0));
    let callback = test_app.last_status_callback().await;
    assert_eq!(test_app.post_status(&callback, &status_params(SID, "queued", "")).await, StatusCode::OK);
    assert_eq!(test_app.drain().await, 0);
    assert_eq!(test_app.post_status(&callback, &status_params(SID, "sent", "")).await, StatusCode::OK);
    test_app.drain().await;
    assert_eq!((test_app.sent_texts().await.len(), test_app.turn_states().await), (2, vec!["done".to_owned()]));
    // Without a status it takes three seconds.
    test_app.contact_writes(ANA, "and?").await;
    test_app.drain().await;
    test_app.advance(2);
    assert_eq!((test_app.drain().await, test_app.sent_texts().await.len()), (0, 3));
    test_app.advance(1);
    test_app.drain().await;
    assert_eq!(test_app.sent_texts().await.len(), 4);
}

#[tokio::test]
async fn an_unknown_send_is_settled_by_its_callback_before_any_lookup() {
    let test_app = TestApp::with_settings(&[]).await;
    test_app.mock_send_message().respond_with(ResponseTemplate::new(500)).mount(&test_app.twilio).await;
    let list = ResponseTemplate::new(200).set_body_json(json!({ "messages": [], "next_page_uri": null }));
    test_app.mock_list_messages().respond_with(list).expect(0).mount(&test_app.twilio).await;
    test_app.model_answers("Hello!").await;
    test_app.contact_writes(ANA, "hello").await;
    test_app.drain().await;
    let callback = test_app.last_status_callback().await;
    let (path, _) = callback.split_once("&m=").unwrap();
    assert_eq!(
        test_app.post_status(path, &status_params("SMours", "sent", "")).await,
        StatusCode::FORBIDDEN,
        "without our proof"
    );
    assert_eq!(test_app.turn_states().await, ["sending"]);
    assert_eq!(test_app.post_status(&callback, &status_params("SMours", "sent", "")).await, StatusCode::OK);
    assert_eq!(test_app.turn_states().await, ["done"]);
    test_app.advance(600);
    test_app.drain().await;
    assert_eq!(test_app.sent_texts().await.len(), 1);
}
