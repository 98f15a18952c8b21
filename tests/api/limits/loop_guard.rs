//! Bots at the other end, and people who are not taken for one.

use wiremock::ResponseTemplate;

use crate::setup::test_app::{ANA, BEN, TestApp};

/// How often the model answered that contact.
async fn count_model_answers(test_app: &TestApp, who: &str) -> usize {
    test_app.sent_messages().await.iter().filter(|(to, text)| to == who && text == "Hello!").count()
}

async fn write_and_drain(test_app: &TestApp, from: &str, text: &str) {
    test_app.contact_writes(from, text).await;
    test_app.drain().await;
}

#[tokio::test]
async fn a_bot_is_handed_over_to_a_person() {
    let test_app = TestApp::new().await;
    for _ in 0..8 {
        test_app.contact_writes(ANA, "Thank you for your message! We will be in touch.").await;
        test_app.drain().await;
        test_app.advance(20);
    }
    assert_eq!(test_app.sent_texts().await.len(), 4);
    let conversation = test_app.app.store.conversation(test_app.latest_conversation(), 0).await.unwrap().unwrap().0;
    assert!(conversation.human_mode && conversation.human_until.is_some(), "{conversation:?}");
    assert_eq!(test_app.turn_states().await[4..], ["skipped"; 4]);
    // A bot whose texts differ is stopped, too.
    for number in 0..30 {
        test_app.contact_writes(BEN, &format!("You are welcome, number {number}")).await;
        test_app.drain().await;
        test_app.advance(2);
    }
    assert_eq!(test_app.sent_messages().await.iter().filter(|(to, _)| to == BEN).count(), 20, "no more");
    let alerts = test_app.app.store.alerts(10).await.unwrap();
    assert!(alerts.len() == 2 && alerts.iter().all(|alert| alert.cause == "loop"), "{alerts:?}");
}

#[tokio::test]
async fn a_bot_whose_texts_begin_new_conversations_is_handed_over_to_a_person() {
    let test_app = TestApp::with_settings(&[("MYNAH_RATE_LIMIT", "0")]).await;
    test_app.twilio_accepts_everything().await;
    test_app.model_answers("Hello!").await;
    for _ in 0..8 {
        write_and_drain(&test_app, ANA, "Thank you for your message! We will be in touch.").await;
        write_and_drain(&test_app, ANA, "/reset").await;
        test_app.advance(20);
    }
    assert_eq!(count_model_answers(&test_app, ANA).await, 4);
    for number in 0..30 {
        write_and_drain(&test_app, BEN, &format!("You are welcome, number {number}")).await;
        write_and_drain(&test_app, BEN, "/reset").await;
        test_app.advance(2);
    }
    assert_eq!(count_model_answers(&test_app, BEN).await, 20, "no more");
    let alerts = test_app.app.store.alerts(100).await.unwrap();
    assert!(alerts.len() == 4 + 10 && alerts.iter().all(|alert| alert.cause == "loop"), "{alerts:?}");
    assert_eq!(test_app.query_integer("SELECT COUNT(*) FROM turns WHERE live IS NOT NULL"), 0);
}

#[tokio::test]
async fn more_than_twenty_turns_in_ten_minutes_are_a_bots_also_over_a_restart() {
    let test_app = TestApp::with_settings(&[("MYNAH_RATE_LIMIT", "0")]).await;
    test_app.twilio_accepts_everything().await;
    test_app.model_answers("Hello!").await;
    // Twenty in ten minutes, for an hour.
    for number in 0..120 {
        write_and_drain(&test_app, ANA, &format!("and number {number}?")).await;
        test_app.advance(30);
    }
    assert_eq!(count_model_answers(&test_app, ANA).await, 120);
    for number in 0..12 {
        write_and_drain(&test_app, BEN, &format!("You are welcome, number {number}")).await;
        test_app.advance(20);
    }
    let test_app = test_app.restarted_with(&[("MYNAH_RATE_LIMIT", "0")]).await;
    // A bot with 21 to 30 turns in ten minutes is found by the thirtieth turn at the latest.
    for number in 12..42 {
        write_and_drain(&test_app, BEN, &format!("You are welcome, number {number}")).await;
        test_app.advance(20);
    }
    let answered = test_app.query_integer("SELECT COUNT(*) FROM turns WHERE state = 'done'") - 120;
    assert!((20..=30).contains(&answered), "{answered}");
    let alerts = test_app.app.store.alerts(9).await.unwrap();
    assert!(alerts.len() == 1 && alerts[0].message.contains("20 turns"), "{alerts:?}");
}

#[tokio::test]
async fn a_bot_slower_than_conversations_end_is_handed_over_to_a_person() {
    let test_app = TestApp::with_settings(&[("MYNAH_CONVERSATION_TTL", "1m")]).await;
    test_app.twilio_accepts_everything().await;
    test_app.model_answers("Hello!").await;
    for _ in 0..8 {
        write_and_drain(&test_app, ANA, "I am out of office.").await;
        test_app.advance(3_600);
    }
    assert_eq!(
        (count_model_answers(&test_app, ANA).await, test_app.query_integer("SELECT COUNT(*) FROM conversations")),
        (4, 8)
    );
}

#[tokio::test]
async fn a_bot_is_recognized_with_a_context_window_of_few_messages() {
    let test_app = TestApp::with_settings(&[("MYNAH_MAX_CONTEXT_MESSAGES", "1")]).await;
    test_app.twilio_accepts_everything().await;
    test_app.model_answers("Hello!").await;
    for _ in 0..8 {
        write_and_drain(&test_app, ANA, "Thank you!").await;
        test_app.advance(20);
    }
    assert_eq!(count_model_answers(&test_app, ANA).await, 4);
}

#[tokio::test]
async fn a_person_who_says_the_same_once_a_day_or_resets_often_is_no_bot() {
    let test_app = TestApp::new().await;
    for _ in 0..8 {
        write_and_drain(&test_app, ANA, "Good morning!").await;
        test_app.advance(24 * 3600 + 1);
    }
    assert_eq!(count_model_answers(&test_app, ANA).await, 8);
    for _ in 0..4 {
        for question in ["What is it today?", "And tomorrow?"] {
            write_and_drain(&test_app, BEN, question).await;
            write_and_drain(&test_app, BEN, "/reset").await;
            test_app.advance(40);
        }
    }
    assert_eq!(count_model_answers(&test_app, BEN).await, 8);
    assert_eq!(test_app.app.store.alerts(9).await.unwrap(), []);
}

#[tokio::test]
async fn a_turn_handed_over_to_a_person_costs_nothing() {
    let test_app = TestApp::with_settings(&[("MYNAH_BUDGET_DAY", "100 calls")]).await;
    test_app.twilio_accepts_everything().await;
    test_app.model_answers("Hello!").await;
    for _ in 0..5 {
        write_and_drain(&test_app, ANA, "Thank you!").await;
    }
    assert_eq!(
        (count_model_answers(&test_app, ANA).await, test_app.query_integer("SELECT SUM(calls) FROM spent")),
        (4, 4)
    );
}

#[tokio::test]
async fn short_words_and_photos_may_come_again_and_again() {
    let test_app = TestApp::new().await;
    for text in ["yes", "[image]"] {
        for _ in 0..7 {
            write_and_drain(&test_app, ANA, text).await;
        }
    }
    assert_eq!(count_model_answers(&test_app, ANA).await, 14);
}

#[tokio::test]
async fn a_person_who_asks_for_help_again_and_again_is_no_bot() {
    let test_app = TestApp::with_settings(&[("MYNAH_RATE_LIMIT", "0"), ("MYNAH_TEXT_HELP", "Help!")]).await;
    test_app.twilio_accepts_everything().await;
    for _ in 0..25 {
        test_app.contact_writes(ANA, "/help").await;
        test_app.drain().await;
    }
    assert_eq!(test_app.sent_texts().await, ["Help!"; 25]);
    assert_eq!(test_app.app.store.alerts(9).await.unwrap(), []);
}

#[tokio::test]
async fn a_second_attempt_is_no_second_turn_of_a_bot() {
    let test_app = TestApp::with_settings(&[("MYNAH_RATE_LIMIT", "0")]).await;
    test_app.twilio_accepts_everything().await;
    test_app.model_answers("Hello!").await;
    for number in 0..18 {
        let busy = ResponseTemplate::new(503);
        test_app.mock_completion().respond_with(busy).up_to_n_times(1).with_priority(1).mount(&test_app.model).await;
        test_app.contact_writes(ANA, &format!("question {number}")).await;
        test_app.drain().await;
        test_app.advance(10);
        test_app.drain().await;
    }
    assert_eq!((test_app.prompts().await.len(), test_app.sent_texts().await.len()), (36, 18));
    assert_eq!(test_app.app.store.alerts(9).await.unwrap(), []);
}
