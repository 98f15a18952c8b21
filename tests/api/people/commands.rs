//! Words that the model never sees, and what they change.

use mynah::model::Address;
use serde_json::json;
use wiremock::ResponseTemplate;

use crate::setup::test_app::{ANA, BEN, CapturedLog, TestApp, form_params};

const STOP_CONFIRMATION: &str = "You won't get any more messages from us. Send START if you change your mind.";

#[tokio::test]
async fn after_stop_nothing_is_sent_but_one_confirmation_until_start() {
    let house = TestApp::new().await;
    for text in ["hello", "Stop.", "STOP", "are you there?"] {
        house.contact_writes(ANA, text).await;
        house.drain().await;
    }
    assert_eq!(house.sent_texts().await, ["Hello!", STOP_CONFIRMATION]);
    assert_eq!(house.turn_states().await, ["done", "done", "skipped", "skipped"]);
    assert_eq!(house.prompts().await.len(), 1, "the model is not asked either");
    house.contact_writes(BEN, "hello").await;
    house.contact_writes(ANA, "start").await;
    house.contact_writes(ANA, "and now?").await;
    house.drain().await;
    house.advance(3);
    house.drain().await;
    let mut welcomed = house.sent_texts().await.split_off(2);
    welcomed.sort();
    assert_eq!(
        welcomed,
        ["Hello!", "Hello!", "Welcome back! How can I help?"],
        "Ana is welcomed, and both are answered"
    );
}

#[tokio::test]
async fn a_stop_overtakes_what_is_being_written_and_what_waits_to_be_sent() {
    let house = TestApp::with_settings(&[]).await;
    house.twilio_accepts_everything().await;
    house.model_answers(&"A long answer. ".repeat(300)).await;
    house.contact_writes(ANA, "tell me everything").await;
    house.drain().await;
    assert_eq!(house.sent_texts().await.len(), 1, "the next part waits for its turn");
    house.contact_writes(ANA, "STOP").await;
    house.drain().await;
    house.advance(60);
    house.drain().await;
    assert_eq!(house.sent_texts().await.len(), 2);
    assert_eq!(house.sent_texts().await[1], STOP_CONFIRMATION);
    assert_eq!(house.turn_states().await, ["skipped", "done"]);
    // And one that a worker has in hand.
    house.contact_writes(BEN, "hello").await;
    let claim = house.app.store.claim(house.app.clock.now(), 9, 9).await.unwrap().turns.remove(0);
    house.contact_writes(BEN, "stop").await;
    let reply = mynah::store::Reply::OwnText { text: "too late".into(), hand_over: None };
    let held = house.app.store.reply(&claim, reply, vec!["too late".into()], house.app.clock.now()).await.unwrap();
    assert_eq!(held, None);
    house.drain().await;
    assert_eq!(house.sent_texts().await.len(), 3, "only the confirmation");
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
        let house = TestApp::new().await;
        let mut message = house.message_params(ANA, "");
        message.retain(|(name, _)| name != "Body");
        message.extend(form_params(fields));
        assert_eq!(house.deliver_webhook(&message).await, 200);
        house.drain().await;
        assert_eq!(house.sent_texts().await, [STOP_CONFIRMATION], "{fields:?}");
        assert!(house.prompts().await.is_empty());
    }
}

#[tokio::test]
async fn the_pairing_code_is_known_also_in_a_reply() {
    let house = TestApp::with_settings(&[
        ("MYNAH_WHO", "code"),
        ("MYNAH_PAIRING_CODE", "sesame42"),
        ("MYNAH_TEXT_ADMITTED", "In!"),
    ])
    .await;
    house.twilio_accepts_everything().await;
    let mut message = house.message_params(ANA, "sesame42");
    message.extend(form_params(&[("OriginalRepliedMessageSid", "SM00000000000000000000000000000009")]));
    assert_eq!(house.deliver_webhook(&message).await, 200);
    house.drain().await;
    assert_eq!(house.sent_texts().await, ["In!"]);
}

#[tokio::test]
async fn commands_are_answered_without_a_model() {
    let house =
        TestApp::with_settings(&[("OPENAI_BASE_URL", ""), ("OPENAI_API_KEY", ""), ("MYNAH_AI_MODEL", "")]).await;
    house.twilio_accepts_everything().await;
    house.contact_writes(ANA, "hello").await;
    house.contact_writes(BEN, "/help").await;
    house.drain().await;
    let posted = house.sent_messages().await;
    assert_eq!(posted.len(), 1);
    assert!(posted[0].0 == BEN && posted[0].1.starts_with("I'm an automated assistant"), "{posted:?}");
    assert_eq!(house.turn_states().await, ["open", "done"], "and the other waits");
}

#[tokio::test]
async fn a_question_in_a_burst_with_a_call_for_help_is_answered_too() {
    let house = TestApp::with_settings(&[("MYNAH_MERGE_WINDOW", "5s"), ("MYNAH_TEXT_HELP", "Help!")]).await;
    house.twilio_accepts_everything().await;
    house.model_answers("At nine.").await;
    house.contact_writes(ANA, "When do you open?").await;
    house.contact_writes(ANA, "/HELP").await;
    house.drain().await;
    house.advance(3);
    house.drain().await;
    assert_eq!(house.sent_texts().await, ["Help!", "At nine."]);
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
        let house = TestApp::with_settings(&all).await;
        house.twilio_accepts_everything().await;
        house.model_answers("At nine.").await;
        house.contact_writes(ANA, word).await;
        house.contact_writes(ANA, "When do you open?").await;
        house.drain().await;
        house.advance(3);
        house.drain().await;
        assert_eq!(house.sent_texts().await, ["Welcome!", "At nine."], "{word}");
        let prompt = house.prompts().await.remove(0);
        assert_eq!(prompt.last().unwrap().1, "When do you open?");
        assert!(!prompt.iter().any(|(_, text)| text == word), "{prompt:?}");
        // The call was reserved and counts; and whoever cannot be answered any more is welcomed all the same.
        house.advance(10);
        house.contact_writes(ANA, "START").await;
        house.contact_writes(ANA, "And when do you close?").await;
        for _ in 0..2 {
            house.drain().await;
            house.advance(3);
        }
        let texts = house.sent_texts().await;
        assert_eq!((texts.len(), texts[2].as_str()), (4, "Welcome!"), "{texts:?}");
        assert_eq!(house.prompts().await.len(), 1);
        // Alone it asks for nothing.
        house.advance(10);
        house.contact_writes(ANA, "START").await;
        house.drain().await;
        assert_eq!(house.sent_texts().await[4..], ["Welcome!"]);
    }
}

#[tokio::test]
async fn keywords_are_not_shown_to_the_model_even_where_they_are_not_obeyed() {
    let house = TestApp::with_settings(&[("MYNAH_TEXT_STARTED", "Welcome!"), ("MYNAH_RATE_LIMIT", "2/1m")]).await;
    house.twilio_accepts_everything().await;
    house.model_answers("Hello!").await;
    for text in ["one", "/help", "/reset", "two"] {
        house.contact_writes(ANA, text).await;
        house.drain().await;
        house.advance(if text == "/reset" { 60 } else { 5 });
    }
    assert_eq!(house.query_integer("SELECT COUNT(*) FROM conversations"), 1, "the reset was above the rate");
    let last = house.prompts().await.pop().unwrap();
    let heard: Vec<_> = last.iter().filter(|(role, _)| role == "user").map(|(_, text)| text.as_str()).collect();
    assert_eq!(heard, ["one", "two"]);
    // The same where the window comes from the store.
    house.execute_sql("UPDATE conversations SET revision = revision + 1");
    house.contact_writes(ANA, "three").await;
    house.drain().await;
    let last = house.prompts().await.pop().unwrap();
    let heard: Vec<_> = last.iter().filter(|(role, _)| role == "user").map(|(_, text)| text.as_str()).collect();
    assert_eq!(heard, ["one", "two", "three"]);
}

#[tokio::test]
async fn a_reset_begins_a_new_conversation_of_which_the_model_knows_nothing() {
    let house = TestApp::new().await;
    for text in ["my name is Ana", "/reset", "what is my name?"] {
        house.contact_writes(ANA, text).await;
        house.drain().await;
    }
    assert_eq!(house.sent_texts().await, ["Hello!", "Done. Let's start afresh: how can I help?", "Hello!"]);
    assert_eq!(house.query_integer("SELECT COUNT(*) FROM conversations"), 2);
    let prompts = house.prompts().await;
    assert_eq!(prompts.last().unwrap()[1..], [("user".to_owned(), "what is my name?".to_owned())]);
}

#[tokio::test]
async fn a_contact_who_asks_for_a_person_is_not_answered_by_the_assistant_until_it_returns() {
    let house =
        TestApp::with_settings(&[("MYNAH_HUMAN_RETURN", "1h"), ("MYNAH_TEXT_HUMAN", "A person will come.")]).await;
    house.twilio_accepts_everything().await;
    house.model_answers("Hello!").await;
    for text in ["/human", "it is urgent"] {
        house.contact_writes(ANA, text).await;
        house.drain().await;
    }
    assert_eq!(house.sent_texts().await, ["A person will come."]);
    assert_eq!(house.turn_states().await, ["done", "skipped"]);
    let alerts = house.app.store.alerts(10).await.unwrap();
    assert_eq!((alerts.len(), alerts[0].cause.as_str(), alerts[0].count), (1, "hand_over", 1));
    // The return counts from the operator's last message.
    house.advance(50 * 60);
    let (id, now) = (house.latest_conversation(), house.app.clock.now());
    let until = Some(now + std::time::Duration::from_secs(3600));
    house.app.store.send_operator_message(id, "I am \u{202e}\u{200b}here.".into(), until, now).await.unwrap();
    house.drain().await;
    house.advance(50 * 60);
    house.contact_writes(ANA, "thank you").await;
    house.drain().await;
    assert_eq!(house.sent_texts().await, ["A person will come.", "I am here."]);
    house.advance(11 * 60);
    house.contact_writes(ANA, "and another thing").await;
    house.drain().await;
    assert_eq!(house.sent_texts().await.last().unwrap(), "Hello!");
    let prompt = house.prompts().await.remove(0);
    assert!(prompt.iter().any(|(_, text)| text == "I am here."), "the model knows what the person said: {prompt:?}");
}

#[tokio::test]
async fn a_model_hands_over_by_a_tool_and_never_by_text() {
    let call = |content: Option<&str>| {
        json!({ "model": "m", "choices": [{ "finish_reason": "tool_calls", "message": { "content": content, "tool_calls": [{
            "id": "call_1", "type": "function",
            "function": { "name": "hand_over", "arguments": "{\"reason\": \"wants a refund\"}" } }] } }] })
    };
    for (answer, texts) in
        [(call(Some("I see.")), &["I see.", "A person will come."][..]), (call(None), &["A person will come."])]
    {
        let house = TestApp::with_settings(&[("MYNAH_TEXT_HUMAN", "A person will come.")]).await;
        house.twilio_accepts_everything().await;
        house
            .mock_completion()
            .respond_with(ResponseTemplate::new(200).set_body_json(answer))
            .mount(&house.model)
            .await;
        house.contact_writes(ANA, "I want my money back!").await;
        for _ in 0..3 {
            house.drain().await;
            house.advance(3);
        }
        house.contact_writes(ANA, "hello?").await;
        house.drain().await;
        assert_eq!(
            (house.sent_texts().await, house.prompts().await.len()),
            (texts.iter().map(|text| (*text).to_owned()).collect(), 1)
        );
        let alerts = house.app.store.alerts(9).await.unwrap();
        assert!(alerts.len() == 1 && alerts[0].cause == "hand_over" && alerts[0].message.contains("wants a refund"));
        let asked: serde_json::Value = house.model.received_requests().await.unwrap()[0].body_json().unwrap();
        assert_eq!(asked["tools"][0]["function"]["name"], "hand_over");
    }
    let house = TestApp::with_settings(&[]).await;
    house.twilio_accepts_everything().await;
    house.model_answers("hand_over {\"reason\": \"I say so\"}").await;
    house.contact_writes(ANA, "say hand_over").await;
    house.drain().await;
    assert!(house.app.store.alerts(9).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_model_that_knows_no_tools_is_asked_without() {
    let house = TestApp::with_settings(&[]).await;
    house.twilio_accepts_everything().await;
    let refused = json!({ "error": { "message": "registry.ollama.ai/library/tiny does not support tools" } });
    house
        .mock_completion()
        .respond_with(ResponseTemplate::new(400).set_body_json(refused))
        .up_to_n_times(1)
        .mount(&house.model)
        .await;
    house.model_answers("Hello!").await;
    for _ in 0..2 {
        house.contact_writes(ANA, "hello").await;
        house.drain().await;
    }
    assert_eq!(house.sent_texts().await, ["Hello!", "Hello!"]);
    let asked = house.model.received_requests().await.unwrap();
    let offered: Vec<_> =
        asked.iter().map(|request| request.body_json::<serde_json::Value>().unwrap()["tools"].is_array()).collect();
    assert_eq!(offered, [true, false, false], "and it is remembered");
}

#[tokio::test]
async fn a_contact_is_told_that_an_operator_takes_over() {
    let house = TestApp::with_settings(&[("MYNAH_TEXT_HUMAN", "A person will come.")]).await;
    house.twilio_accepts_everything().await;
    house.model_answers("Hello!").await;
    house.contact_writes(ANA, "hello").await;
    let (id, now, tell) = (house.latest_conversation(), house.app.clock.now(), Some("A person will come.".to_owned()));
    assert!(house.app.store.take_over(id, None, "an operator took over".into(), tell, now).await.unwrap());
    house.drain().await;
    house.contact_writes(ANA, "hello?").await;
    house.drain().await;
    assert_eq!((house.sent_texts().await, house.prompts().await.len()), (vec!["A person will come.".to_owned()], 0));
    assert!(house.app.store.return_to_assistant(id).await.unwrap());
    house.contact_writes(ANA, "hello??").await;
    house.drain().await;
    assert_eq!(house.sent_texts().await.last().unwrap(), "Hello!");
}

#[tokio::test]
async fn a_blocked_contact_is_neither_answered_nor_written_to() {
    let house = TestApp::new().await;
    let (ana, now) = (Address::parse("+12025550101").unwrap(), house.app.clock.now());
    house.app.store.set_blocked(ana.clone(), true, now).await.unwrap();
    house.contact_writes(ANA, "hello").await;
    house.drain().await;
    assert_eq!((house.sent_texts().await.len(), house.turn_states().await), (0, vec!["skipped".to_owned()]));
    assert_eq!(house.query_integer("SELECT COUNT(*) FROM messages"), 1, "what was said is stored");
    house.app.store.set_blocked(ana, false, now).await.unwrap();
    house.contact_writes(ANA, "hello?").await;
    house.drain().await;
    assert_eq!(house.sent_texts().await, ["Hello!"]);
}

#[tokio::test]
async fn what_an_operator_says_waits_for_what_is_being_sent_and_is_sent_once() {
    let house = TestApp::with_settings(&[]).await;
    house.model_answers("Hello!").await;
    house.mock_send_message().respond_with(ResponseTemplate::new(500)).up_to_n_times(1).mount(&house.twilio).await;
    house.twilio_accepts_everything().await;
    let found = json!([]);
    house
        .mock_list_messages()
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({ "messages": found, "next_page_uri": null })))
        .mount(&house.twilio)
        .await;
    house.contact_writes(ANA, "hello").await;
    house.drain().await;
    let (id, now) = (house.latest_conversation(), house.app.clock.now());
    house.app.store.send_operator_message(id, "One moment.".into(), None, now).await.unwrap();
    house.app.store.send_operator_message(id, "I am looking.".into(), None, now).await.unwrap();
    house.drain().await;
    assert_eq!(house.sent_texts().await, ["Hello!"], "nobody knows yet whether that was sent");
    for seconds in [2, 5, 15, 40, 90, 1] {
        house.advance(seconds);
        house.drain().await;
    }
    house.advance(10);
    house.drain().await;
    assert_eq!(house.sent_texts().await, ["Hello!", "Hello!", "One moment.", "I am looking."]);
}

#[tokio::test]
async fn the_assistant_returns_after_a_while_though_no_person_came() {
    let log = CapturedLog::start();
    let house = TestApp::with_settings(&[("MYNAH_HUMAN_RETURN", "1h")]).await;
    house.twilio_accepts_everything().await;
    house.model_answers("Hello!").await;
    house.contact_writes(ANA, "/human").await;
    house.drain().await;
    assert_eq!(log.count_lines("ERROR", "a person is wanted"), 1, "the owner is told at once");
    house.advance(3599);
    house.contact_writes(ANA, "hello?").await;
    house.drain().await;
    assert_eq!(house.prompts().await.len(), 0);
    house.advance(1);
    house.contact_writes(ANA, "hello??").await;
    house.drain().await;
    assert_eq!(house.sent_texts().await.last().unwrap(), "Hello!");
}

#[tokio::test]
async fn a_model_that_may_not_call_a_person_is_offered_no_tool() {
    let house = TestApp::with_settings(&[("MYNAH_MODEL_HAND_OVER", "false")]).await;
    house.twilio_accepts_everything().await;
    house.model_answers("Hello!").await;
    house.contact_writes(ANA, "hello").await;
    house.drain().await;
    let asked: serde_json::Value = house.model.received_requests().await.unwrap()[0].body_json().unwrap();
    assert!(asked.get("tools").is_none(), "{asked}");
}

#[tokio::test]
async fn the_owner_can_add_keywords_which_are_ordinary_text_otherwise() {
    for (words, texts) in
        [(("Arrêt, BAJA", "alta"), &[STOP_CONFIRMATION, "Hello!"][..]), (("none", "none"), &["Hello!"; 4])]
    {
        let house = TestApp::with_settings(&[
            ("MYNAH_OPT_OUT_WORDS", words.0),
            ("MYNAH_OPT_IN_WORDS", words.1),
            ("MYNAH_TEXT_STARTED", "Hello!"),
        ])
        .await;
        house.twilio_accepts_everything().await;
        house.model_answers("Hello!").await;
        for text in ["arrêt", "baja", "are you there?", "ALTA!"] {
            house.contact_writes(ANA, text).await;
            house.drain().await;
        }
        assert_eq!(house.sent_texts().await, texts);
    }
}
