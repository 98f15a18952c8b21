//! One contact cannot queue work without limit.

use wiremock::ResponseTemplate;

use crate::setup::captured_log::CapturedLog;
use crate::setup::test_app::{ANA, BEN, TestApp};

const COUNT_UNFINISHED_TURNS: &str =
    "SELECT COUNT(*) FROM turns WHERE state IN ('open', 'running', 'retry', 'sending')";
const COUNT_USER_MESSAGES: &str = "SELECT COUNT(*) FROM messages WHERE role = 'user'";

/// A test app whose model is down and that has no rate limit.
async fn app_with_model_down() -> TestApp {
    let test_app = TestApp::with_settings(&[("MYNAH_RATE_LIMIT", "0"), ("MYNAH_CONVERSATION_TTL", "24h")]).await;
    test_app.twilio_accepts_everything().await;
    test_app.mock_completion().respond_with(ResponseTemplate::new(503)).mount(&test_app.model).await;
    test_app
}

#[tokio::test]
async fn new_conversations_do_not_pile_up_while_the_model_is_down() {
    let test_app = app_with_model_down().await;
    for number in 0..40 {
        test_app.contact_writes(ANA, &format!("question {number}")).await;
        test_app.drain().await;
        test_app.contact_writes(ANA, "/reset").await;
        test_app.drain().await;
        assert!(
            test_app.query_integer(COUNT_UNFINISHED_TURNS) <= 8,
            "{} turns wait after {number}",
            test_app.query_integer(COUNT_UNFINISHED_TURNS)
        );
    }
    assert_eq!(test_app.query_integer(COUNT_USER_MESSAGES), 80, "all that was said is stored");
    let why = "the contact is at the backlog limit: too many turns still wait";
    let skipped =
        test_app.query_integer(&format!("SELECT COUNT(*) FROM turns WHERE state = 'skipped' AND error = '{why}'"));
    assert!(skipped >= 35, "{skipped} are told to be left out");
    // Other contacts are not affected, and once the model answers, this one can start again.
    test_app.contact_writes(BEN, "hello").await;
    test_app.contact_writes(BEN, "/reset").await;
    test_app.model.reset().await;
    test_app.model_answers("Hello!").await;
    for _ in 0..40 {
        test_app.advance(60);
        test_app.drain().await;
    }
    assert_eq!(test_app.query_integer(COUNT_UNFINISHED_TURNS), 0);
    assert_eq!(test_app.sent_messages().await.iter().filter(|(to, _)| to == BEN).count(), 1, "the word for both");
    test_app.contact_writes(ANA, "/reset").await;
    test_app.drain().await;
    assert_eq!(test_app.turn_states().await.pop().as_deref(), Some("done"));
}

#[tokio::test]
async fn a_flood_in_one_conversation_waits_in_one_turn_behind_the_active_one() {
    let test_app = app_with_model_down().await;
    for number in 0..300 {
        test_app.contact_writes(ANA, &format!("message {number}")).await;
        if number % 50 == 0 {
            test_app.drain().await;
        }
        assert!(
            test_app.query_integer(COUNT_UNFINISHED_TURNS) <= 2,
            "{} turns wait after {number}",
            test_app.query_integer(COUNT_UNFINISHED_TURNS)
        );
    }
    assert_eq!(test_app.query_integer(COUNT_USER_MESSAGES), 300, "all that was said is stored");
}

#[tokio::test]
async fn the_model_sees_the_latest_messages_of_a_flood_that_fit_and_the_log_says_so() {
    let log = CapturedLog::start();
    // What was said last is 20 messages of some 5,000 tokens each, and the model reads 8,192.
    let test_app = TestApp::with_settings(&[("MYNAH_RATE_LIMIT", "0"), ("MYNAH_AI_CONTEXT_TOKENS", "8192")]).await;
    test_app.twilio_accepts_everything().await;
    test_app.model_answers("Hello!").await;
    for number in 0..100 {
        test_app.contact_writes(ANA, &format!("{number} {}", "x".repeat(60_000))).await;
    }
    test_app.drain().await;
    let prompts = test_app.prompts().await;
    let said: Vec<_> = prompts[0].iter().filter(|(role, _)| role == "user").map(|(_, text)| text).collect();
    let characters: usize = said.iter().map(|text| text.chars().count()).sum();
    assert!(said.last().unwrap().starts_with("99 ") && characters <= 8_192 * 4, "{characters} in {}", said.len());
    assert_eq!(prompts[0][0].0, "system", "and the instructions are not crowded out");
    assert_eq!(log.count_lines("WARN", "the contact's latest messages do not fit into the model's context window"), 1);
    assert_eq!(log.count_lines("WARN", "fill the context window"), 1);
    assert_eq!((test_app.query_integer(COUNT_USER_MESSAGES), test_app.sent_texts().await.len()), (100, 1));
}
