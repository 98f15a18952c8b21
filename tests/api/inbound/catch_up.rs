//! Catch-up: what it finds in Twilio's list of messages, and how far it has read.

use std::time::Duration;

use axum::http::StatusCode;
use mynah::clock::Clock;
use mynah::work::Worker;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use wiremock::ResponseTemplate;

use crate::setup::captured_log::CapturedLog;
use crate::setup::message_list::{HOUR, MessageList};
use crate::setup::test_app::{ACCOUNT, ANA, BEN, TestApp};

#[tokio::test]
async fn a_two_hour_outage_is_answered_in_order_and_each_contact_once() {
    let (test_app, list) = TestApp::app_with_message_list(&[]).await;
    let phone = |contact: u64| format!("whatsapp:+1202555{contact:04}");
    test_app.advance(2 * HOUR);
    for number in 0..500 {
        let at = test_app.time_before(2 * HOUR - number * 14);
        list.add(&format!("SM{number:032}"), &phone(number % 100), &format!("message {number}"), at);
    }
    test_app.advance(60);
    let test_app = test_app.restarted_with(&[]).await;
    assert_eq!(test_app.catch_up_result().await, "missed messages found: 500 to be answered");
    test_app.drain().await;
    let mut answered: Vec<String> = test_app.sent_messages().await.into_iter().map(|(to, _)| to).collect();
    answered.sort();
    assert_eq!(answered, (0..100).map(phone).collect::<Vec<_>>(), "each contact once");
    let mut prompts = test_app.user_prompts().await;
    prompts.sort_by_key(|texts| texts[0]["message ".len()..].parse::<u64>().unwrap());
    let five = |contact: u64| (0..5).map(|round| format!("message {}", round * 100 + contact)).collect::<Vec<_>>();
    assert_eq!(prompts, (0..100).map(five).collect::<Vec<_>>(), "in the order in which they were said");
    // The next catch-up finds nothing new.
    test_app.advance(60);
    assert_eq!(test_app.catch_up_result().await, "nothing was missed");
    assert_eq!(test_app.drain().await, 0);
}

#[tokio::test]
async fn the_first_start_takes_nothing_from_before_it() {
    let test_app = TestApp::new().await;
    let list = MessageList::mounted_at(&test_app).await;
    list.add("SMbefore", ANA, "somebody else has answered this", test_app.time_before(60));
    assert_eq!(test_app.catch_up_result().await, "nothing was missed");
    test_app.advance(60);
    list.add("SMafter", ANA, "and this is for us", test_app.time_before(40));
    assert_eq!(test_app.catch_up_result().await, "missed messages found: 1 to be answered");
    test_app.drain().await;
    assert_eq!(test_app.user_prompts().await, [["and this is for us"]]);
}

/// As with a wrong API key, which webhooks do not need.
#[tokio::test]
async fn messages_that_come_before_the_first_readable_list_are_found() {
    let test_app = TestApp::new().await;
    test_app
        .mock_list_messages()
        .respond_with(ResponseTemplate::new(401))
        .up_to_n_times(2)
        .mount(&test_app.twilio)
        .await;
    let list = MessageList::mounted_at(&test_app).await;
    list.add("SMbefore", ANA, "somebody else has answered this", test_app.time_before(60));
    assert!(test_app.run_catch_up().await.failed);
    test_app.advance(3_600);
    list.add("SMmissed", ANA, "this is for us", test_app.time_before(1_800));
    assert!(test_app.run_catch_up().await.failed);
    assert_eq!(test_app.catch_up_result().await, "missed messages found: 1 to be answered");
}

#[tokio::test]
async fn a_message_that_has_just_been_sent_is_left_to_its_webhook() {
    let (test_app, list) = TestApp::app_with_message_list(&[]).await;
    list.add("SM00000000000000000000000000000001", ANA, "hello?", test_app.clock.now());
    // Twilio's dates are in whole seconds; the end of the second counts.
    test_app.advance(30);
    assert_eq!(test_app.catch_up_result().await, "nothing was missed");
    test_app.advance(1);
    assert_eq!(test_app.catch_up_result().await, "missed messages found: 1 to be answered");
    // A webhook that comes even later is acknowledged, and leads to no second answer.
    assert_eq!(test_app.deliver_webhook(&test_app.message_params(ANA, "hello?")).await, StatusCode::OK);
    test_app.drain().await;
    assert_eq!(test_app.sent_texts().await.len(), 1);
}

#[tokio::test]
async fn messages_listed_late_or_by_another_clock_are_found() {
    let (test_app, list) = TestApp::app_with_message_list(&[]).await;
    test_app.advance(60);
    test_app.catch_up_result().await;
    // Listed only now, dated before a catch-up that did not find it.
    list.add("SMlate", ANA, "hello?", test_app.time_before(9 * 60));
    assert_eq!(test_app.catch_up_result().await, "missed messages found: 1 to be answered");
}

#[tokio::test]
async fn twilio_is_not_asked_where_the_owner_does_not_want_it() {
    let (test_app, list) = TestApp::app_with_message_list(&[]).await;
    let test_app = test_app.restarted_with(&[("MYNAH_CATCH_UP_WITHIN", "off")]).await;
    list.add("SMmissed", ANA, "hello?", test_app.clock.now());
    test_app.advance(60);
    let before = test_app.list_requests().await;
    assert_eq!(test_app.catch_up_result().await, "turned off (MYNAH_CATCH_UP_WITHIN)");
    assert_eq!(test_app.list_requests().await, before);
}

#[tokio::test]
async fn a_failed_catch_up_does_not_move_its_position_and_is_alerted_once() {
    let log = CapturedLog::start();
    let (test_app, _) = TestApp::app_with_message_list(&[]).await;
    test_app.twilio.reset().await;
    test_app.twilio_accepts_everything().await;
    let missed = test_app.clock.now();
    let wrong = ResponseTemplate::new(401).set_body_json(json!({ "code": 20003, "message": "Authenticate" }));
    test_app.mock_list_messages().respond_with(wrong).up_to_n_times(3).mount(&test_app.twilio).await;
    test_app
        .mock_list_messages()
        .respond_with(ResponseTemplate::new(429))
        .up_to_n_times(1)
        .mount(&test_app.twilio)
        .await;
    test_app
        .mock_list_messages()
        .respond_with(ResponseTemplate::new(500))
        .up_to_n_times(30)
        .mount(&test_app.twilio)
        .await;
    for attempt in 0..34 {
        test_app.advance(60);
        let run = test_app.run_catch_up().await;
        assert!(run.failed && run.result.starts_with("cannot read the list of messages: "), "{attempt}: {run:?}");
        assert_eq!(run.next_run_at, test_app.clock.now() + Duration::from_secs(60));
    }
    for (level, text, lines) in [("WARN", "20003", 1), ("WARN", "HTTP 429", 1), ("WARN", "HTTP 500", 1)] {
        assert_eq!(log.count_lines(level, text), lines, "{text}");
    }
    // It is found, although it is far older than what each catch-up reads again.
    let list = MessageList::mounted_at(&test_app).await;
    list.add("SMmissed", ANA, "hello?", missed);
    test_app.advance(60);
    assert_eq!(test_app.catch_up_result().await, "missed messages found: 1 to be answered");
    assert_eq!(log.count_lines("INFO", "catch-up works again"), 1);
}

#[tokio::test]
async fn a_list_that_repeats_a_page_gives_what_it_has_and_is_read_again() {
    let (test_app, _) = TestApp::app_with_message_list(&[]).await;
    test_app.twilio.reset().await;
    test_app.twilio_accepts_everything().await;
    let list = MessageList::default();
    list.add("SM1", ANA, "first", test_app.clock.now());
    list.add("SM2", BEN, "second", test_app.clock.now());
    let rows = list.0.lock().unwrap().clone();
    let path = format!("/2010-04-01/Accounts/{ACCOUNT}/Messages.json?Page=1");
    let page = ResponseTemplate::new(200).set_body_json(json!({ "messages": [rows[1]], "next_page_uri": path }));
    test_app.mock_list_messages().respond_with(page).up_to_n_times(2).mount(&test_app.twilio).await;
    test_app.advance(60);
    let run = test_app.run_catch_up().await;
    assert!(run.failed, "{run:?}");
    assert_eq!(
        run.result,
        "Twilio's list of messages repeats a page, so its end cannot be reached; missed messages found: 1 to be \
         answered"
    );
    // An hour later the whole list is there.
    let whole = MessageList::mounted_at(&test_app).await;
    whole.0.lock().unwrap().extend(rows);
    test_app.advance(HOUR);
    assert_eq!(test_app.catch_up_result().await, "missed messages found: 1 to be answered");
    test_app.drain().await;
    assert_eq!(test_app.sent_texts().await.len(), 2);
}

#[tokio::test]
async fn a_message_that_cannot_be_stored_keeps_no_other_from_being_found() {
    let (test_app, list) = TestApp::app_with_message_list(&[]).await;
    test_app.execute_sql(
        "CREATE TRIGGER poison BEFORE INSERT ON messages WHEN NEW.content = 'poison'
         BEGIN SELECT RAISE(ABORT, 'no'); END",
    );
    list.add("SM1", ANA, "poison", test_app.clock.now());
    list.add("SM2", BEN, "hello?", test_app.clock.now());
    test_app.advance(60);
    assert_eq!(test_app.catch_up_result().await, "missed messages found: 1 to be answered, 1 that cannot be stored");
}

#[tokio::test]
async fn a_clock_that_was_ahead_for_a_while_leaves_no_gap_behind() {
    let (test_app, list) = TestApp::app_with_message_list(&[]).await;
    // Ahead only at the last catch-up.
    test_app.execute_sql("UPDATE catch_ups SET caught_up_at = caught_up_at + 864000000");
    list.add("SM1", ANA, "hello?", test_app.clock.now());
    test_app.advance(60);
    assert_eq!(test_app.catch_up_result().await, "missed messages found: 1 to be answered");
    // Ahead from the beginning: catch-up starts over from now.
    test_app.execute_sql("UPDATE catch_ups SET began_at = began_at + 864000000");
    list.add("SM2", ANA, "still there?", test_app.clock.now());
    test_app.advance(60);
    assert_eq!(test_app.catch_up_result().await, "nothing was missed");
    list.add("SM3", ANA, "hello?!", test_app.clock.now());
    test_app.advance(60);
    assert_eq!(test_app.catch_up_result().await, "missed messages found: 1 to be answered");
}

#[tokio::test]
async fn messages_past_their_retention_are_not_fetched_again() {
    let (test_app, list) = TestApp::app_with_message_list(&[("MYNAH_RETENTION", "1d")]).await;
    list.add("SM1", ANA, "long gone", test_app.clock.now());
    test_app.advance(30 * HOUR);
    list.add("SM2", BEN, "hello?", test_app.time_before(60));
    assert_eq!(test_app.catch_up_result().await, "missed messages found: 1 to be answered");
}

#[tokio::test]
async fn a_worker_catches_up_every_minute_and_can_stop_in_the_middle() {
    let (test_app, list) = TestApp::app_with_message_list(&[]).await;
    let stop = CancellationToken::new();
    let worker = tokio::spawn(Worker::new(test_app.app.clone()).run(stop.clone()));
    let requests_before = test_app.list_requests().await;
    while test_app.list_requests().await == requests_before {
        tokio::task::yield_now().await;
    }
    list.add("SMmissed", ANA, "hello?", test_app.clock.now());
    test_app.advance(61);
    while test_app.turn_states().await != ["done"] {
        tokio::task::yield_now().await;
    }
    // Twilio hangs from now on.
    test_app.twilio.reset().await;
    let late = ResponseTemplate::new(200).set_delay(Duration::from_secs(14));
    test_app.mock_list_messages().respond_with(late).mount(&test_app.twilio).await;
    test_app.advance(61);
    while test_app.list_requests().await == 0 {
        tokio::task::yield_now().await;
    }
    stop.cancel();
    worker.await.unwrap();
    let run = test_app.app.store.schedule().await.unwrap().into_iter().find(|run| run.job == "catch_up").unwrap();
    assert!(!run.failed, "the catch-up that was cut off is not recorded: {run:?}");
}
