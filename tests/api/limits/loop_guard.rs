//! Another machine at the other end, and people who are none.

use wiremock::ResponseTemplate;

use crate::setup::test_app::{ANA, BEN, TestApp};

/// How often the model answered that contact.
async fn count_model_answers(house: &TestApp, who: &str) -> usize {
    house.sent_messages().await.iter().filter(|(to, text)| to == who && text == "Hello!").count()
}

async fn write_and_drain(house: &TestApp, from: &str, text: &str) {
    house.contact_writes(from, text).await;
    house.drain().await;
}

#[tokio::test]
async fn a_bot_is_handed_over_to_a_person() {
    let house = TestApp::new().await;
    for _ in 0..8 {
        house.contact_writes(ANA, "Thank you for your message! We will be in touch.").await;
        house.drain().await;
        house.advance(20);
    }
    assert_eq!(house.sent_texts().await.len(), 4);
    let conversation = house.app.store.conversation(house.latest_conversation(), 0).await.unwrap().unwrap().0;
    assert!(conversation.human_mode && conversation.human_until.is_some(), "{conversation:?}");
    assert_eq!(house.turn_states().await[4..], ["skipped"; 4]);
    // Nor does one that finds new words each time go on for ever.
    for number in 0..30 {
        house.contact_writes(BEN, &format!("You are welcome, number {number}")).await;
        house.drain().await;
        house.advance(2);
    }
    assert_eq!(house.sent_messages().await.iter().filter(|(to, _)| to == BEN).count(), 20, "no more");
    let alerts = house.app.store.alerts(10).await.unwrap();
    assert!(alerts.len() == 2 && alerts.iter().all(|alert| alert.cause == "loop"), "{alerts:?}");
}

#[tokio::test]
async fn a_bot_whose_texts_begin_new_conversations_is_handed_over_to_a_person() {
    let house = TestApp::with_settings(&[("MYNAH_RATE_LIMIT", "0")]).await;
    house.twilio_accepts_everything().await;
    house.model_answers("Hello!").await;
    for _ in 0..8 {
        write_and_drain(&house, ANA, "Thank you for your message! We will be in touch.").await;
        write_and_drain(&house, ANA, "/reset").await;
        house.advance(20);
    }
    assert_eq!(count_model_answers(&house, ANA).await, 4);
    for number in 0..30 {
        write_and_drain(&house, BEN, &format!("You are welcome, number {number}")).await;
        write_and_drain(&house, BEN, "/reset").await;
        house.advance(2);
    }
    assert_eq!(count_model_answers(&house, BEN).await, 20, "no more");
    let alerts = house.app.store.alerts(100).await.unwrap();
    assert!(alerts.len() == 4 + 10 && alerts.iter().all(|alert| alert.cause == "loop"), "{alerts:?}");
    assert_eq!(house.query_integer("SELECT COUNT(*) FROM turns WHERE live IS NOT NULL"), 0);
}

#[tokio::test]
async fn more_than_twenty_turns_in_ten_minutes_are_a_bots_also_over_a_restart() {
    let house = TestApp::with_settings(&[("MYNAH_RATE_LIMIT", "0")]).await;
    house.twilio_accepts_everything().await;
    house.model_answers("Hello!").await;
    // Twenty in ten minutes, for an hour.
    for number in 0..120 {
        write_and_drain(&house, ANA, &format!("and number {number}?")).await;
        house.advance(30);
    }
    assert_eq!(count_model_answers(&house, ANA).await, 120);
    for number in 0..12 {
        write_and_drain(&house, BEN, &format!("You are welcome, number {number}")).await;
        house.advance(20);
    }
    let house = house.restarted_with(&[("MYNAH_RATE_LIMIT", "0")]).await;
    // Twenty-one to thirty in ten minutes are found out, by the thirtieth at the latest.
    for number in 12..42 {
        write_and_drain(&house, BEN, &format!("You are welcome, number {number}")).await;
        house.advance(20);
    }
    let answered = house.query_integer("SELECT COUNT(*) FROM turns WHERE state = 'done'") - 120;
    assert!((20..=30).contains(&answered), "{answered}");
    let alerts = house.app.store.alerts(9).await.unwrap();
    assert!(alerts.len() == 1 && alerts[0].message.contains("20 turns"), "{alerts:?}");
}

#[tokio::test]
async fn a_bot_slower_than_conversations_end_is_handed_over_to_a_person() {
    let house = TestApp::with_settings(&[("MYNAH_CONVERSATION_TTL", "1m")]).await;
    house.twilio_accepts_everything().await;
    house.model_answers("Hello!").await;
    for _ in 0..8 {
        write_and_drain(&house, ANA, "I am out of office.").await;
        house.advance(3_600);
    }
    assert_eq!(
        (count_model_answers(&house, ANA).await, house.query_integer("SELECT COUNT(*) FROM conversations")),
        (4, 8)
    );
}

#[tokio::test]
async fn a_bot_is_recognized_with_a_context_window_of_few_messages() {
    let house = TestApp::with_settings(&[("MYNAH_MAX_CONTEXT_MESSAGES", "1")]).await;
    house.twilio_accepts_everything().await;
    house.model_answers("Hello!").await;
    for _ in 0..8 {
        write_and_drain(&house, ANA, "Thank you!").await;
        house.advance(20);
    }
    assert_eq!(count_model_answers(&house, ANA).await, 4);
}

#[tokio::test]
async fn a_person_who_says_the_same_once_a_day_or_resets_often_is_no_bot() {
    let house = TestApp::new().await;
    for _ in 0..8 {
        write_and_drain(&house, ANA, "Good morning!").await;
        house.advance(24 * 3600 + 1);
    }
    assert_eq!(count_model_answers(&house, ANA).await, 8);
    for _ in 0..4 {
        for question in ["What is it today?", "And tomorrow?"] {
            write_and_drain(&house, BEN, question).await;
            write_and_drain(&house, BEN, "/reset").await;
            house.advance(40);
        }
    }
    assert_eq!(count_model_answers(&house, BEN).await, 8);
    assert_eq!(house.app.store.alerts(9).await.unwrap(), []);
}

#[tokio::test]
async fn a_turn_handed_over_to_a_person_costs_nothing() {
    let house = TestApp::with_settings(&[("MYNAH_BUDGET_DAY", "100 calls")]).await;
    house.twilio_accepts_everything().await;
    house.model_answers("Hello!").await;
    for _ in 0..5 {
        write_and_drain(&house, ANA, "Thank you!").await;
    }
    assert_eq!((count_model_answers(&house, ANA).await, house.query_integer("SELECT SUM(calls) FROM spent")), (4, 4));
}

#[tokio::test]
async fn short_words_and_photos_may_come_again_and_again() {
    let house = TestApp::new().await;
    for text in ["yes", "[image]"] {
        for _ in 0..7 {
            write_and_drain(&house, ANA, text).await;
        }
    }
    assert_eq!(count_model_answers(&house, ANA).await, 14);
}

#[tokio::test]
async fn a_person_who_asks_for_help_again_and_again_is_no_bot() {
    let house = TestApp::with_settings(&[("MYNAH_RATE_LIMIT", "0"), ("MYNAH_TEXT_HELP", "Help!")]).await;
    house.twilio_accepts_everything().await;
    for _ in 0..25 {
        house.contact_writes(ANA, "/help").await;
        house.drain().await;
    }
    assert_eq!(house.sent_texts().await, ["Help!"; 25]);
    assert_eq!(house.app.store.alerts(9).await.unwrap(), []);
}

#[tokio::test]
async fn a_second_attempt_is_no_second_turn_of_a_bot() {
    let house = TestApp::with_settings(&[("MYNAH_RATE_LIMIT", "0")]).await;
    house.twilio_accepts_everything().await;
    house.model_answers("Hello!").await;
    for number in 0..18 {
        let busy = ResponseTemplate::new(503);
        house.mock_completion().respond_with(busy).up_to_n_times(1).with_priority(1).mount(&house.model).await;
        house.contact_writes(ANA, &format!("question {number}")).await;
        house.drain().await;
        house.advance(10);
        house.drain().await;
    }
    assert_eq!((house.prompts().await.len(), house.sent_texts().await.len()), (36, 18));
    assert_eq!(house.app.store.alerts(9).await.unwrap(), []);
}
