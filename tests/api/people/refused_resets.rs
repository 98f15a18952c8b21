//! A `/reset` that is not carried out: the contact is told, and the model is not shown it.

use wiremock::ResponseTemplate;

use crate::setup::test_app::{ANA, BEN, TestApp};

const SLOW_DOWN_TEXT: &str = "Slowly!";

async fn write_and_drain(test_app: &TestApp, from: &str, text: &str) {
    test_app.contact_writes(from, text).await;
    test_app.drain().await;
}

/// How often that text was sent to that contact.
async fn count_sent(test_app: &TestApp, who: &str, what: &str) -> usize {
    test_app.sent_messages().await.iter().filter(|(to, text)| to == who && text == what).count()
}

#[tokio::test]
async fn a_reset_above_the_rate_is_warned_of_once_and_not_shown_to_the_model() {
    let test_app =
        TestApp::with_settings(&[("MYNAH_RATE_LIMIT", "3/1m"), ("MYNAH_TEXT_SLOW_DOWN", SLOW_DOWN_TEXT)]).await;
    test_app.twilio_accepts_everything().await;
    test_app.model_answers("Hello!").await;
    for number in 0..3 {
        write_and_drain(&test_app, ANA, &format!("message {number}")).await;
    }
    for _ in 0..5 {
        write_and_drain(&test_app, ANA, "/reset").await;
    }
    assert_eq!(test_app.sent_texts().await, ["Hello!", "Hello!", "Hello!", SLOW_DOWN_TEXT]);
    assert_eq!(test_app.query_integer("SELECT COUNT(*) FROM turns WHERE state = 'skipped'"), 5);
    test_app.advance(60);
    write_and_drain(&test_app, ANA, "and now?").await;
    let prompt = test_app.prompts().await.pop().unwrap();
    let seen: Vec<_> = prompt[1..].iter().filter(|(role, _)| role == "user").map(|(_, text)| text.as_str()).collect();
    assert_eq!(seen, ["message 0", "message 1", "message 2", "and now?"]);
    assert_eq!(
        test_app.query_integer("SELECT COUNT(*) FROM messages WHERE content = '/reset'"),
        5,
        "the store keeps it"
    );
    for text in ["again", "and again", "/reset", "/reset"] {
        write_and_drain(&test_app, ANA, text).await;
    }
    assert_eq!(count_sent(&test_app, ANA, SLOW_DOWN_TEXT).await, 2, "once more in the next window");
    test_app.advance(60);
    write_and_drain(&test_app, ANA, "/reset").await;
    assert_eq!(test_app.sent_texts().await.pop().unwrap(), "Done. Let's start afresh: how can I help?");
}

#[tokio::test]
async fn a_reset_above_the_backlog_limit_is_warned_of_once_and_not_while_an_answer_is_on_its_way() {
    let test_app = TestApp::with_settings(&[("MYNAH_RATE_LIMIT", "0"), ("MYNAH_TEXT_SLOW_DOWN", SLOW_DOWN_TEXT)]).await;
    test_app.twilio_accepts_everything().await;
    test_app.mock_completion().respond_with(ResponseTemplate::new(503)).mount(&test_app.model).await;
    for number in 0..3 {
        write_and_drain(&test_app, ANA, &format!("question {number}")).await;
        write_and_drain(&test_app, ANA, "/reset").await;
    }
    assert_eq!(test_app.sent_messages().await, [], "six turns wait");
    for _ in 0..3 {
        write_and_drain(&test_app, ANA, "/reset").await;
    }
    assert_eq!(test_app.sent_texts().await, [SLOW_DOWN_TEXT]);
    test_app.advance(60);
    write_and_drain(&test_app, ANA, "/reset").await;
    assert_eq!(count_sent(&test_app, ANA, SLOW_DOWN_TEXT).await, 2, "once more in the next minute");
    write_and_drain(&test_app, ANA, "another question").await;
    test_app.advance(60);
    write_and_drain(&test_app, ANA, "/reset").await;
    assert_eq!(
        count_sent(&test_app, ANA, SLOW_DOWN_TEXT).await,
        2,
        "it would come before the answer that is on its way"
    );
    let states = "SELECT COUNT(*) FROM turns WHERE state = 'skipped'";
    assert_eq!(test_app.query_integer(states), 5);
    // Other contacts can still reset.
    write_and_drain(&test_app, BEN, "/reset").await;
    assert_eq!((count_sent(&test_app, BEN, SLOW_DOWN_TEXT).await, test_app.query_integer(states)), (0, 5));
}

#[tokio::test]
async fn no_keyword_is_shown_to_the_model_later() {
    let test_app =
        TestApp::with_settings(&[("MYNAH_TEXT_HELP", "Just write."), ("MYNAH_TEXT_STARTED", "Welcome back.")]).await;
    test_app.twilio_accepts_everything().await;
    test_app.model_answers("Hello!").await;
    for text in ["hello", "/help", "STOP", "Start", "How are you?"] {
        write_and_drain(&test_app, ANA, text).await;
    }
    test_app.contact_writes(ANA, "/help").await;
    write_and_drain(&test_app, ANA, "And what time is it?").await;
    let prompt = test_app.prompts().await.pop().unwrap();
    let seen: Vec<_> = prompt[1..].iter().filter(|(role, _)| role == "user").map(|(_, text)| text.as_str()).collect();
    assert_eq!(seen, ["hello", "How are you?", "And what time is it?"]);
}
