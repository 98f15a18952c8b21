//! Sending: a part goes out again only after positive evidence that nothing was created.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};
use wiremock::matchers::{method, path};
use wiremock::{Mock, ResponseTemplate};

use crate::house::{ACCOUNT, ANA, House, Log, OURS, form};

const LOOKS: [u64; 5] = [2, 5, 15, 40, 90];

fn listed(rows: &[(&str, &str)]) -> ResponseTemplate {
    let messages: Vec<Value> = rows
        .iter()
        .map(|(sid, text)| {
            json!({
                "sid": sid, "from": OURS, "to": ANA, "body": text, "direction": "outbound-api", "status": "delivered",
                "date_created": "Sun, 01 Nov 2026 10:00:00 +0000", "date_sent": null, "num_media": "0"
            })
        })
        .collect();
    ResponseTemplate::new(200).set_body_json(json!({ "messages": messages, "next_page_uri": null }))
}

/// A house whose first send ends in a 500 that may have created the message.
async fn in_doubt(settings: &[(&str, &str)]) -> House {
    let house = House::with(settings).await;
    house.post_messages().respond_with(ResponseTemplate::new(500)).up_to_n_times(1).mount(&house.twilio).await;
    house.twilio_takes_everything().await;
    house.model_says("Hello!").await;
    house.say(ANA, "hello").await;
    house.drain().await;
    assert_eq!(house.states().await, ["sending"]);
    house
}

#[tokio::test]
async fn an_unknown_send_that_is_found_at_twilio_is_not_sent_again() {
    let house = in_doubt(&[]).await;
    house
        .list_messages()
        .respond_with(listed(&[("SM0000000000000000000000000000ffff", "Hello!")]))
        .mount(&house.twilio)
        .await;
    house.advance(2);
    house.drain().await;
    assert_eq!((house.texts().await.len(), house.states().await), (1, vec!["done".to_owned()]));
}

#[tokio::test]
async fn an_unknown_send_goes_out_again_only_after_five_absences() {
    let house = in_doubt(&[]).await;
    house
        .list_messages()
        .respond_with(listed(&[("SM0000000000000000000000000000eeee", "Another text")]))
        .mount(&house.twilio)
        .await;
    for (n, seconds) in LOOKS.into_iter().enumerate() {
        assert_eq!(house.texts().await.len(), 1, "after {n} looks");
        house.advance(seconds - 1);
        assert_eq!(house.drain().await, 0, "look {n} is not due yet");
        house.advance(1);
        house.drain().await;
    }
    assert_eq!(house.texts().await, ["Hello!", "Hello!"]);
    assert_eq!(house.states().await, ["done"]);
}

/// How often the list was asked for.
async fn looks(house: &House) -> usize {
    let requests = house.twilio.received_requests().await.unwrap();
    requests.iter().filter(|request| request.method.as_str() == "GET").count()
}

#[tokio::test]
async fn an_earlier_message_of_the_same_words_is_not_taken_for_the_one_in_doubt() {
    let house = House::with(&[]).await;
    let sid = "SM0000000000000000000000000000ffff";
    let taken = ResponseTemplate::new(201).set_body_json(json!({ "sid": sid, "status": "queued" }));
    house.post_messages().respond_with(taken).up_to_n_times(1).mount(&house.twilio).await;
    house.post_messages().respond_with(ResponseTemplate::new(500)).up_to_n_times(1).mount(&house.twilio).await;
    house.twilio_takes_everything().await;
    house.list_messages().respond_with(listed(&[(sid, "Hello!")])).mount(&house.twilio).await;
    house.model_says("Hello!").await;
    house.say(ANA, "hello").await;
    house.drain().await;
    // Close enough for two clocks that differ.
    house.advance(30);
    house.say(ANA, "hello again").await;
    house.drain().await;
    assert_eq!(house.states().await, ["done", "sending"]);
    for seconds in LOOKS {
        house.advance(seconds);
        house.drain().await;
    }
    assert_eq!((house.texts().await.len(), house.states().await), (3, vec!["done".to_owned(), "done".to_owned()]));
}

#[tokio::test]
async fn a_look_that_fails_is_no_evidence_and_is_made_again_less_and_less_often() {
    let house = in_doubt(&[]).await;
    house.list_messages().respond_with(ResponseTemplate::new(500)).mount(&house.twilio).await;
    for _ in 0..360 {
        house.advance(10);
        house.drain().await;
    }
    let looks = looks(&house).await;
    assert!((12..120).contains(&looks), "{looks} looks in an hour");
    assert_eq!((house.texts().await.len(), house.states().await), (1, vec!["sending".to_owned()]));
    // The provider recovers.
    house.twilio.reset().await;
    house
        .list_messages()
        .respond_with(listed(&[("SM0000000000000000000000000000ffff", "Hello!")]))
        .mount(&house.twilio)
        .await;
    house.advance(300);
    house.drain().await;
    assert_eq!(house.states().await, ["done"]);
}

#[tokio::test]
async fn a_look_waits_for_as_long_as_twilio_asks() {
    let house = in_doubt(&[]).await;
    let busy = ResponseTemplate::new(429).insert_header("retry-after", "900");
    house.list_messages().respond_with(busy).mount(&house.twilio).await;
    house.advance(2);
    house.drain().await;
    house.advance(899);
    assert_eq!((house.drain().await, looks(&house).await), (0, 1));
    house.advance(6);
    assert_eq!((house.drain().await, looks(&house).await), (1, 2));
}

#[tokio::test]
async fn a_part_that_cannot_be_looked_for_holds_up_its_conversation_for_23_hours_at_the_most() {
    let log = Log::listen();
    let house = in_doubt(&[]).await;
    let wrong = ResponseTemplate::new(401).set_body_json(json!({ "code": 20003, "message": "Authenticate" }));
    house.list_messages().respond_with(wrong).mount(&house.twilio).await;
    for _ in 0..22 {
        house.advance(3600);
        house.drain().await;
    }
    assert_eq!((looks(&house).await, house.states().await), (22, vec!["sending".to_owned()]));
    assert_eq!((log.count("ERROR", "20003"), log.count("WARN", "20003")), (1, 21), "an error once, then a warning");
    house.say(ANA, "still there?").await;
    house.advance(3600);
    house.drain().await;
    assert_eq!(house.states().await, ["expired", "done"]);
    assert_eq!(house.texts().await.len(), 2, "the next message is answered, and the first answer is not sent again");
    let why = house.turns().await[0].error.clone().unwrap();
    assert!(why.contains("found out in time") && why.contains("20003"), "{why}");
    assert_eq!(house.count("SELECT COUNT(*) FROM parts WHERE state = 'held'"), 1);
}

#[tokio::test]
async fn an_unknown_send_is_held_where_the_operator_chose_that() {
    let house = in_doubt(&[("MYNAH_UNKNOWN_SENDS", "hold")]).await;
    house.list_messages().respond_with(listed(&[])).mount(&house.twilio).await;
    for seconds in LOOKS {
        house.advance(seconds);
        house.drain().await;
    }
    assert_eq!(house.texts().await.len(), 1);
    assert_eq!(house.states().await, ["dead"]);
    house.say(ANA, "still there?").await;
    house.drain().await;
    assert_eq!(house.texts().await.len(), 2, "the conversation goes on");
}

#[tokio::test]
async fn a_status_callback_with_our_reference_settles_an_unknown_send() {
    let house = in_doubt(&[]).await;
    let callback = house.callback().await;
    let params = form(&[
        ("MessageSid", "SM0000000000000000000000000000aaaa"),
        ("MessageStatus", "delivered"),
        ("From", OURS),
        ("To", ANA),
    ]);
    assert_eq!(house.post(&callback, &params).await.status(), StatusCode::OK);
    assert_eq!(house.states().await, ["done"]);
    house.advance(600);
    house.drain().await;
    assert_eq!(house.texts().await.len(), 1);
    assert_eq!(house.count("SELECT COUNT(*) FROM parts WHERE status = 'delivered' AND provider_id LIKE '%aaaa'"), 1);
}

#[tokio::test]
async fn delivery_status_moves_forward_only() {
    let house = House::new().await;
    house.say(ANA, "hello").await;
    house.drain().await;
    let callback = house.callback().await;
    let sid = "SM000000000000000000000000abc00001";
    for (status, stored) in
        [("sent", "sent"), ("delivered", "delivered"), ("sent", "delivered"), ("read", "read"), ("delivered", "read")]
    {
        let params = form(&[("MessageSid", sid), ("MessageStatus", status), ("From", OURS), ("To", ANA)]);
        assert_eq!(house.post(&callback, &params).await.status(), StatusCode::OK);
        assert_eq!(house.count(&format!("SELECT COUNT(*) FROM parts WHERE status = '{stored}'")), 1, "after {status}");
    }
    assert_eq!(house.count("SELECT COUNT(*) FROM messages WHERE role = 'user'"), 1, "a status is not a message");
}

#[tokio::test]
async fn a_send_that_twilio_throttles_is_repeated() {
    let house = House::with(&[]).await;
    let busy = ResponseTemplate::new(429)
        .set_body_json(json!({ "code": 20429, "message": "Too Many Requests", "status": 429 }));
    house.post_messages().respond_with(busy).up_to_n_times(3).mount(&house.twilio).await;
    house.twilio_takes_everything().await;
    house.model_says("Hello!").await;
    house.say(ANA, "hello").await;
    for _ in 0..4 {
        house.drain().await;
        house.advance(30);
    }
    assert_eq!((house.texts().await.len(), house.states().await), (4, vec!["done".to_owned()]));
}

/// An error of Twilio's.
fn error(code: i64) -> ResponseTemplate {
    ResponseTemplate::new(400).set_body_json(json!({ "code": code, "message": "refused", "status": 400 }))
}

#[tokio::test]
async fn a_send_that_fails_for_what_seldom_passes_is_repeated_a_few_times_and_given_up() {
    for (code, posts) in [(63010, 4), (63023, 4), (30003, 2), (30008, 2)] {
        let house = House::with(&[]).await;
        house.post_messages().respond_with(error(code)).mount(&house.twilio).await;
        house.model_says("Hello!").await;
        house.say(ANA, "hello").await;
        for post in 1..posts {
            house.drain().await;
            assert_eq!((house.texts().await.len(), house.states().await), (post, vec!["sending".to_owned()]), "{code}");
            house.advance(420);
        }
        house.drain().await;
        assert_eq!((house.texts().await.len(), house.states().await), (posts, vec!["dead".to_owned()]), "{code}");
        let why = house.turns().await[0].error.clone().unwrap();
        assert!(why.contains(&code.to_string()) && why.ends_with(&format!("given up after {posts} attempts")), "{why}");
    }
}

#[tokio::test]
async fn a_daily_limit_is_waited_for_and_the_operator_told() {
    let log = Log::listen();
    let house = House::with(&[]).await;
    house.post_messages().respond_with(error(63038)).up_to_n_times(5).mount(&house.twilio).await;
    house.twilio_takes_everything().await;
    house.model_says("Hello!").await;
    house.say(ANA, "hello").await;
    for posts in 1..=5 {
        house.drain().await;
        assert_eq!((house.texts().await.len(), house.states().await), (posts, vec!["sending".to_owned()]));
        assert_eq!(log.count("ERROR", "63038"), posts);
        house.advance(3599);
        assert_eq!(house.drain().await, 0);
        house.advance(301);
    }
    house.drain().await;
    assert_eq!((house.texts().await.len(), house.states().await), (6, vec!["done".to_owned()]));
}

#[tokio::test]
async fn a_send_that_never_passes_ends_in_hours_and_is_told() {
    let log = Log::listen();
    let house = House::with(&[]).await;
    house.post_messages().respond_with(ResponseTemplate::new(429)).mount(&house.twilio).await;
    house.model_says("Hello!").await;
    house.say(ANA, "hello").await;
    for _ in 0..105 {
        house.drain().await;
        // Each message moves the deadline on.
        house.say(ANA, "are you there?").await;
        house.advance(300);
    }
    assert_eq!(house.states().await[0], "dead");
    let to_first = house.count("SELECT attempts FROM parts WHERE turn_id = 1");
    assert_eq!((to_first, log.count("ERROR", "given up")), (100, 1));
}

#[tokio::test]
async fn a_refused_send_ends_the_turn_and_the_next_one_goes_on() {
    let house = House::with(&[]).await;
    let refused = ResponseTemplate::new(400)
        .set_body_json(json!({ "code": 21211, "message": "Invalid 'To' Phone Number", "status": 400 }));
    house.post_messages().respond_with(refused).up_to_n_times(1).mount(&house.twilio).await;
    house.twilio_takes_everything().await;
    house.model_says("Hello!").await;
    house.say(ANA, "one").await;
    house.drain().await;
    house.say(ANA, "two").await;
    house.drain().await;
    assert_eq!(house.states().await, ["dead", "done"]);
    let error = house.turns().await[0].error.clone().unwrap();
    assert!(error.contains("21211"), "{error}");
}

#[tokio::test]
async fn a_part_that_is_too_long_for_twilio_goes_out_in_halves() {
    let house = House::with(&[]).await;
    let refused =
        ResponseTemplate::new(400).set_body_json(json!({ "code": 21617, "message": "too long", "status": 400 }));
    house.post_messages().respond_with(refused).up_to_n_times(1).mount(&house.twilio).await;
    house.twilio_takes_everything().await;
    house.model_says("The first sentence is here. The second sentence is there.").await;
    house.say(ANA, "hello").await;
    house.drain().await;
    house.advance(3);
    house.drain().await;
    let texts = house.texts().await;
    assert_eq!(texts[1..], ["The first sentence is here.", "The second sentence is there."]);
    assert_eq!(house.states().await, ["done"]);
}

#[tokio::test]
async fn a_twilio_that_finds_everything_too_long_is_not_sent_single_letters() {
    let house = House::with(&[]).await;
    house.post_messages().respond_with(error(21617)).mount(&house.twilio).await;
    house.model_says(&"The sentence is here. ".repeat(60)).await;
    house.say(ANA, "hello").await;
    house.drain().await;
    let texts = house.texts().await;
    assert!(texts.len() <= 10 && texts.iter().all(|text| text.len() > 5), "{texts:?}");
    assert_eq!(house.states().await, ["dead"]);
}

#[tokio::test]
async fn a_slow_twilio_is_in_doubt_and_not_asked_twice() {
    // The channel waits 15 s for an answer; the stand-in needs longer.
    let house = House::with(&[]).await;
    let late = ResponseTemplate::new(201).set_body_json(json!({ "sid": "SM1" })).set_delay(Duration::from_secs(20));
    house.post_messages().respond_with(late).mount(&house.twilio).await;
    house.model_says("Hello!").await;
    house.say(ANA, "hello").await;
    house.drain().await;
    assert_eq!(house.count("SELECT COUNT(*) FROM parts WHERE state = 'unknown'"), 1);
    assert_eq!(house.texts().await.len(), 1);
}

/// Its list knows nothing of what the other account sent, which is no proof that it was not sent.
#[tokio::test]
async fn an_unknown_send_is_not_looked_for_in_another_account() {
    const OTHER: &str = "AC00000000000000000000000000000009";
    let log = Log::listen();
    let house = in_doubt(&[]).await.restarted(&[("TWILIO_ACCOUNT_SID", OTHER)]).await;
    let list = Mock::given(method("GET")).and(path(format!("/2010-04-01/Accounts/{OTHER}/Messages.json")));
    list.respond_with(listed(&[])).expect(0).mount(&house.twilio).await;
    for seconds in [2, 60, 300, 300, 300, 300] {
        house.advance(seconds);
        house.drain().await;
    }
    assert_eq!((house.texts().await.len(), house.states().await), (1, vec!["sending".to_owned()]));
    assert_eq!(log.count("ERROR", "is not configured any more, so it cannot be looked for"), 1);
    // The account is back.
    let house = house.restarted(&[("TWILIO_ACCOUNT_SID", ACCOUNT)]).await;
    house
        .list_messages()
        .respond_with(listed(&[("SM0000000000000000000000000000ffff", "Hello!")]))
        .mount(&house.twilio)
        .await;
    house.advance(300);
    house.drain().await;
    assert_eq!((house.texts().await.len(), house.states().await), (1, vec!["done".to_owned()]));
}
