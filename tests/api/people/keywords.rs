//! Keywords, which the model never sees, and what they change.

use crate::setup::test_app::{ANA, BEN, TestApp, form_params};

const STOP_CONFIRMATION: &str = "You won't get any more messages from us. Send START if you change your mind.";

#[tokio::test]
async fn after_stop_nothing_is_sent_but_one_confirmation_until_start() {
    let test_app = TestApp::new().await;
    for text in ["hello", "Stop.", "STOP", "are you there?"] {
        test_app.contact_writes(ANA, text).await;
        test_app.drain().await;
    }
    assert_eq!(test_app.sent_texts().await, ["Hello!", STOP_CONFIRMATION]);
    assert_eq!(test_app.turn_states().await, ["done", "done", "skipped", "skipped"]);
    assert_eq!(test_app.prompts().await.len(), 1, "the model is not asked either");
    test_app.contact_writes(BEN, "hello").await;
    test_app.contact_writes(ANA, "start").await;
    test_app.contact_writes(ANA, "and now?").await;
    test_app.drain().await;
    test_app.advance(3);
    test_app.drain().await;
    let mut welcomed = test_app.sent_texts().await.split_off(2);
    welcomed.sort();
    assert_eq!(
        welcomed,
        ["Hello!", "Hello!", "Welcome back! How can I help?"],
        "Ana is welcomed, and both are answered"
    );
}

#[tokio::test]
async fn a_stop_overtakes_what_is_being_written_and_what_waits_to_be_sent() {
    let test_app = TestApp::with_settings(&[]).await;
    test_app.twilio_accepts_everything().await;
    test_app.model_answers(&"A long answer. ".repeat(300)).await;
    test_app.contact_writes(ANA, "tell me everything").await;
    test_app.drain().await;
    assert_eq!(test_app.sent_texts().await.len(), 1, "the next part waits for its turn");
    test_app.contact_writes(ANA, "STOP").await;
    test_app.drain().await;
    test_app.advance(60);
    test_app.drain().await;
    assert_eq!(test_app.sent_texts().await.len(), 2);
    assert_eq!(test_app.sent_texts().await[1], STOP_CONFIRMATION);
    assert_eq!(test_app.turn_states().await, ["skipped", "done"]);
    // The same for an answer that a worker is about to store.
    test_app.contact_writes(BEN, "hello").await;
    let claim = test_app.app.store.claim(test_app.app.clock.now(), 9, 9).await.unwrap().turns.remove(0);
    test_app.contact_writes(BEN, "stop").await;
    let reply = mynah::store::Reply::OwnText { text: "too late".into(), hand_over: None };
    let held =
        test_app.app.store.reply(&claim, reply, vec!["too late".into()], test_app.app.clock.now()).await.unwrap();
    assert_eq!(held, None);
    test_app.drain().await;
    assert_eq!(test_app.sent_texts().await.len(), 3, "only the confirmation");
}

#[tokio::test]
async fn a_keyword_is_known_also_in_a_reply_on_a_button_and_by_twilios_opt_out_type() {
    let quoted = ("OriginalRepliedMessageSid", "SM00000000000000000000000000000009");
    for fields in [
        &[("Body", "STOP"), quoted][..],
        &[("Body", ""), ("ButtonText", "Stop"), ("ButtonPayload", "out_1"), quoted],
        &[("Body", "Nie mehr"), ("OptOutType", "STOP")],
        &[("Body", "\u{2067}STOP\u{2069}"), ("ReferralHeadline", "Spring sale")],
    ] {
        let test_app = TestApp::new().await;
        let mut message = test_app.message_params(ANA, "");
        message.retain(|(name, _)| name != "Body");
        message.extend(form_params(fields));
        assert_eq!(test_app.deliver_webhook(&message).await, 200);
        test_app.drain().await;
        assert_eq!(test_app.sent_texts().await, [STOP_CONFIRMATION], "{fields:?}");
        assert!(test_app.prompts().await.is_empty());
    }
}

#[tokio::test]
async fn the_pairing_code_is_known_also_in_a_reply() {
    let test_app = TestApp::with_settings(&[
        ("MYNAH_WHO", "code"),
        ("MYNAH_PAIRING_CODE", "sesame42"),
        ("MYNAH_TEXT_ADMITTED", "In!"),
    ])
    .await;
    test_app.twilio_accepts_everything().await;
    let mut message = test_app.message_params(ANA, "sesame42");
    message.extend(form_params(&[("OriginalRepliedMessageSid", "SM00000000000000000000000000000009")]));
    assert_eq!(test_app.deliver_webhook(&message).await, 200);
    test_app.drain().await;
    assert_eq!(test_app.sent_texts().await, ["In!"]);
}

#[tokio::test]
async fn commands_are_answered_without_a_model() {
    let test_app =
        TestApp::with_settings(&[("OPENAI_BASE_URL", ""), ("OPENAI_API_KEY", ""), ("MYNAH_AI_MODEL", "")]).await;
    test_app.twilio_accepts_everything().await;
    test_app.contact_writes(ANA, "hello").await;
    test_app.contact_writes(BEN, "/help").await;
    test_app.drain().await;
    let posted = test_app.sent_messages().await;
    assert_eq!(posted.len(), 1);
    assert!(posted[0].0 == BEN && posted[0].1.starts_with("I'm an automated assistant"), "{posted:?}");
    assert_eq!(test_app.turn_states().await, ["open", "done"], "and the other waits");
}

#[tokio::test]
async fn a_question_in_a_burst_with_a_call_for_help_is_answered_too() {
    let test_app = TestApp::with_settings(&[("MYNAH_MERGE_WINDOW", "5s"), ("MYNAH_TEXT_HELP", "Help!")]).await;
    test_app.twilio_accepts_everything().await;
    test_app.model_answers("At nine.").await;
    test_app.contact_writes(ANA, "When do you open?").await;
    test_app.contact_writes(ANA, "/HELP").await;
    test_app.drain().await;
    test_app.advance(3);
    test_app.drain().await;
    assert_eq!(test_app.sent_texts().await, ["Help!", "At nine."]);
}

#[tokio::test]
async fn a_question_beside_a_start_or_pairing_code_is_answered_too() {
    let code = [("MYNAH_WHO", "code"), ("MYNAH_PAIRING_CODE", "sesame42")];
    for (settings, word) in [(&[][..], "START"), (&code, "sesame42")] {
        let mut all = vec![
            ("MYNAH_MERGE_WINDOW", "5s"),
            ("MYNAH_TEXT_STARTED", "Welcome!"),
            ("MYNAH_TEXT_ADMITTED", "Welcome!"),
            ("MYNAH_BUDGET_DAY", "1 calls"),
        ];
        all.extend(settings);
        let test_app = TestApp::with_settings(&all).await;
        test_app.twilio_accepts_everything().await;
        test_app.model_answers("At nine.").await;
        test_app.contact_writes(ANA, word).await;
        test_app.contact_writes(ANA, "When do you open?").await;
        test_app.drain().await;
        test_app.advance(3);
        test_app.drain().await;
        assert_eq!(test_app.sent_texts().await, ["Welcome!", "At nine."], "{word}");
        let prompt = test_app.prompts().await.remove(0);
        assert_eq!(prompt.last().unwrap().1, "When do you open?");
        assert!(!prompt.iter().any(|(_, text)| text == word), "{prompt:?}");
        // The call was reserved and counts. A contact with no budget left is still welcomed.
        test_app.advance(10);
        test_app.contact_writes(ANA, "START").await;
        test_app.contact_writes(ANA, "And when do you close?").await;
        for _ in 0..2 {
            test_app.drain().await;
            test_app.advance(3);
        }
        let texts = test_app.sent_texts().await;
        assert_eq!((texts.len(), texts[2].as_str()), (4, "Welcome!"), "{texts:?}");
        assert_eq!(test_app.prompts().await.len(), 1);
        // Alone it asks the model nothing.
        test_app.advance(10);
        test_app.contact_writes(ANA, "START").await;
        test_app.drain().await;
        assert_eq!(test_app.sent_texts().await[4..], ["Welcome!"]);
    }
}

#[tokio::test]
async fn keywords_are_not_shown_to_the_model_even_where_they_are_not_obeyed() {
    let test_app = TestApp::with_settings(&[("MYNAH_TEXT_STARTED", "Welcome!"), ("MYNAH_RATE_LIMIT", "2/1m")]).await;
    test_app.twilio_accepts_everything().await;
    test_app.model_answers("Hello!").await;
    for text in ["one", "/help", "/reset", "two"] {
        test_app.contact_writes(ANA, text).await;
        test_app.drain().await;
        test_app.advance(if text == "/reset" { 60 } else { 5 });
    }
    assert_eq!(test_app.query_integer("SELECT COUNT(*) FROM conversations"), 1, "the reset was above the rate");
    let last = test_app.prompts().await.pop().unwrap();
    let user_texts: Vec<_> = last.iter().filter(|(role, _)| role == "user").map(|(_, text)| text.as_str()).collect();
    assert_eq!(user_texts, ["one", "two"]);
    // The same where the window comes from the store.
    test_app.execute_sql("UPDATE conversations SET revision = revision + 1");
    test_app.contact_writes(ANA, "three").await;
    test_app.drain().await;
    let last = test_app.prompts().await.pop().unwrap();
    let user_texts: Vec<_> = last.iter().filter(|(role, _)| role == "user").map(|(_, text)| text.as_str()).collect();
    assert_eq!(user_texts, ["one", "two", "three"]);
}

#[tokio::test]
async fn a_reset_begins_a_new_conversation_of_which_the_model_knows_nothing() {
    let test_app = TestApp::new().await;
    for text in ["my name is Ana", "/reset", "what is my name?"] {
        test_app.contact_writes(ANA, text).await;
        test_app.drain().await;
    }
    assert_eq!(test_app.sent_texts().await, ["Hello!", "Done. Let's start afresh: how can I help?", "Hello!"]);
    assert_eq!(test_app.query_integer("SELECT COUNT(*) FROM conversations"), 2);
    let prompts = test_app.prompts().await;
    assert_eq!(prompts.last().unwrap()[1..], [("user".to_owned(), "what is my name?".to_owned())]);
}

#[tokio::test]
async fn the_owner_can_add_keywords_which_are_ordinary_text_otherwise() {
    for (words, texts) in
        [(("Arrêt, BAJA", "alta"), &[STOP_CONFIRMATION, "Hello!"][..]), (("none", "none"), &["Hello!"; 4])]
    {
        let test_app = TestApp::with_settings(&[
            ("MYNAH_OPT_OUT_WORDS", words.0),
            ("MYNAH_OPT_IN_WORDS", words.1),
            ("MYNAH_TEXT_STARTED", "Hello!"),
        ])
        .await;
        test_app.twilio_accepts_everything().await;
        test_app.model_answers("Hello!").await;
        for text in ["arrêt", "baja", "are you there?", "ALTA!"] {
            test_app.contact_writes(ANA, text).await;
            test_app.drain().await;
        }
        assert_eq!(test_app.sent_texts().await, texts);
    }
}
