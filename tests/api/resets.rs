//! A `/reset` that is not carried out: the contact is told, and the model is not shown it.

use wiremock::ResponseTemplate;

use crate::house::{ANA, BEN, House};

const SLOWLY: &str = "Slowly!";

async fn say(house: &House, from: &str, text: &str) {
    house.say(from, text).await;
    house.drain().await;
}

/// How often that was said to that contact.
async fn told(house: &House, who: &str, what: &str) -> usize {
    house.posted().await.iter().filter(|(to, text)| to == who && text == what).count()
}

#[tokio::test]
async fn one_above_the_rate_is_told_of_once_and_not_shown_to_the_model() {
    let house = House::with(&[("MYNAH_RATE_LIMIT", "3/1m"), ("MYNAH_TEXT_SLOW_DOWN", SLOWLY)]).await;
    house.twilio_takes_everything().await;
    house.model_says("Hello!").await;
    for number in 0..3 {
        say(&house, ANA, &format!("message {number}")).await;
    }
    for _ in 0..5 {
        say(&house, ANA, "/reset").await;
    }
    assert_eq!(house.texts().await, ["Hello!", "Hello!", "Hello!", SLOWLY]);
    assert_eq!(house.count("SELECT COUNT(*) FROM turns WHERE state = 'skipped'"), 5);
    house.advance(60);
    say(&house, ANA, "and now?").await;
    let prompt = house.prompts().await.pop().unwrap();
    let seen: Vec<_> = prompt[1..].iter().filter(|(role, _)| role == "user").map(|(_, text)| text.as_str()).collect();
    assert_eq!(seen, ["message 0", "message 1", "message 2", "and now?"]);
    assert_eq!(house.count("SELECT COUNT(*) FROM messages WHERE content = '/reset'"), 5, "the store keeps it");
    for text in ["again", "and again", "/reset", "/reset"] {
        say(&house, ANA, text).await;
    }
    assert_eq!(told(&house, ANA, SLOWLY).await, 2, "once more in the next window");
    house.advance(60);
    say(&house, ANA, "/reset").await;
    assert_eq!(house.texts().await.pop().unwrap(), "Done. Let's start afresh: how can I help?");
}

#[tokio::test]
async fn one_behind_too_much_that_waits_is_told_of_once_and_not_while_an_answer_is_on_its_way() {
    let house = House::with(&[("MYNAH_RATE_LIMIT", "0"), ("MYNAH_TEXT_SLOW_DOWN", SLOWLY)]).await;
    house.twilio_takes_everything().await;
    house.ask_model().respond_with(ResponseTemplate::new(503)).mount(&house.model).await;
    for number in 0..3 {
        say(&house, ANA, &format!("question {number}")).await;
        say(&house, ANA, "/reset").await;
    }
    assert_eq!(house.posted().await, [], "six turns wait");
    for _ in 0..3 {
        say(&house, ANA, "/reset").await;
    }
    assert_eq!(house.texts().await, [SLOWLY]);
    house.advance(60);
    say(&house, ANA, "/reset").await;
    assert_eq!(told(&house, ANA, SLOWLY).await, 2, "once more in the next minute");
    say(&house, ANA, "another question").await;
    house.advance(60);
    say(&house, ANA, "/reset").await;
    assert_eq!(told(&house, ANA, SLOWLY).await, 2, "it would come before the answer that is on its way");
    let states = "SELECT COUNT(*) FROM turns WHERE state = 'skipped'";
    assert_eq!(house.count(states), 5);
    // Others begin anew as they like.
    say(&house, BEN, "/reset").await;
    assert_eq!((told(&house, BEN, SLOWLY).await, house.count(states)), (0, 5));
}

#[tokio::test]
async fn no_word_for_us_is_shown_to_the_model_later() {
    let house = House::with(&[("MYNAH_TEXT_HELP", "Just write."), ("MYNAH_TEXT_STARTED", "Welcome back.")]).await;
    house.twilio_takes_everything().await;
    house.model_says("Hello!").await;
    for text in ["hello", "/help", "STOP", "Start", "How are you?"] {
        say(&house, ANA, text).await;
    }
    house.say(ANA, "/help").await;
    say(&house, ANA, "And what time is it?").await;
    let prompt = house.prompts().await.pop().unwrap();
    let seen: Vec<_> = prompt[1..].iter().filter(|(role, _)| role == "user").map(|(_, text)| text.as_str()).collect();
    assert_eq!(seen, ["hello", "How are you?", "And what time is it?"]);
}
