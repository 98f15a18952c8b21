//! Who writes: phone numbers and user IDs of one person, through the webhook.

use axum::http::StatusCode;
use mynah::model::Address;

use crate::setup::captured_log::CapturedLog;
use crate::setup::test_app::{ANA, TestApp};

const USER_ID: &str = "whatsapp:US.13491208655302741918";

/// A message with these fields beside the usual ones.
async fn deliver_message(test_app: &TestApp, from: &str, text: &str, more: &[(&str, &str)]) {
    let mut params = test_app.message_params(from, text);
    params.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    assert_eq!(test_app.deliver_webhook(&params).await, StatusCode::OK);
}

async fn contact_writes_with_both_addresses(test_app: &TestApp, text: &str) {
    deliver_message(test_app, ANA, text, &[("ExternalUserId", USER_ID), ("WaId", "12025550101")]).await;
}

#[tokio::test]
async fn a_contact_who_hides_their_number_stays_in_their_conversation() {
    let test_app = TestApp::new().await;
    contact_writes_with_both_addresses(&test_app, "Hi").await;
    test_app.drain().await;
    deliver_message(&test_app, USER_ID, "I hide my number", &[]).await;
    test_app.drain().await;
    test_app.advance(31 * 86_400);
    deliver_message(&test_app, USER_ID, "Still here?", &[]).await;
    test_app.drain().await;
    deliver_message(&test_app, USER_ID, "And with a number", &[("WaId", "12025550101")]).await;
    test_app.drain().await;
    let to: Vec<_> = test_app.sent_messages().await.into_iter().map(|(to, _)| to).collect();
    assert_eq!(to, [ANA, ANA, USER_ID, ANA]);
    assert_eq!(test_app.prompts().await[1].len(), 4, "the model knows what was said before");
    assert_eq!(test_app.query_integer("SELECT COUNT(*) FROM contacts"), 1);
}

#[tokio::test]
async fn a_contact_who_hides_their_number_has_the_same_rate_limit() {
    let test_app = TestApp::with_settings(&[("MYNAH_RATE_LIMIT", "2/1m")]).await;
    for first in [ANA, USER_ID] {
        contact_writes_with_both_addresses(&test_app, "One").await;
        contact_writes_with_both_addresses(&test_app, "Two").await;
        deliver_message(&test_app, first, "Three", &[]).await;
        let waits = "SELECT COUNT(*) FROM turns WHERE live = 1 AND not_before IS NOT NULL";
        let count_answers = "SELECT COUNT(*) FROM messages WHERE role = 'assistant'";
        assert_eq!(test_app.query_integer(waits) + test_app.query_integer(count_answers), 1, "{first}");
        test_app.execute_sql("DELETE FROM conversations; UPDATE contacts SET noticed_at = NULL");
        test_app.advance(600);
    }
    // Messages above the rate of one address do not count against the other.
    contact_writes_with_both_addresses(&test_app, "One").await;
    deliver_message(&test_app, USER_ID, "Two", &[]).await;
    contact_writes_with_both_addresses(&test_app, "Three").await;
    test_app.execute_sql("DELETE FROM conversations; UPDATE contacts SET noticed_at = NULL");
    deliver_message(&test_app, ANA, "Four", &[]).await;
    assert_eq!(test_app.query_integer("SELECT COUNT(*) FROM messages WHERE role = 'assistant'"), 0);
}

#[tokio::test]
async fn messages_of_a_blocked_contact_count_against_no_rate() {
    let test_app = TestApp::with_settings(&[("MYNAH_RATE_LIMIT", "1/1m")]).await;
    test_app.app.store.set_blocked(Address::parse(&ANA[9..]).unwrap(), true, test_app.app.clock.now()).await.unwrap();
    contact_writes_with_both_addresses(&test_app, "One").await;
    test_app.app.store.set_blocked(Address::parse(&ANA[9..]).unwrap(), false, test_app.app.clock.now()).await.unwrap();
    contact_writes_with_both_addresses(&test_app, "Two").await;
    assert_eq!(test_app.query_integer("SELECT COUNT(*) FROM turns WHERE not_before IS NULL AND live = 1"), 1);
}

#[tokio::test]
async fn a_contact_who_hides_their_number_gets_no_more_guesses_at_the_pairing_code() {
    let test_app = TestApp::with_settings(&[("MYNAH_WHO", "code"), ("MYNAH_PAIRING_CODE", "LETMEIN7")]).await;
    for _ in 0..10 {
        contact_writes_with_both_addresses(&test_app, "GUESS123").await;
    }
    deliver_message(&test_app, USER_ID, "LETMEIN7", &[]).await;
    deliver_message(&test_app, ANA, "LETMEIN7", &[]).await;
    assert_eq!(test_app.query_integer("SELECT COUNT(*) FROM contacts WHERE admitted_at IS NOT NULL"), 0);
}

#[tokio::test]
async fn a_contact_listed_by_number_may_talk_by_user_id_once_both_were_seen() {
    let test_app = TestApp::with_settings(&[("MYNAH_WHO", "listed"), ("MYNAH_ALLOWED", "+1 (202) 555-0101")]).await;
    test_app.twilio_accepts_everything().await;
    test_app.model_answers("Hello!").await;
    deliver_message(&test_app, USER_ID, "Hi", &[]).await;
    assert_eq!(test_app.turn_states().await, ["skipped", "sending"], "and the refusal");
    test_app.drain().await;
    deliver_message(&test_app, USER_ID, "Hi", &[("WaId", "12025550101")]).await;
    test_app.drain().await;
    deliver_message(&test_app, USER_ID, "Hi", &[]).await;
    test_app.drain().await;
    assert_eq!(test_app.turn_states().await[2..], ["done", "done"]);
}

#[tokio::test]
async fn a_malformed_user_id_loses_no_message_and_is_logged() {
    let log = CapturedLog::start();
    let test_app = TestApp::new().await;
    deliver_message(&test_app, ANA, "Hi", &[("ExternalUserId", "whatsapp:not/one")]).await;
    test_app.drain().await;
    assert_eq!(test_app.sent_texts().await, ["Hello!"]);
    assert_eq!(log.count_lines("WARN", "ExternalUserId is not a user ID"), 1);
    deliver_message(&test_app, ANA, "Hi", &[("ExternalUserId", "whatsapp:+12025550109")]).await;
    assert_eq!(log.count_lines("WARN", "ExternalUserId is not a user ID"), 2, "nor is a number");
    assert_eq!(log.count_lines("WARN", "not/one"), 0, "whatever it holds, it may be private");
    let kept = "SELECT COUNT(*) FROM messages WHERE metadata LIKE '%\"ExternalUserId\":\"whatsapp:not/one\"%'";
    assert_eq!(test_app.query_integer(kept), 1);
    assert_eq!(test_app.query_integer("SELECT COUNT(*) FROM addresses"), 1);
}

#[tokio::test]
async fn a_number_that_no_country_gives_out_is_answered() {
    const TEST: &str = "whatsapp:+15550000001";
    let test_app = TestApp::new().await;
    test_app.contact_writes(TEST, "Hi").await;
    test_app.drain().await;
    let to: Vec<_> = test_app.sent_messages().await.into_iter().map(|(to, _)| to).collect();
    assert_eq!(to, [TEST]);
}
