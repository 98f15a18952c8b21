//! How much a contact may write, and who may talk at all.

use crate::setup::test_app::{ANA, BEN, TestApp};

#[tokio::test]
async fn repeated_webhooks_and_those_of_blocked_contacts_do_not_count_against_the_rate() {
    let house = TestApp::with_settings(&[("MYNAH_RATE_LIMIT", "2/1h")]).await;
    house.twilio_accepts_everything().await;
    house.model_answers("Hello!").await;
    let one = house.message_params(ANA, "one");
    for _ in 0..5 {
        assert_eq!(house.deliver_webhook(&one).await, 200);
    }
    house.drain().await;
    let (ana, now) = (mynah::model::Address::parse("+12025550101").unwrap(), house.app.clock.now());
    house.app.store.set_blocked(ana.clone(), true, now).await.unwrap();
    for _ in 0..5 {
        house.contact_writes(ANA, "let me in").await;
    }
    house.app.store.set_blocked(ana, false, now).await.unwrap();
    house.contact_writes(ANA, "two").await;
    house.drain().await;
    assert_eq!(house.sent_texts().await, ["Hello!", "Hello!"], "and nobody is told to slow down");
    house.contact_writes(ANA, "three").await;
    house.drain().await;
    assert_eq!(house.sent_texts().await.len(), 3, "what is above the rate is told so");
    assert_eq!(house.prompts().await.len(), 2);
}

#[tokio::test]
async fn a_contact_above_the_rate_is_warned_once_and_answered_together_later() {
    let house = TestApp::with_settings(&[("MYNAH_RATE_LIMIT", "3/1m"), ("MYNAH_TEXT_SLOW_DOWN", "Slowly!")]).await;
    house.twilio_accepts_everything().await;
    house.model_answers("Hello!").await;
    for number in 0..3 {
        house.contact_writes(ANA, &format!("message {number}")).await;
        house.drain().await;
    }
    for number in 3..30 {
        house.contact_writes(ANA, &format!("message {number}")).await;
        house.drain().await;
    }
    house.contact_writes(BEN, "hello").await;
    house.drain().await;
    assert_eq!(
        house.sent_texts().await,
        ["Hello!", "Hello!", "Hello!", "Slowly!", "Hello!"],
        "and others are not held up"
    );
    assert_eq!(house.query_integer("SELECT COUNT(*) FROM messages WHERE role = 'user'"), 31, "all are stored");
    house.advance(20);
    house.drain().await;
    assert_eq!(house.sent_texts().await.len(), 6);
    let prompts = house.prompts().await;
    assert!(prompts.last().unwrap().iter().any(|(_, text)| text == "message 29"));
}

#[tokio::test]
async fn a_thousand_messages_in_a_minute_are_stored_and_answered_as_a_few_bursts() {
    let house = TestApp::new().await;
    for number in 0..1_000 {
        house.contact_writes(ANA, if number % 3 == 0 { "/reset" } else { "and another thing" }).await;
        if number % 100 == 50 {
            house.contact_writes(BEN, &format!("question {number}")).await;
        }
        if number % 50 == 0 {
            house.drain().await;
            house.advance(3);
        }
    }
    house.drain().await;
    assert_eq!(house.query_integer("SELECT COUNT(*) FROM messages WHERE role = 'user'"), 1_010);
    let posted = house.sent_messages().await;
    let count = |who: &str| posted.iter().filter(|(to, _)| to == who).count();
    assert!((5..80).contains(&count(ANA)), "{} answers to the flood", count(ANA));
    assert_eq!(count(BEN), 10, "and each of the other's is answered");
}

#[tokio::test]
async fn an_unknown_sender_is_refused_once_a_day_and_admitted_by_the_pairing_code() {
    let house = TestApp::with_settings(&[
        ("MYNAH_WHO", "code"),
        ("MYNAH_PAIRING_CODE", "sesame42"),
        ("MYNAH_ALLOWED", "+12025550102"),
        ("MYNAH_TEXT_STRANGER", "Not for you."),
        ("MYNAH_TEXT_ADMITTED", "Come in!"),
    ])
    .await;
    house.twilio_accepts_everything().await;
    house.model_answers("Hello!").await;
    for text in ["hello", "hello?", "sesame41"] {
        house.contact_writes(ANA, text).await;
        house.drain().await;
    }
    house.contact_writes(BEN, "hello").await;
    house.drain().await;
    assert_eq!(house.sent_texts().await, ["Not for you.", "Hello!"]);
    for text in [" sesame42 ", "thanks"] {
        house.contact_writes(ANA, text).await;
        house.drain().await;
    }
    assert_eq!(house.sent_texts().await[2..], ["Come in!", "Hello!"]);
    assert_eq!(house.query_integer("SELECT COUNT(*) FROM messages WHERE role = 'user'"), 6, "all are stored");
}

#[tokio::test]
async fn guesses_at_the_pairing_code_are_limited() {
    let house = TestApp::with_settings(&[
        ("MYNAH_WHO", "code"),
        ("MYNAH_PAIRING_CODE", "sesame42"),
        ("MYNAH_STRANGERS", "ignore"),
    ])
    .await;
    house.twilio_accepts_everything().await;
    house.model_answers("Hello!").await;
    for number in 0..10 {
        house.contact_writes(ANA, &format!("sesame{number}")).await;
    }
    house.contact_writes(ANA, "sesame42").await;
    house.drain().await;
    assert_eq!(house.sent_texts().await, [""; 0]);
    for number in 0..9 {
        house.contact_writes(BEN, &format!("sesame{number}")).await;
    }
    house.contact_writes(BEN, "sesame42").await;
    house.drain().await;
    assert_eq!(
        house.sent_messages().await.iter().map(|(to, _)| to.as_str()).collect::<Vec<_>>(),
        [BEN],
        "others may guess"
    );
    house.advance(24 * 3600);
    house.contact_writes(ANA, "sesame42").await;
    house.drain().await;
    assert_eq!(house.sent_texts().await.len(), 2);
}

#[tokio::test]
async fn where_only_listed_senders_may_talk_no_keyword_admits_another() {
    let house = TestApp::with_settings(&[
        ("MYNAH_WHO", "listed"),
        ("MYNAH_ALLOWED", "+12025550101"),
        ("MYNAH_PAIRING_CODE", "sesame42"),
        ("MYNAH_TEXT_STRANGER", "Not for you."),
    ])
    .await;
    house.twilio_accepts_everything().await;
    house.model_answers("Hello!").await;
    for (from, text) in [(ANA, "hello"), (BEN, "hello"), (BEN, "sesame42"), (BEN, "hello?")] {
        house.contact_writes(from, text).await;
        house.drain().await;
    }
    let told = [(ANA, "Hello!"), (BEN, "Not for you.")].map(|(to, text)| (to.to_owned(), text.to_owned()));
    assert_eq!((house.sent_messages().await, house.prompts().await.len()), (told.to_vec(), 1));
}
