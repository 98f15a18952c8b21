//! What becomes of a message whose webhook never came, once it is found.

use std::time::Duration;

use mynah::clock::Clock;
use mynah::work::{Worker, schedule};
use tokio_util::sync::CancellationToken;

use crate::setup::message_list::HOUR;
use crate::setup::test_app::{ANA, BEN, TestApp};

#[tokio::test]
async fn a_start_waits_for_what_was_missed_before_it_answers() {
    let (house, list) = TestApp::app_with_message_list(&[]).await;
    house.contact_writes(ANA, "before the outage").await;
    house.advance(10);
    list.add("SMmissed", ANA, "in the outage", house.clock.now());
    house.advance(HOUR);
    let house = house.restarted_with(&[]).await;
    house.contact_writes(ANA, "after the outage").await;
    let stop = CancellationToken::new();
    let worker = tokio::spawn(Worker::new(house.app.clone()).run(stop.clone()));
    while house.turn_states().await.iter().any(|state| state != "done") {
        tokio::task::yield_now().await;
    }
    stop.cancel();
    worker.await.unwrap();
    assert_eq!(house.user_prompts().await, [["before the outage", "in the outage", "after the outage"]]);
}

#[tokio::test]
async fn nothing_is_claimed_while_missed_messages_are_stored() {
    let (house, list) = TestApp::app_with_message_list(&[]).await;
    list.add("SMmissed", ANA, "hello?", house.clock.now());
    house.advance(60);
    // Somebody is claiming.
    let claiming = house.app.claim_lock.read().await;
    let app = house.app.clone();
    let mut look = tokio::spawn(async move { schedule::catch_up(&app).await });
    assert!(tokio::time::timeout(Duration::from_millis(300), &mut look).await.is_err(), "it waits for the claim");
    assert_eq!(house.turns().await.len(), 0);
    drop(claiming);
    look.await.unwrap().unwrap();
    // And the other way round.
    let storing = house.app.claim_lock.write().await;
    assert!(tokio::time::timeout(Duration::from_millis(300), house.drain()).await.is_err(), "it waits for the rest");
    drop(storing);
    house.drain().await;
    assert_eq!(house.turn_states().await, ["done"]);
}

#[tokio::test]
async fn a_missed_message_is_answered_up_to_the_age_that_the_owner_chose() {
    for (within, answered) in [("12h", 2), ("1h", 1), ("0", 0)] {
        let (house, list) = TestApp::app_with_message_list(&[("MYNAH_CATCH_UP_WITHIN", within)]).await;
        house.advance(14 * HOUR);
        for (number, (from, hours)) in [(ANA, 13), (BEN, 11), ("whatsapp:+12025550103", 0)].into_iter().enumerate() {
            list.add(&format!("SM{number}"), from, &format!("{hours} hours old"), house.time_before(hours * HOUR + 60));
        }
        let found = house.catch_up_result().await;
        let too_old = 3 - answered;
        let expected = match answered {
            0 => "missed messages found: 3 too old to be answered".to_owned(),
            _ => format!("missed messages found: {answered} to be answered, {too_old} too old to be answered"),
        };
        assert_eq!(found, expected);
        house.drain().await;
        assert_eq!(house.sent_texts().await.len(), answered, "{within}");
        assert_eq!(house.query_integer("SELECT COUNT(*) FROM messages WHERE role = 'user'"), 3, "all are stored");
        let skipped = "SELECT COUNT(*) FROM turns WHERE state = 'skipped' AND error LIKE '%MYNAH_CATCH_UP_WITHIN%'";
        assert_eq!(house.query_integer(skipped), i64::try_from(too_old).unwrap());
    }
}

#[tokio::test]
async fn whoever_wrote_much_in_an_outage_is_not_told_to_slow_down_and_is_answered_once() {
    let (house, list) = TestApp::app_with_message_list(&[("MYNAH_RATE_LIMIT", "3/1m")]).await;
    for number in 0..60 {
        list.add(&format!("SMmissed{number}"), ANA, &format!("message {number}"), house.clock.now());
    }
    house.advance(60);
    assert_eq!(house.catch_up_result().await, "missed messages found: 60 to be answered");
    house.drain().await;
    assert_eq!(house.sent_texts().await, ["Hello!"]);
    // What they write now has the whole rate.
    for _ in 0..3 {
        house.contact_writes(ANA, "and?").await;
        house.drain().await;
    }
    assert_eq!(house.sent_texts().await, ["Hello!"; 4]);
}

#[tokio::test]
async fn a_flood_of_missed_keywords_begins_no_more_conversations_than_the_backlog_limit() {
    let (house, list) = TestApp::app_with_message_list(&[]).await;
    for number in 0..60 {
        let text = if number % 2 == 0 { "hello?" } else { "/reset" };
        list.add(&format!("SMmissed{number}"), ANA, text, house.clock.now());
    }
    house.advance(60);
    house.catch_up_result().await;
    house.drain().await;
    assert!(house.sent_texts().await.len() <= 8, "{:?}", house.sent_texts().await);
    let slow_down =
        house.sent_texts().await.into_iter().filter(|text| *text == house.app.config.texts.slow_down).count();
    assert_eq!(slow_down, 1, "of the words that are left out they are told");
    assert_eq!(house.query_integer("SELECT COUNT(*) FROM messages WHERE role = 'user'"), 60, "all are stored");
}

#[tokio::test]
async fn keywords_and_senders_of_missed_messages_are_checked_like_any_other() {
    let stranger = "whatsapp:+12025550177";
    let allowed = [("MYNAH_WHO", "listed"), ("MYNAH_ALLOWED", "+12025550101,+12025550102")];
    let (house, list) = TestApp::app_with_message_list(&allowed).await;
    list.add("SM1", ANA, "Stop", house.clock.now());
    list.add("SM2", BEN, "/help", house.clock.now());
    list.add("SM3", stranger, "hello?", house.clock.now());
    house.advance(60);
    assert_eq!(house.catch_up_result().await, "missed messages found: 2 to be answered, 1 not to be answered");
    house.drain().await;
    let mut posted = house.sent_messages().await;
    posted.sort();
    let texts = &house.app.config.texts;
    let expected = [(ANA, &texts.stopped), (BEN, &texts.help), (stranger, &texts.stranger)];
    assert_eq!(posted, expected.map(|(to, text)| (to.to_owned(), text.clone())));
    assert_eq!(house.prompts().await.len(), 0);
}

#[tokio::test]
async fn missed_messages_stand_before_later_ones_even_in_a_cached_window() {
    let (house, list) = TestApp::app_with_message_list(&[("MYNAH_MERGE_WINDOW", "10s")]).await;
    for text in ["one", "two"] {
        house.contact_writes(ANA, text).await;
        house.advance(10);
        house.drain().await;
    }
    list.add("SMmissed", ANA, "three", house.clock.now());
    house.advance(60);
    house.contact_writes(ANA, "four").await;
    assert_eq!(house.catch_up_result().await, "missed messages found: 1 to be answered");
    house.advance(10);
    house.drain().await;
    assert_eq!(house.user_prompts().await.last().unwrap(), &["one", "two", "three", "four"]);
}

#[tokio::test]
async fn the_24_hours_count_from_when_a_missed_message_was_said() {
    let (house, list) = TestApp::app_with_message_list(&[]).await;
    list.add("SMmissed", ANA, "hello?", house.clock.now());
    house.advance(11 * HOUR);
    assert_eq!(house.catch_up_result().await, "missed messages found: 1 to be answered");
    house.advance(12 * HOUR + 1);
    house.drain().await;
    assert_eq!((house.sent_texts().await.len(), house.turn_states().await), (0, vec!["expired".to_owned()]));
}

#[tokio::test]
async fn a_missed_message_waits_for_a_model_as_long_as_any_other() {
    let (house, list) = TestApp::app_with_message_list(&[]).await;
    list.add("SMmissed", ANA, "hello?", house.clock.now());
    house.advance(2 * HOUR);
    for _ in 0..5 {
        house.assistant().breaker.record_failure(None, house.clock.now());
    }
    assert_eq!(house.catch_up_result().await, "missed messages found: 1 to be answered");
    house.drain().await;
    assert_eq!((house.sent_texts().await.len(), house.turn_states().await), (0, vec!["retry".to_owned()]));
    house.advance(30);
    house.drain().await;
    assert_eq!(house.sent_texts().await, ["Hello!"]);
}
