//! Another machine at the other end, and people who are none.

use crate::house::{ANA, BEN, House};

/// How often the model answered that contact.
async fn answers(house: &House, who: &str) -> usize {
    house.posted().await.iter().filter(|(to, text)| to == who && text == "Hello!").count()
}

async fn say(house: &House, from: &str, text: &str) {
    house.say(from, text).await;
    house.drain().await;
}

#[tokio::test]
async fn a_machine_whose_words_begin_new_conversations_is_left_to_a_person() {
    let house = House::with(&[("MYNAH_RATE_LIMIT", "0")]).await;
    house.twilio_takes_everything().await;
    house.model_says("Hello!").await;
    for _ in 0..8 {
        say(&house, ANA, "Thank you for your message! We will be in touch.").await;
        say(&house, ANA, "/reset").await;
        house.advance(20);
    }
    assert_eq!(answers(&house, ANA).await, 4);
    for number in 0..30 {
        say(&house, BEN, &format!("You are welcome, number {number}")).await;
        say(&house, BEN, "/reset").await;
        house.advance(2);
    }
    assert_eq!(answers(&house, BEN).await, 20, "no more");
    let alerts = house.app.store.alerts(100).await.unwrap();
    assert!(alerts.len() == 4 + 10 && alerts.iter().all(|alert| alert.cause == "loop"), "{alerts:?}");
    assert_eq!(house.count("SELECT COUNT(*) FROM turns WHERE live IS NOT NULL"), 0);
}

#[tokio::test]
async fn twenty_turns_in_ten_minutes_are_a_persons_and_more_are_not_also_over_a_restart() {
    let house = House::with(&[("MYNAH_RATE_LIMIT", "0")]).await;
    house.twilio_takes_everything().await;
    house.model_says("Hello!").await;
    // Twenty in ten minutes, for an hour.
    for number in 0..120 {
        say(&house, ANA, &format!("and number {number}?")).await;
        house.advance(30);
    }
    assert_eq!(answers(&house, ANA).await, 120);
    for number in 0..12 {
        say(&house, BEN, &format!("You are welcome, number {number}")).await;
        house.advance(20);
    }
    let house = house.restarted(&[("MYNAH_RATE_LIMIT", "0")]).await;
    // Twenty-one to thirty in ten minutes are found out, by the thirtieth at the latest.
    for number in 12..42 {
        say(&house, BEN, &format!("You are welcome, number {number}")).await;
        house.advance(20);
    }
    let answered = house.count("SELECT COUNT(*) FROM turns WHERE state = 'done'") - 120;
    assert!((20..=30).contains(&answered), "{answered}");
    let alerts = house.app.store.alerts(9).await.unwrap();
    assert!(alerts.len() == 1 && alerts[0].message.contains("20 turns"), "{alerts:?}");
}

#[tokio::test]
async fn a_machine_that_is_slower_than_conversations_end_is_left_to_a_person() {
    let house = House::with(&[("MYNAH_CONVERSATION_TTL", "1m")]).await;
    house.twilio_takes_everything().await;
    house.model_says("Hello!").await;
    for _ in 0..8 {
        say(&house, ANA, "I am out of office.").await;
        house.advance(3_600);
    }
    assert_eq!((answers(&house, ANA).await, house.count("SELECT COUNT(*) FROM conversations")), (4, 8));
}

#[tokio::test]
async fn a_machine_is_known_with_a_window_of_few_messages() {
    let house = House::with(&[("MYNAH_MAX_CONTEXT_MESSAGES", "1")]).await;
    house.twilio_takes_everything().await;
    house.model_says("Hello!").await;
    for _ in 0..8 {
        say(&house, ANA, "Thank you!").await;
        house.advance(20);
    }
    assert_eq!(answers(&house, ANA).await, 4);
}

#[tokio::test]
async fn a_person_who_says_the_same_once_a_day_or_begins_anew_often_is_no_machine() {
    let house = House::new().await;
    for _ in 0..8 {
        say(&house, ANA, "Good morning!").await;
        house.advance(24 * 3600 + 1);
    }
    assert_eq!(answers(&house, ANA).await, 8);
    for _ in 0..4 {
        for question in ["What is it today?", "And tomorrow?"] {
            say(&house, BEN, question).await;
            say(&house, BEN, "/reset").await;
            house.advance(40);
        }
    }
    assert_eq!(answers(&house, BEN).await, 8);
    assert_eq!(house.app.store.alerts(9).await.unwrap(), []);
}

#[tokio::test]
async fn what_is_left_to_a_person_costs_nothing() {
    let house = House::with(&[("MYNAH_BUDGET_DAY", "100 calls")]).await;
    house.twilio_takes_everything().await;
    house.model_says("Hello!").await;
    for _ in 0..5 {
        say(&house, ANA, "Thank you!").await;
    }
    assert_eq!((answers(&house, ANA).await, house.count("SELECT SUM(calls) FROM spent")), (4, 4));
}

#[tokio::test]
async fn short_words_and_photos_may_come_again_and_again() {
    let house = House::new().await;
    for text in ["yes", "[image]"] {
        for _ in 0..7 {
            say(&house, ANA, text).await;
        }
    }
    assert_eq!(answers(&house, ANA).await, 14);
}
