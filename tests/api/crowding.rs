//! One contact cannot have work pile up without bound, however they go about it.

use wiremock::ResponseTemplate;

use crate::house::{ANA, BEN, House, Log};

const WAITING: &str = "SELECT COUNT(*) FROM turns WHERE state IN ('open', 'running', 'retry', 'sending')";
const SAID: &str = "SELECT COUNT(*) FROM messages WHERE role = 'user'";

/// A house of which the model is down, and that answers whoever asks, as fast as they like.
async fn without_a_model() -> House {
    let house = House::with(&[("MYNAH_RATE_LIMIT", "0"), ("MYNAH_CONVERSATION_TTL", "24h")]).await;
    house.twilio_takes_everything().await;
    house.ask_model().respond_with(ResponseTemplate::new(503)).mount(&house.model).await;
    house
}

#[tokio::test]
async fn new_conversations_do_not_pile_up_while_the_model_is_down() {
    let house = without_a_model().await;
    for number in 0..40 {
        house.say(ANA, &format!("question {number}")).await;
        house.drain().await;
        house.say(ANA, "/reset").await;
        house.drain().await;
        assert!(house.count(WAITING) <= 8, "{} turns wait after {number}", house.count(WAITING));
    }
    assert_eq!(house.count(SAID), 80, "all that was said is stored");
    let why = "too much that the contact said before still waits to be answered";
    let skipped = house.count(&format!("SELECT COUNT(*) FROM turns WHERE state = 'skipped' AND error = '{why}'"));
    assert!(skipped >= 35, "{skipped} are told to be left out");
    // Others are not concerned, and once the model answers, so may the contact begin anew.
    house.say(BEN, "hello").await;
    house.say(BEN, "/reset").await;
    house.model.reset().await;
    house.model_says("Hello!").await;
    for _ in 0..40 {
        house.advance(60);
        house.drain().await;
    }
    assert_eq!(house.count(WAITING), 0);
    assert_eq!(house.posted().await.iter().filter(|(to, _)| to == BEN).count(), 1, "the word for both");
    house.say(ANA, "/reset").await;
    house.drain().await;
    assert_eq!(house.states().await.pop().as_deref(), Some("done"));
}

#[tokio::test]
async fn a_flood_in_one_conversation_waits_in_one_turn_behind_the_active_one() {
    let house = without_a_model().await;
    for number in 0..300 {
        house.say(ANA, &format!("message {number}")).await;
        if number % 50 == 0 {
            house.drain().await;
        }
        assert!(house.count(WAITING) <= 2, "{} turns wait after {number}", house.count(WAITING));
    }
    assert_eq!(house.count(SAID), 300, "all that was said is stored");
}

#[tokio::test]
async fn of_a_flood_the_model_is_shown_the_latest_that_it_can_read_and_the_log_says_so() {
    let log = Log::listen();
    // What was said last is 20 messages of some 5,000 tokens each, and the model reads 8,192.
    let house = House::with(&[("MYNAH_RATE_LIMIT", "0"), ("MYNAH_AI_CONTEXT_TOKENS", "8192")]).await;
    house.twilio_takes_everything().await;
    house.model_says("Hello!").await;
    for number in 0..100 {
        house.say(ANA, &format!("{number} {}", "x".repeat(60_000))).await;
    }
    house.drain().await;
    let prompts = house.prompts().await;
    let said: Vec<_> = prompts[0].iter().filter(|(role, _)| role == "user").map(|(_, text)| text).collect();
    let characters: usize = said.iter().map(|text| text.chars().count()).sum();
    assert!(said.last().unwrap().starts_with("99 ") && characters <= 8_192 * 4, "{characters} in {}", said.len());
    assert_eq!(prompts[0][0].0, "system", "and the instructions are not crowded out");
    assert_eq!(log.count("WARN", "the model is not shown all that the contact said last"), 1);
    assert_eq!(log.count("WARN", "fills the window"), 1);
    assert_eq!((house.count(SAID), house.texts().await.len()), (100, 1));
}
