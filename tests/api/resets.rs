//! Words for mynah, which the model is not shown.

use crate::house::{ANA, House};

async fn say(house: &House, from: &str, text: &str) {
    house.say(from, text).await;
    house.drain().await;
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
