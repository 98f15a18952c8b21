//! Sending: a part goes out again only after positive evidence that nothing was created.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};
use wiremock::matchers::{method, path};
use wiremock::{Mock, ResponseTemplate};

use crate::setup::captured_log::CapturedLog;
use crate::setup::test_app::{ACCOUNT, ANA, OUR_NUMBER, TestApp, form_params};

const LOOKUP_WAITS: [u64; 5] = [2, 5, 15, 40, 90];

fn message_list(rows: &[(&str, &str)]) -> ResponseTemplate {
    let messages: Vec<Value> = rows
        .iter()
        .map(|(sid, text)| {
            json!({
                "sid": sid, "from": OUR_NUMBER, "to": ANA, "body": text, "direction": "outbound-api", "status": "delivered",
                "date_created": "Sun, 01 Nov 2026 10:00:00 +0000", "date_sent": null, "num_media": "0"
            })
        })
        .collect();
    ResponseTemplate::new(200).set_body_json(json!({ "messages": messages, "next_page_uri": null }))
}

/// A test app whose first post ends in a 500 that may have created the message.
async fn app_with_unknown_part(settings: &[(&str, &str)]) -> TestApp {
    let test_app = TestApp::with_settings(settings).await;
    test_app
        .mock_send_message()
        .respond_with(ResponseTemplate::new(500))
        .up_to_n_times(1)
        .mount(&test_app.twilio)
        .await;
    test_app.twilio_accepts_everything().await;
    test_app.model_answers("Hello!").await;
    test_app.contact_writes(ANA, "hello").await;
    test_app.drain().await;
    assert_eq!(test_app.turn_states().await, ["sending"]);
    test_app
}

#[tokio::test]
async fn an_unknown_send_that_is_found_at_twilio_is_not_sent_again() {
    let test_app = app_with_unknown_part(&[]).await;
    test_app
        .mock_list_messages()
        .respond_with(message_list(&[("SM0000000000000000000000000000ffff", "Hello!")]))
        .mount(&test_app.twilio)
        .await;
    test_app.advance(2);
    test_app.drain().await;
    assert_eq!((test_app.sent_texts().await.len(), test_app.turn_states().await), (1, vec!["done".to_owned()]));
}

#[tokio::test]
async fn an_unknown_send_goes_out_again_only_after_five_absences() {
    let test_app = app_with_unknown_part(&[]).await;
    test_app
        .mock_list_messages()
        .respond_with(message_list(&[("SM0000000000000000000000000000eeee", "Another text")]))
        .mount(&test_app.twilio)
        .await;
    for (n, seconds) in LOOKUP_WAITS.into_iter().enumerate() {
        assert_eq!(test_app.sent_texts().await.len(), 1, "after {n} lookups");
        test_app.advance(seconds - 1);
        assert_eq!(test_app.drain().await, 0, "lookup {n} is not due yet");
        test_app.advance(1);
        test_app.drain().await;
    }
    assert_eq!(test_app.sent_texts().await, ["Hello!", "Hello!"]);
    assert_eq!(test_app.turn_states().await, ["done"]);
}

/// How often the list was asked for.
async fn list_requests(test_app: &TestApp) -> usize {
    let requests = test_app.twilio.received_requests().await.unwrap();
    requests.iter().filter(|request| request.method.as_str() == "GET").count()
}

#[tokio::test]
async fn an_earlier_message_of_the_same_text_is_not_taken_for_the_unknown_one() {
    let test_app = TestApp::with_settings(&[]).await;
    let sid = "SM0000000000000000000000000000ffff";
    let taken = ResponseTemplate::new(201).set_body_json(json!({ "sid": sid, "status": "queued" }));
    test_app.mock_send_message().respond_with(taken).up_to_n_times(1).mount(&test_app.twilio).await;
    test_app
        .mock_send_message()
        .respond_with(ResponseTemplate::new(500))
        .up_to_n_times(1)
        .mount(&test_app.twilio)
        .await;
    test_app.twilio_accepts_everything().await;
    test_app.mock_list_messages().respond_with(message_list(&[(sid, "Hello!")])).mount(&test_app.twilio).await;
    test_app.model_answers("Hello!").await;
    test_app.contact_writes(ANA, "hello").await;
    test_app.drain().await;
    // Close enough for two clocks that differ.
    test_app.advance(30);
    test_app.contact_writes(ANA, "hello again").await;
    test_app.drain().await;
    assert_eq!(test_app.turn_states().await, ["done", "sending"]);
    for seconds in LOOKUP_WAITS {
        test_app.advance(seconds);
        test_app.drain().await;
    }
    assert_eq!(
        (test_app.sent_texts().await.len(), test_app.turn_states().await),
        (3, vec!["done".to_owned(), "done".to_owned()])
    );
}

#[tokio::test]
async fn a_failed_lookup_is_no_evidence_and_is_made_again_less_and_less_often() {
    let test_app = app_with_unknown_part(&[]).await;
    test_app.mock_list_messages().respond_with(ResponseTemplate::new(500)).mount(&test_app.twilio).await;
    for _ in 0..360 {
        test_app.advance(10);
        test_app.drain().await;
    }
    let lookups = list_requests(&test_app).await;
    assert!((12..120).contains(&lookups), "{lookups} lookups in an hour");
    assert_eq!((test_app.sent_texts().await.len(), test_app.turn_states().await), (1, vec!["sending".to_owned()]));
    // The provider recovers.
    test_app.twilio.reset().await;
    test_app
        .mock_list_messages()
        .respond_with(message_list(&[("SM0000000000000000000000000000ffff", "Hello!")]))
        .mount(&test_app.twilio)
        .await;
    test_app.advance(300);
    test_app.drain().await;
    assert_eq!(test_app.turn_states().await, ["done"]);
}

#[tokio::test]
async fn a_lookup_waits_for_as_long_as_twilio_asks() {
    let test_app = app_with_unknown_part(&[]).await;
    let busy = ResponseTemplate::new(429).insert_header("retry-after", "900");
    test_app.mock_list_messages().respond_with(busy).mount(&test_app.twilio).await;
    test_app.advance(2);
    test_app.drain().await;
    test_app.advance(899);
    assert_eq!((test_app.drain().await, list_requests(&test_app).await), (0, 1));
    test_app.advance(6);
    assert_eq!((test_app.drain().await, list_requests(&test_app).await), (1, 2));
}

#[tokio::test]
async fn a_part_that_cannot_be_looked_up_holds_up_its_conversation_for_at_most_23_hours() {
    let log = CapturedLog::start();
    let test_app = app_with_unknown_part(&[]).await;
    let wrong = ResponseTemplate::new(401).set_body_json(json!({ "code": 20003, "message": "Authenticate" }));
    test_app.mock_list_messages().respond_with(wrong).mount(&test_app.twilio).await;
    for _ in 0..22 {
        test_app.advance(3600);
        test_app.drain().await;
    }
    assert_eq!((list_requests(&test_app).await, test_app.turn_states().await), (22, vec!["sending".to_owned()]));
    assert_eq!(
        (log.count_lines("ERROR", "20003"), log.count_lines("WARN", "20003")),
        (1, 21),
        "an error once, then a warning"
    );
    test_app.contact_writes(ANA, "still there?").await;
    test_app.advance(3600);
    test_app.drain().await;
    assert_eq!(test_app.turn_states().await, ["expired", "done"]);
    assert_eq!(
        test_app.sent_texts().await.len(),
        2,
        "the next message is answered, and the first answer is not sent again"
    );
    let why = test_app.turns().await[0].error.clone().unwrap();
    assert!(why.contains("no lookup could tell in 23 hours") && why.contains("20003"), "{why}");
    assert_eq!(test_app.query_integer("SELECT COUNT(*) FROM parts WHERE state = 'held'"), 1);
}

#[tokio::test]
async fn an_unknown_send_is_held_where_the_operator_chose_that() {
    let test_app = app_with_unknown_part(&[("MYNAH_UNKNOWN_SENDS", "hold")]).await;
    test_app.mock_list_messages().respond_with(message_list(&[])).mount(&test_app.twilio).await;
    for seconds in LOOKUP_WAITS {
        test_app.advance(seconds);
        test_app.drain().await;
    }
    assert_eq!(test_app.sent_texts().await.len(), 1);
    assert_eq!(test_app.turn_states().await, ["dead"]);
    test_app.contact_writes(ANA, "still there?").await;
    test_app.drain().await;
    assert_eq!(test_app.sent_texts().await.len(), 2, "the conversation goes on");
}

#[tokio::test]
async fn a_status_callback_with_our_reference_settles_an_unknown_send() {
    let test_app = app_with_unknown_part(&[]).await;
    let callback = test_app.last_status_callback().await;
    let params = form_params(&[
        ("MessageSid", "SM0000000000000000000000000000aaaa"),
        ("MessageStatus", "delivered"),
        ("From", OUR_NUMBER),
        ("To", ANA),
    ]);
    assert_eq!(test_app.post_signed(&callback, &params).await.status(), StatusCode::OK);
    assert_eq!(test_app.turn_states().await, ["done"]);
    test_app.advance(600);
    test_app.drain().await;
    assert_eq!(test_app.sent_texts().await.len(), 1);
    assert_eq!(
        test_app.query_integer("SELECT COUNT(*) FROM parts WHERE status = 'delivered' AND provider_id LIKE '%aaaa'"),
        1
    );
}

#[tokio::test]
async fn delivery_status_moves_forward_only() {
    let test_app = TestApp::new().await;
    test_app.contact_writes(ANA, "hello").await;
    test_app.drain().await;
    let callback = test_app.last_status_callback().await;
    let sid = "SM000000000000000000000000abc00001";
    for (status, stored) in
        [("sent", "sent"), ("delivered", "delivered"), ("sent", "delivered"), ("read", "read"), ("delivered", "read")]
    {
        let params = form_params(&[("MessageSid", sid), ("MessageStatus", status), ("From", OUR_NUMBER), ("To", ANA)]);
        assert_eq!(test_app.post_signed(&callback, &params).await.status(), StatusCode::OK);
        assert_eq!(
            test_app.query_integer(&format!("SELECT COUNT(*) FROM parts WHERE status = '{stored}'")),
            1,
            "after {status}"
        );
    }
    assert_eq!(
        test_app.query_integer("SELECT COUNT(*) FROM messages WHERE role = 'user'"),
        1,
        "a status is not a message"
    );
}

#[tokio::test]
async fn a_send_that_twilio_throttles_is_repeated() {
    let test_app = TestApp::with_settings(&[]).await;
    let busy = ResponseTemplate::new(429)
        .set_body_json(json!({ "code": 20429, "message": "Too Many Requests", "status": 429 }));
    test_app.mock_send_message().respond_with(busy).up_to_n_times(3).mount(&test_app.twilio).await;
    test_app.twilio_accepts_everything().await;
    test_app.model_answers("Hello!").await;
    test_app.contact_writes(ANA, "hello").await;
    for _ in 0..4 {
        test_app.drain().await;
        test_app.advance(30);
    }
    assert_eq!((test_app.sent_texts().await.len(), test_app.turn_states().await), (4, vec!["done".to_owned()]));
}

/// An error of Twilio's.
fn twilio_error(code: i64) -> ResponseTemplate {
    ResponseTemplate::new(400).set_body_json(json!({ "code": code, "message": "refused", "status": 400 }))
}

#[tokio::test]
async fn a_send_that_fails_for_what_seldom_passes_is_repeated_a_few_times_and_given_up() {
    for (code, posts) in [(63010, 4), (63023, 4), (30003, 2), (30008, 2)] {
        let test_app = TestApp::with_settings(&[]).await;
        test_app.mock_send_message().respond_with(twilio_error(code)).mount(&test_app.twilio).await;
        test_app.model_answers("Hello!").await;
        test_app.contact_writes(ANA, "hello").await;
        for post in 1..posts {
            test_app.drain().await;
            assert_eq!(
                (test_app.sent_texts().await.len(), test_app.turn_states().await),
                (post, vec!["sending".to_owned()]),
                "{code}"
            );
            test_app.advance(420);
        }
        test_app.drain().await;
        assert_eq!(
            (test_app.sent_texts().await.len(), test_app.turn_states().await),
            (posts, vec!["dead".to_owned()]),
            "{code}"
        );
        let why = test_app.turns().await[0].error.clone().unwrap();
        assert!(why.contains(&code.to_string()) && why.ends_with(&format!("given up after {posts} attempts")), "{why}");
    }
}

#[tokio::test]
async fn a_daily_limit_is_waited_for_and_alerted() {
    let log = CapturedLog::start();
    let test_app = TestApp::with_settings(&[]).await;
    test_app.mock_send_message().respond_with(twilio_error(63038)).up_to_n_times(5).mount(&test_app.twilio).await;
    test_app.twilio_accepts_everything().await;
    test_app.model_answers("Hello!").await;
    test_app.contact_writes(ANA, "hello").await;
    for posts in 1..=5 {
        test_app.drain().await;
        assert_eq!(
            (test_app.sent_texts().await.len(), test_app.turn_states().await),
            (posts, vec!["sending".to_owned()])
        );
        assert_eq!(log.count_lines("ERROR", "63038"), posts);
        test_app.advance(3599);
        assert_eq!(test_app.drain().await, 0);
        test_app.advance(301);
    }
    test_app.drain().await;
    assert_eq!((test_app.sent_texts().await.len(), test_app.turn_states().await), (6, vec!["done".to_owned()]));
}

#[tokio::test]
async fn a_send_that_never_succeeds_ends_in_hours_with_an_alert() {
    let log = CapturedLog::start();
    let test_app = TestApp::with_settings(&[]).await;
    test_app.mock_send_message().respond_with(ResponseTemplate::new(429)).mount(&test_app.twilio).await;
    test_app.model_answers("Hello!").await;
    test_app.contact_writes(ANA, "hello").await;
    for _ in 0..105 {
        test_app.drain().await;
        // Each message moves the deadline on.
        test_app.contact_writes(ANA, "are you there?").await;
        test_app.advance(300);
    }
    assert_eq!(test_app.turn_states().await[0], "dead");
    let to_first = test_app.query_integer("SELECT attempts FROM parts WHERE turn_id = 1");
    assert_eq!((to_first, log.count_lines("ERROR", "given up")), (100, 1));
}

#[tokio::test]
async fn a_refused_send_ends_the_turn_and_the_next_one_goes_on() {
    let test_app = TestApp::with_settings(&[]).await;
    let refused = ResponseTemplate::new(400)
        .set_body_json(json!({ "code": 21211, "message": "Invalid 'To' Phone Number", "status": 400 }));
    test_app.mock_send_message().respond_with(refused).up_to_n_times(1).mount(&test_app.twilio).await;
    test_app.twilio_accepts_everything().await;
    test_app.model_answers("Hello!").await;
    test_app.contact_writes(ANA, "one").await;
    test_app.drain().await;
    test_app.contact_writes(ANA, "two").await;
    test_app.drain().await;
    assert_eq!(test_app.turn_states().await, ["dead", "done"]);
    let error = test_app.turns().await[0].error.clone().unwrap();
    assert!(error.contains("21211"), "{error}");
}

#[tokio::test]
async fn a_part_that_is_too_long_for_twilio_goes_out_in_halves() {
    let test_app = TestApp::with_settings(&[]).await;
    let refused =
        ResponseTemplate::new(400).set_body_json(json!({ "code": 21617, "message": "too long", "status": 400 }));
    test_app.mock_send_message().respond_with(refused).up_to_n_times(1).mount(&test_app.twilio).await;
    test_app.twilio_accepts_everything().await;
    test_app.model_answers("The first sentence is here. The second sentence is there.").await;
    test_app.contact_writes(ANA, "hello").await;
    test_app.drain().await;
    test_app.advance(3);
    test_app.drain().await;
    let texts = test_app.sent_texts().await;
    assert_eq!(texts[1..], ["The first sentence is here.", "The second sentence is there."]);
    assert_eq!(test_app.turn_states().await, ["done"]);
}

#[tokio::test]
async fn a_twilio_that_finds_everything_too_long_is_not_sent_single_letters() {
    let test_app = TestApp::with_settings(&[]).await;
    test_app.mock_send_message().respond_with(twilio_error(21617)).mount(&test_app.twilio).await;
    test_app.model_answers(&"The sentence is here. ".repeat(60)).await;
    test_app.contact_writes(ANA, "hello").await;
    test_app.drain().await;
    let texts = test_app.sent_texts().await;
    assert!(texts.len() <= 10 && texts.iter().all(|text| text.len() > 5), "{texts:?}");
    assert_eq!(test_app.turn_states().await, ["dead"]);
}

#[tokio::test]
async fn a_send_that_times_out_is_unknown_and_not_posted_twice() {
    // The channel waits 15 s for an answer; the stand-in needs longer.
    let test_app = TestApp::with_settings(&[]).await;
    let late = ResponseTemplate::new(201).set_body_json(json!({ "sid": "SM1" })).set_delay(Duration::from_secs(20));
    test_app.mock_send_message().respond_with(late).mount(&test_app.twilio).await;
    test_app.model_answers("Hello!").await;
    test_app.contact_writes(ANA, "hello").await;
    test_app.drain().await;
    assert_eq!(test_app.query_integer("SELECT COUNT(*) FROM parts WHERE state = 'unknown'"), 1);
    assert_eq!(test_app.sent_texts().await.len(), 1);
}

/// Its list knows nothing of what the other account sent, which is no proof that it was not sent.
#[tokio::test]
async fn an_unknown_send_is_not_looked_up_in_another_account() {
    const OTHER: &str = "AC00000000000000000000000000000009";
    let log = CapturedLog::start();
    let test_app = app_with_unknown_part(&[]).await.restarted_with(&[("TWILIO_ACCOUNT_SID", OTHER)]).await;
    let list = Mock::given(method("GET")).and(path(format!("/2010-04-01/Accounts/{OTHER}/Messages.json")));
    list.respond_with(message_list(&[])).expect(0).mount(&test_app.twilio).await;
    for seconds in [2, 60, 300, 300, 300, 300] {
        test_app.advance(seconds);
        test_app.drain().await;
    }
    assert_eq!((test_app.sent_texts().await.len(), test_app.turn_states().await), (1, vec!["sending".to_owned()]));
    assert_eq!(log.count_lines("ERROR", "is no longer configured, so mynah cannot look it up"), 1);
    // The account is back.
    let test_app = test_app.restarted_with(&[("TWILIO_ACCOUNT_SID", ACCOUNT)]).await;
    test_app
        .mock_list_messages()
        .respond_with(message_list(&[("SM0000000000000000000000000000ffff", "Hello!")]))
        .mount(&test_app.twilio)
        .await;
    test_app.advance(300);
    test_app.drain().await;
    assert_eq!((test_app.sent_texts().await.len(), test_app.turn_states().await), (1, vec!["done".to_owned()]));
}
