//! Who writes: phone numbers and user IDs of one person, through the webhook.

use axum::http::StatusCode;
use mynah::model::Address;

use crate::setup::captured_log::CapturedLog;
use crate::setup::test_app::{ANA, TestApp};

const USER_ID: &str = "whatsapp:US.13491208655302741918";

/// A message with these fields beside the usual ones.
async fn deliver_message(house: &TestApp, from: &str, text: &str, more: &[(&str, &str)]) {
    let mut params = house.message_params(from, text);
    params.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    assert_eq!(house.deliver_webhook(&params).await, StatusCode::OK);
}

async fn contact_writes_with_both_addresses(house: &TestApp, text: &str) {
    deliver_message(house, ANA, text, &[("ExternalUserId", USER_ID), ("WaId", "12025550101")]).await;
}

#[tokio::test]
async fn a_contact_who_hides_their_number_stays_in_their_conversation() {
    let house = TestApp::new().await;
    contact_writes_with_both_addresses(&house, "Hi").await;
    house.drain().await;
    deliver_message(&house, USER_ID, "I hide my number", &[]).await;
    house.drain().await;
    house.advance(31 * 86_400);
    deliver_message(&house, USER_ID, "Still here?", &[]).await;
    house.drain().await;
    deliver_message(&house, USER_ID, "And with a number", &[("WaId", "12025550101")]).await;
    house.drain().await;
    let to: Vec<_> = house.sent_messages().await.into_iter().map(|(to, _)| to).collect();
    assert_eq!(to, [ANA, ANA, USER_ID, ANA]);
    assert_eq!(house.prompts().await[1].len(), 4, "the model knows what was said before");
    assert_eq!(house.query_integer("SELECT COUNT(*) FROM contacts"), 1);
}

#[tokio::test]
async fn a_contact_who_hides_their_number_has_the_same_rate_limit() {
    let house = TestApp::with_settings(&[("MYNAH_RATE_LIMIT", "2/1m")]).await;
    for first in [ANA, USER_ID] {
        contact_writes_with_both_addresses(&house, "One").await;
        contact_writes_with_both_addresses(&house, "Two").await;
        deliver_message(&house, first, "Three", &[]).await;
        let waits = "SELECT COUNT(*) FROM turns WHERE live = 1 AND not_before IS NOT NULL";
        let told = "SELECT COUNT(*) FROM messages WHERE role = 'assistant'";
        assert_eq!(house.query_integer(waits) + house.query_integer(told), 1, "{first}");
        house.execute_sql("DELETE FROM conversations; UPDATE contacts SET noticed_at = NULL");
        house.advance(600);
    }
    // What is above the rate of one address takes nothing from the other.
    contact_writes_with_both_addresses(&house, "One").await;
    deliver_message(&house, USER_ID, "Two", &[]).await;
    contact_writes_with_both_addresses(&house, "Three").await;
    house.execute_sql("DELETE FROM conversations; UPDATE contacts SET noticed_at = NULL");
    deliver_message(&house, ANA, "Four", &[]).await;
    assert_eq!(house.query_integer("SELECT COUNT(*) FROM messages WHERE role = 'assistant'"), 0);
}

#[tokio::test]
async fn messages_of_a_blocked_contact_count_against_no_rate() {
    let house = TestApp::with_settings(&[("MYNAH_RATE_LIMIT", "1/1m")]).await;
    house.app.store.set_blocked(Address::parse(&ANA[9..]).unwrap(), true, house.app.clock.now()).await.unwrap();
    contact_writes_with_both_addresses(&house, "One").await;
    house.app.store.set_blocked(Address::parse(&ANA[9..]).unwrap(), false, house.app.clock.now()).await.unwrap();
    contact_writes_with_both_addresses(&house, "Two").await;
    assert_eq!(house.query_integer("SELECT COUNT(*) FROM turns WHERE not_before IS NULL AND live = 1"), 1);
}

#[tokio::test]
async fn a_contact_who_hides_their_number_gets_no_more_guesses_at_the_pairing_code() {
    let house = TestApp::with_settings(&[("MYNAH_WHO", "code"), ("MYNAH_PAIRING_CODE", "LETMEIN7")]).await;
    for _ in 0..10 {
        contact_writes_with_both_addresses(&house, "GUESS123").await;
    }
    deliver_message(&house, USER_ID, "LETMEIN7", &[]).await;
    deliver_message(&house, ANA, "LETMEIN7", &[]).await;
    assert_eq!(house.query_integer("SELECT COUNT(*) FROM contacts WHERE admitted_at IS NOT NULL"), 0);
}

#[tokio::test]
async fn a_contact_listed_by_number_may_talk_by_user_id_once_both_were_seen() {
    let house = TestApp::with_settings(&[("MYNAH_WHO", "listed"), ("MYNAH_ALLOWED", "+1 (202) 555-0101")]).await;
    house.twilio_accepts_everything().await;
    house.model_answers("Hello!").await;
    deliver_message(&house, USER_ID, "Hi", &[]).await;
    assert_eq!(house.turn_states().await, ["skipped", "sending"], "and the refusal");
    house.drain().await;
    deliver_message(&house, USER_ID, "Hi", &[("WaId", "12025550101")]).await;
    house.drain().await;
    deliver_message(&house, USER_ID, "Hi", &[]).await;
    house.drain().await;
    assert_eq!(house.turn_states().await[2..], ["done", "done"]);
}

#[tokio::test]
async fn a_user_id_of_odd_shape_loses_no_message_and_is_told_of() {
    let log = CapturedLog::start();
    let house = TestApp::new().await;
    deliver_message(&house, ANA, "Hi", &[("ExternalUserId", "whatsapp:not/one")]).await;
    house.drain().await;
    assert_eq!(house.sent_texts().await, ["Hello!"]);
    assert_eq!(log.count_lines("WARN", "ExternalUserId is no user ID"), 1);
    deliver_message(&house, ANA, "Hi", &[("ExternalUserId", "whatsapp:+12025550109")]).await;
    assert_eq!(log.count_lines("WARN", "ExternalUserId is no user ID"), 2, "nor is a number");
    assert_eq!(log.count_lines("WARN", "not/one"), 0, "whatever it holds, it may be private");
    let kept = "SELECT COUNT(*) FROM messages WHERE metadata LIKE '%\"ExternalUserId\":\"whatsapp:not/one\"%'";
    assert_eq!(house.query_integer(kept), 1);
    assert_eq!(house.query_integer("SELECT COUNT(*) FROM addresses"), 1);
}

#[tokio::test]
async fn a_number_that_no_country_gives_out_is_answered() {
    const TEST: &str = "whatsapp:+15550000001";
    let house = TestApp::new().await;
    house.contact_writes(TEST, "Hi").await;
    house.drain().await;
    let to: Vec<_> = house.sent_messages().await.into_iter().map(|(to, _)| to).collect();
    assert_eq!(to, [TEST]);
}
