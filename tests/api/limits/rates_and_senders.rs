//! How much a contact may write, and who may talk at all.

use crate::setup::test_app::{ANA, BEN, TestApp};

#[tokio::test]
async fn repeated_webhooks_and_those_of_blocked_contacts_do_not_count_against_the_rate() {
    let test_app = TestApp::with_settings(&[("MYNAH_RATE_LIMIT", "2/1h")]).await;
    test_app.twilio_accepts_everything().await;
    test_app.model_answers("Hello!").await;
    let one = test_app.message_params(ANA, "one");
    for _ in 0..5 {
        assert_eq!(test_app.deliver_webhook(&one).await, 200);
    }
    test_app.drain().await;
    let (ana, now) = (mynah::model::Address::parse("+12025550101").unwrap(), test_app.app.clock.now());
    test_app.app.store.set_blocked(ana.clone(), true, now).await.unwrap();
    for _ in 0..5 {
        test_app.contact_writes(ANA, "let me in").await;
    }
    test_app.app.store.set_blocked(ana, false, now).await.unwrap();
    test_app.contact_writes(ANA, "two").await;
    test_app.drain().await;
    assert_eq!(test_app.sent_texts().await, ["Hello!", "Hello!"], "and nobody is told to slow down");
    test_app.contact_writes(ANA, "three").await;
    test_app.drain().await;
    assert_eq!(test_app.sent_texts().await.len(), 3, "what is above the rate is told so");
    assert_eq!(test_app.prompts().await.len(), 2);
}

#[tokio::test]
async fn a_contact_above_the_rate_is_warned_once_and_answered_together_later() {
    let test_app = TestApp::with_settings(&[("MYNAH_RATE_LIMIT", "3/1m"), ("MYNAH_TEXT_SLOW_DOWN", "Slowly!")]).await;
    test_app.twilio_accepts_everything().await;
    test_app.model_answers("Hello!").await;
    for number in 0..3 {
        test_app.contact_writes(ANA, &format!("message {number}")).await;
        test_app.drain().await;
    }
    for number in 3..30 {
        test_app.contact_writes(ANA, &format!("message {number}")).await;
        test_app.drain().await;
    }
    test_app.contact_writes(BEN, "hello").await;
    test_app.drain().await;
    assert_eq!(
        test_app.sent_texts().await,
        ["Hello!", "Hello!", "Hello!", "Slowly!", "Hello!"],
        "and others are not held up"
    );
    assert_eq!(test_app.query_integer("SELECT COUNT(*) FROM messages WHERE role = 'user'"), 31, "all are stored");
    test_app.advance(20);
    test_app.drain().await;
    assert_eq!(test_app.sent_texts().await.len(), 6);
    let prompts = test_app.prompts().await;
    assert!(prompts.last().unwrap().iter().any(|(_, text)| text == "message 29"));
}

#[tokio::test]
async fn a_thousand_messages_in_a_minute_are_stored_and_answered_as_a_few_bursts() {
    let test_app = TestApp::new().await;
    for number in 0..1_000 {
        test_app.contact_writes(ANA, if number % 3 == 0 { "/reset" } else { "and another thing" }).await;
        if number % 100 == 50 {
            test_app.contact_writes(BEN, &format!("question {number}")).await;
        }
        if number % 50 == 0 {
            test_app.drain().await;
            test_app.advance(3);
        }
    }
    test_app.drain().await;
    assert_eq!(test_app.query_integer("SELECT COUNT(*) FROM messages WHERE role = 'user'"), 1_010);
    let posted = test_app.sent_messages().await;
    let count = |who: &str| posted.iter().filter(|(to, _)| to == who).count();
    assert!((5..80).contains(&count(ANA)), "{} answers to the flood", count(ANA));
    assert_eq!(count(BEN), 10, "and each of the other's is answered");
}

#[tokio::test]
async fn an_unknown_sender_is_refused_once_a_day_and_admitted_by_the_pairing_code() {
    let test_app = TestApp::with_settings(&[
        ("MYNAH_WHO", "code"),
        ("MYNAH_PAIRING_CODE", "sesame42"),
        ("MYNAH_ALLOWED", "+12025550102"),
        ("MYNAH_TEXT_STRANGER", "Not for you."),
        ("MYNAH_TEXT_ADMITTED", "Come in!"),
    ])
    .await;
    test_app.twilio_accepts_everything().await;
    test_app.model_answers("Hello!").await;
    for text in ["hello", "hello?", "sesame41"] {
        test_app.contact_writes(ANA, text).await;
        test_app.drain().await;
    }
    test_app.contact_writes(BEN, "hello").await;
    test_app.drain().await;
    assert_eq!(test_app.sent_texts().await, ["Not for you.", "Hello!"]);
    for text in [" sesame42 ", "thanks"] {
        test_app.contact_writes(ANA, text).await;
        test_app.drain().await;
    }
    assert_eq!(test_app.sent_texts().await[2..], ["Come in!", "Hello!"]);
    assert_eq!(test_app.query_integer("SELECT COUNT(*) FROM messages WHERE role = 'user'"), 6, "all are stored");
}

#[tokio::test]
async fn guesses_at_the_pairing_code_are_limited() {
    let test_app = TestApp::with_settings(&[
        ("MYNAH_WHO", "code"),
        ("MYNAH_PAIRING_CODE", "sesame42"),
        ("MYNAH_STRANGERS", "ignore"),
    ])
    .await;
    test_app.twilio_accepts_everything().await;
    test_app.model_answers("Hello!").await;
    for number in 0..10 {
        test_app.contact_writes(ANA, &format!("sesame{number}")).await;
    }
    test_app.contact_writes(ANA, "sesame42").await;
    test_app.drain().await;
    assert_eq!(test_app.sent_texts().await, [""; 0]);
    for number in 0..9 {
        test_app.contact_writes(BEN, &format!("sesame{number}")).await;
    }
    test_app.contact_writes(BEN, "sesame42").await;
    test_app.drain().await;
    assert_eq!(
        test_app.sent_messages().await.iter().map(|(to, _)| to.as_str()).collect::<Vec<_>>(),
        [BEN],
        "others may guess"
    );
    test_app.advance(24 * 3600);
    test_app.contact_writes(ANA, "sesame42").await;
    test_app.drain().await;
    assert_eq!(test_app.sent_texts().await.len(), 2);
}

#[tokio::test]
async fn if_only_listed_senders_are_allowed_no_keyword_admits_another() {
    let test_app = TestApp::with_settings(&[
        ("MYNAH_WHO", "listed"),
        ("MYNAH_ALLOWED", "+12025550101"),
        ("MYNAH_PAIRING_CODE", "sesame42"),
        ("MYNAH_TEXT_STRANGER", "Not for you."),
    ])
    .await;
    test_app.twilio_accepts_everything().await;
    test_app.model_answers("Hello!").await;
    for (from, text) in [(ANA, "hello"), (BEN, "hello"), (BEN, "sesame42"), (BEN, "hello?")] {
        test_app.contact_writes(from, text).await;
        test_app.drain().await;
    }
    let expected = [(ANA, "Hello!"), (BEN, "Not for you.")].map(|(to, text)| (to.to_owned(), text.to_owned()));
    assert_eq!((test_app.sent_messages().await, test_app.prompts().await.len()), (expected.to_vec(), 1));
}
