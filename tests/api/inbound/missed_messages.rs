//! What happens to a message whose webhook never came, once catch-up has found it.

use std::time::Duration;

use mynah::clock::Clock;
use mynah::work::{Worker, schedule};
use tokio_util::sync::CancellationToken;

use crate::setup::message_list::HOUR;
use crate::setup::test_app::{ANA, BEN, TestApp};

#[tokio::test]
async fn a_start_waits_for_what_was_missed_before_it_answers() {
    let (test_app, list) = TestApp::app_with_message_list(&[]).await;
    test_app.contact_writes(ANA, "before the outage").await;
    test_app.advance(10);
    list.add("SMmissed", ANA, "in the outage", test_app.clock.now());
    test_app.advance(HOUR);
    let test_app = test_app.restarted_with(&[]).await;
    test_app.contact_writes(ANA, "after the outage").await;
    let stop = CancellationToken::new();
    let worker = tokio::spawn(Worker::new(test_app.app.clone()).run(stop.clone()));
    while test_app.turn_states().await.iter().any(|state| state != "done") {
        tokio::task::yield_now().await;
    }
    stop.cancel();
    worker.await.unwrap();
    assert_eq!(test_app.user_prompts().await, [["before the outage", "in the outage", "after the outage"]]);
}

#[tokio::test]
async fn nothing_is_claimed_while_missed_messages_are_stored() {
    let (test_app, list) = TestApp::app_with_message_list(&[]).await;
    list.add("SMmissed", ANA, "hello?", test_app.clock.now());
    test_app.advance(60);
    // A claim is in progress.
    let claiming = test_app.app.claim_lock.read().await;
    let app = test_app.app.clone();
    let mut catch_up = tokio::spawn(async move { schedule::catch_up(&app).await });
    assert!(tokio::time::timeout(Duration::from_millis(300), &mut catch_up).await.is_err(), "it waits for the claim");
    assert_eq!(test_app.turns().await.len(), 0);
    drop(claiming);
    catch_up.await.unwrap().unwrap();
    // And the other way round.
    let storing = test_app.app.claim_lock.write().await;
    assert!(tokio::time::timeout(Duration::from_millis(300), test_app.drain()).await.is_err(), "it waits for the rest");
    drop(storing);
    test_app.drain().await;
    assert_eq!(test_app.turn_states().await, ["done"]);
}

#[tokio::test]
async fn a_missed_message_is_answered_up_to_the_age_that_the_owner_chose() {
    for (within, answered) in [("12h", 2), ("1h", 1), ("0", 0)] {
        let (test_app, list) = TestApp::app_with_message_list(&[("MYNAH_CATCH_UP_WITHIN", within)]).await;
        test_app.advance(14 * HOUR);
        for (number, (from, hours)) in [(ANA, 13), (BEN, 11), ("whatsapp:+12025550103", 0)].into_iter().enumerate() {
            list.add(
                &format!("SM{number}"),
                from,
                &format!("{hours} hours old"),
                test_app.time_before(hours * HOUR + 60),
            );
        }
        let found = test_app.catch_up_result().await;
        let too_old = 3 - answered;
        let expected = match answered {
            0 => "missed messages found: 3 too old to be answered".to_owned(),
            _ => format!("missed messages found: {answered} to be answered, {too_old} too old to be answered"),
        };
        assert_eq!(found, expected);
        test_app.drain().await;
        assert_eq!(test_app.sent_texts().await.len(), answered, "{within}");
        assert_eq!(test_app.query_integer("SELECT COUNT(*) FROM messages WHERE role = 'user'"), 3, "all are stored");
        let skipped = "SELECT COUNT(*) FROM turns WHERE state = 'skipped' AND error LIKE '%MYNAH_CATCH_UP_WITHIN%'";
        assert_eq!(test_app.query_integer(skipped), i64::try_from(too_old).unwrap());
    }
}

#[tokio::test]
async fn a_contact_who_wrote_much_in_an_outage_gets_one_answer_and_no_slow_down_notice() {
    let (test_app, list) = TestApp::app_with_message_list(&[("MYNAH_RATE_LIMIT", "3/1m")]).await;
    for number in 0..60 {
        list.add(&format!("SMmissed{number}"), ANA, &format!("message {number}"), test_app.clock.now());
    }
    test_app.advance(60);
    assert_eq!(test_app.catch_up_result().await, "missed messages found: 60 to be answered");
    test_app.drain().await;
    assert_eq!(test_app.sent_texts().await, ["Hello!"]);
    // From now on the whole rate is theirs again.
    for _ in 0..3 {
        test_app.contact_writes(ANA, "and?").await;
        test_app.drain().await;
    }
    assert_eq!(test_app.sent_texts().await, ["Hello!"; 4]);
}

#[tokio::test]
async fn a_flood_of_missed_keywords_begins_no_more_conversations_than_the_backlog_limit() {
    let (test_app, list) = TestApp::app_with_message_list(&[]).await;
    for number in 0..60 {
        let text = if number % 2 == 0 { "hello?" } else { "/reset" };
        list.add(&format!("SMmissed{number}"), ANA, text, test_app.clock.now());
    }
    test_app.advance(60);
    test_app.catch_up_result().await;
    test_app.drain().await;
    assert!(test_app.sent_texts().await.len() <= 8, "{:?}", test_app.sent_texts().await);
    let slow_down =
        test_app.sent_texts().await.into_iter().filter(|text| *text == test_app.app.config.texts.slow_down).count();
    assert_eq!(slow_down, 1, "of the words that are left out they are told");
    assert_eq!(test_app.query_integer("SELECT COUNT(*) FROM messages WHERE role = 'user'"), 60, "all are stored");
}

#[tokio::test]
async fn keywords_and_senders_of_missed_messages_are_checked_like_any_other() {
    let stranger = "whatsapp:+12025550177";
    let allowed = [("MYNAH_WHO", "listed"), ("MYNAH_ALLOWED", "+12025550101,+12025550102")];
    let (test_app, list) = TestApp::app_with_message_list(&allowed).await;
    list.add("SM1", ANA, "Stop", test_app.clock.now());
    list.add("SM2", BEN, "/help", test_app.clock.now());
    list.add("SM3", stranger, "hello?", test_app.clock.now());
    test_app.advance(60);
    assert_eq!(test_app.catch_up_result().await, "missed messages found: 2 to be answered, 1 not to be answered");
    test_app.drain().await;
    let mut posted = test_app.sent_messages().await;
    posted.sort();
    let texts = &test_app.app.config.texts;
    let expected = [(ANA, &texts.stopped), (BEN, &texts.help), (stranger, &texts.stranger)];
    assert_eq!(posted, expected.map(|(to, text)| (to.to_owned(), text.clone())));
    assert_eq!(test_app.prompts().await.len(), 0);
}

#[tokio::test]
async fn missed_messages_stand_before_later_ones_even_in_a_cached_window() {
    let (test_app, list) = TestApp::app_with_message_list(&[("MYNAH_MERGE_WINDOW", "10s")]).await;
    for text in ["one", "two"] {
        test_app.contact_writes(ANA, text).await;
        test_app.advance(10);
        test_app.drain().await;
    }
    list.add("SMmissed", ANA, "three", test_app.clock.now());
    test_app.advance(60);
    test_app.contact_writes(ANA, "four").await;
    assert_eq!(test_app.catch_up_result().await, "missed messages found: 1 to be answered");
    test_app.advance(10);
    test_app.drain().await;
    assert_eq!(test_app.user_prompts().await.last().unwrap(), &["one", "two", "three", "four"]);
}

#[tokio::test]
async fn the_24_hours_count_from_when_a_missed_message_was_said() {
    let (test_app, list) = TestApp::app_with_message_list(&[]).await;
    list.add("SMmissed", ANA, "hello?", test_app.clock.now());
    test_app.advance(11 * HOUR);
    assert_eq!(test_app.catch_up_result().await, "missed messages found: 1 to be answered");
    test_app.advance(12 * HOUR + 1);
    test_app.drain().await;
    assert_eq!((test_app.sent_texts().await.len(), test_app.turn_states().await), (0, vec!["expired".to_owned()]));
}

#[tokio::test]
async fn a_missed_message_waits_for_a_model_as_long_as_any_other() {
    let (test_app, list) = TestApp::app_with_message_list(&[]).await;
    list.add("SMmissed", ANA, "hello?", test_app.clock.now());
    test_app.advance(2 * HOUR);
    for _ in 0..5 {
        test_app.assistant().breaker.record_failure(None, test_app.clock.now());
    }
    assert_eq!(test_app.catch_up_result().await, "missed messages found: 1 to be answered");
    test_app.drain().await;
    assert_eq!((test_app.sent_texts().await.len(), test_app.turn_states().await), (0, vec!["retry".to_owned()]));
    test_app.advance(30);
    test_app.drain().await;
    assert_eq!(test_app.sent_texts().await, ["Hello!"]);
}
