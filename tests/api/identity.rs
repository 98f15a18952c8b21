//! Who writes: phone numbers and user IDs of one person, through the webhook.

use axum::http::StatusCode;
use mynah::model::Address;

use crate::house::{ANA, House, Log};

const ID: &str = "whatsapp:US.13491208655302741918";

/// A message with these fields beside the usual ones.
async fn say(house: &House, from: &str, text: &str, more: &[(&str, &str)]) {
    let mut params = house.message(from, text);
    params.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    assert_eq!(house.deliver(&params).await, StatusCode::OK);
}

async fn both(house: &House, text: &str) {
    say(house, ANA, text, &[("ExternalUserId", ID), ("WaId", "12025550101")]).await;
}

#[tokio::test]
async fn who_hides_their_number_goes_on_in_their_conversation() {
    let house = House::new().await;
    both(&house, "Hi").await;
    house.drain().await;
    say(&house, ID, "I hide my number", &[]).await;
    house.drain().await;
    house.advance(31 * 86_400);
    say(&house, ID, "Still here?", &[]).await;
    house.drain().await;
    say(&house, ID, "And with a number", &[("WaId", "12025550101")]).await;
    house.drain().await;
    let to: Vec<_> = house.posted().await.into_iter().map(|(to, _)| to).collect();
    assert_eq!(to, [ANA, ANA, ID, ANA]);
    assert_eq!(house.prompts().await[1].len(), 4, "the model knows what was said before");
    assert_eq!(house.count("SELECT COUNT(*) FROM contacts"), 1);
}

#[tokio::test]
async fn who_hides_their_number_is_held_to_the_same_rate() {
    let house = House::with(&[("MYNAH_RATE_LIMIT", "2/1m")]).await;
    for first in [ANA, ID] {
        both(&house, "One").await;
        both(&house, "Two").await;
        say(&house, first, "Three", &[]).await;
        let waits = "SELECT COUNT(*) FROM turns WHERE live = 1 AND not_before IS NOT NULL";
        let told = "SELECT COUNT(*) FROM messages WHERE role = 'assistant'";
        assert_eq!(house.count(waits) + house.count(told), 1, "{first}");
        house.meddle("DELETE FROM conversations; UPDATE contacts SET noticed_at = NULL");
        house.advance(600);
    }
    // What is above the rate of one address takes nothing from the other.
    both(&house, "One").await;
    say(&house, ID, "Two", &[]).await;
    both(&house, "Three").await;
    house.meddle("DELETE FROM conversations; UPDATE contacts SET noticed_at = NULL");
    say(&house, ANA, "Four", &[]).await;
    assert_eq!(house.count("SELECT COUNT(*) FROM messages WHERE role = 'assistant'"), 0);
}

#[tokio::test]
async fn what_a_blocked_person_writes_takes_nothing_from_either_rate() {
    let house = House::with(&[("MYNAH_RATE_LIMIT", "1/1m")]).await;
    house.app.store.set_blocked(Address::parse(&ANA[9..]).unwrap(), true, house.app.clock.now()).await.unwrap();
    both(&house, "One").await;
    house.app.store.set_blocked(Address::parse(&ANA[9..]).unwrap(), false, house.app.clock.now()).await.unwrap();
    both(&house, "Two").await;
    assert_eq!(house.count("SELECT COUNT(*) FROM turns WHERE not_before IS NULL AND live = 1"), 1);
}

#[tokio::test]
async fn who_hides_their_number_has_no_more_guesses_at_the_code() {
    let house = House::with(&[("MYNAH_WHO", "code"), ("MYNAH_PAIRING_CODE", "LETMEIN7")]).await;
    for _ in 0..10 {
        both(&house, "GUESS123").await;
    }
    say(&house, ID, "LETMEIN7", &[]).await;
    say(&house, ANA, "LETMEIN7", &[]).await;
    assert_eq!(house.count("SELECT COUNT(*) FROM contacts WHERE admitted_at IS NOT NULL"), 0);
}

#[tokio::test]
async fn who_is_listed_by_number_may_talk_by_user_id_once_both_were_seen() {
    let house = House::with(&[("MYNAH_WHO", "listed"), ("MYNAH_ALLOWED", "+1 (202) 555-0101")]).await;
    house.twilio_takes_everything().await;
    house.model_says("Hello!").await;
    say(&house, ID, "Hi", &[]).await;
    assert_eq!(house.states().await, ["skipped", "sending"], "and the refusal");
    house.drain().await;
    say(&house, ID, "Hi", &[("WaId", "12025550101")]).await;
    house.drain().await;
    say(&house, ID, "Hi", &[]).await;
    house.drain().await;
    assert_eq!(house.states().await[2..], ["done", "done"]);
}

#[tokio::test]
async fn a_user_id_of_odd_shape_loses_no_message_and_is_told_of() {
    let log = Log::listen();
    let house = House::new().await;
    say(&house, ANA, "Hi", &[("ExternalUserId", "whatsapp:not/one")]).await;
    house.drain().await;
    assert_eq!(house.texts().await, ["Hello!"]);
    assert_eq!(log.count("WARN", "ExternalUserId is no user ID"), 1);
    say(&house, ANA, "Hi", &[("ExternalUserId", "whatsapp:+12025550109")]).await;
    assert_eq!(log.count("WARN", "ExternalUserId is no user ID"), 2, "nor is a number");
    assert_eq!(log.count("WARN", "not/one"), 0, "whatever it holds, it may be private");
    let kept = "SELECT COUNT(*) FROM messages WHERE metadata LIKE '%\"ExternalUserId\":\"whatsapp:not/one\"%'";
    assert_eq!(house.count(kept), 1);
    assert_eq!(house.count("SELECT COUNT(*) FROM addresses"), 1);
}

#[tokio::test]
async fn a_number_that_no_country_gives_out_is_answered() {
    const TEST: &str = "whatsapp:+15550000001";
    let house = House::new().await;
    house.say(TEST, "Hi").await;
    house.drain().await;
    let to: Vec<_> = house.posted().await.into_iter().map(|(to, _)| to).collect();
    assert_eq!(to, [TEST]);
}
