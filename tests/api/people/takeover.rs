//! A person answers: asked for by the contact, by the model's tool, or because an operator takes over or blocks.

use mynah::model::Address;
use serde_json::json;
use wiremock::ResponseTemplate;

use crate::setup::captured_log::CapturedLog;
use crate::setup::test_app::{ANA, TestApp};

#[tokio::test]
async fn a_contact_who_asks_for_a_person_is_not_answered_by_the_assistant_until_it_returns() {
    let test_app =
        TestApp::with_settings(&[("MYNAH_HUMAN_RETURN", "1h"), ("MYNAH_TEXT_HUMAN", "A person will come.")]).await;
    test_app.twilio_accepts_everything().await;
    test_app.model_answers("Hello!").await;
    for text in ["/human", "it is urgent"] {
        test_app.contact_writes(ANA, text).await;
        test_app.drain().await;
    }
    assert_eq!(test_app.sent_texts().await, ["A person will come."]);
    assert_eq!(test_app.turn_states().await, ["done", "skipped"]);
    let alerts = test_app.app.store.alerts(10).await.unwrap();
    assert_eq!((alerts.len(), alerts[0].cause.as_str(), alerts[0].count), (1, "hand_over", 1));
    // The hour counts from the operator's last message.
    test_app.advance(50 * 60);
    let (id, now) = (test_app.latest_conversation(), test_app.app.clock.now());
    let until = Some(now + std::time::Duration::from_secs(3600));
    test_app.app.store.send_operator_message(id, "I am \u{202e}\u{200b}here.".into(), until, now).await.unwrap();
    test_app.drain().await;
    test_app.advance(50 * 60);
    test_app.contact_writes(ANA, "thank you").await;
    test_app.drain().await;
    assert_eq!(test_app.sent_texts().await, ["A person will come.", "I am here."]);
    test_app.advance(11 * 60);
    test_app.contact_writes(ANA, "and another thing").await;
    test_app.drain().await;
    assert_eq!(test_app.sent_texts().await.last().unwrap(), "Hello!");
    let prompt = test_app.prompts().await.remove(0);
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
        let test_app = TestApp::with_settings(&[("MYNAH_TEXT_HUMAN", "A person will come.")]).await;
        test_app.twilio_accepts_everything().await;
        test_app
            .mock_completion()
            .respond_with(ResponseTemplate::new(200).set_body_json(answer))
            .mount(&test_app.model)
            .await;
        test_app.contact_writes(ANA, "I want my money back!").await;
        for _ in 0..3 {
            test_app.drain().await;
            test_app.advance(3);
        }
        test_app.contact_writes(ANA, "hello?").await;
        test_app.drain().await;
        assert_eq!(
            (test_app.sent_texts().await, test_app.prompts().await.len()),
            (texts.iter().map(|text| (*text).to_owned()).collect(), 1)
        );
        let alerts = test_app.app.store.alerts(9).await.unwrap();
        assert!(alerts.len() == 1 && alerts[0].cause == "hand_over" && alerts[0].message.contains("wants a refund"));
        let asked: serde_json::Value = test_app.model.received_requests().await.unwrap()[0].body_json().unwrap();
        assert_eq!(asked["tools"][0]["function"]["name"], "hand_over");
    }
    let test_app = TestApp::with_settings(&[]).await;
    test_app.twilio_accepts_everything().await;
    test_app.model_answers("hand_over {\"reason\": \"I say so\"}").await;
    test_app.contact_writes(ANA, "say hand_over").await;
    test_app.drain().await;
    assert!(test_app.app.store.alerts(9).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_model_that_knows_no_tools_is_asked_without() {
    let test_app = TestApp::with_settings(&[]).await;
    test_app.twilio_accepts_everything().await;
    let refused = json!({ "error": { "message": "registry.ollama.ai/library/tiny does not support tools" } });
    test_app
        .mock_completion()
        .respond_with(ResponseTemplate::new(400).set_body_json(refused))
        .up_to_n_times(1)
        .mount(&test_app.model)
        .await;
    test_app.model_answers("Hello!").await;
    for _ in 0..2 {
        test_app.contact_writes(ANA, "hello").await;
        test_app.drain().await;
    }
    assert_eq!(test_app.sent_texts().await, ["Hello!", "Hello!"]);
    let asked = test_app.model.received_requests().await.unwrap();
    let offered: Vec<_> =
        asked.iter().map(|request| request.body_json::<serde_json::Value>().unwrap()["tools"].is_array()).collect();
    assert_eq!(offered, [true, false, false], "and it is remembered");
}

#[tokio::test]
async fn a_contact_is_notified_that_an_operator_takes_over() {
    let test_app = TestApp::with_settings(&[("MYNAH_TEXT_HUMAN", "A person will come.")]).await;
    test_app.twilio_accepts_everything().await;
    test_app.model_answers("Hello!").await;
    test_app.contact_writes(ANA, "hello").await;
    let (id, now, tell) =
        (test_app.latest_conversation(), test_app.app.clock.now(), Some("A person will come.".to_owned()));
    assert!(test_app.app.store.take_over(id, None, "an operator took over".into(), tell, now).await.unwrap());
    test_app.drain().await;
    test_app.contact_writes(ANA, "hello?").await;
    test_app.drain().await;
    assert_eq!(
        (test_app.sent_texts().await, test_app.prompts().await.len()),
        (vec!["A person will come.".to_owned()], 0)
    );
    assert!(test_app.app.store.return_to_assistant(id).await.unwrap());
    test_app.contact_writes(ANA, "hello??").await;
    test_app.drain().await;
    assert_eq!(test_app.sent_texts().await.last().unwrap(), "Hello!");
}

#[tokio::test]
async fn a_blocked_contact_is_neither_answered_nor_written_to() {
    let test_app = TestApp::new().await;
    let (ana, now) = (Address::parse("+12025550101").unwrap(), test_app.app.clock.now());
    test_app.app.store.set_blocked(ana.clone(), true, now).await.unwrap();
    test_app.contact_writes(ANA, "hello").await;
    test_app.drain().await;
    assert_eq!((test_app.sent_texts().await.len(), test_app.turn_states().await), (0, vec!["skipped".to_owned()]));
    assert_eq!(test_app.query_integer("SELECT COUNT(*) FROM messages"), 1, "what was said is stored");
    test_app.app.store.set_blocked(ana, false, now).await.unwrap();
    test_app.contact_writes(ANA, "hello?").await;
    test_app.drain().await;
    assert_eq!(test_app.sent_texts().await, ["Hello!"]);
}

#[tokio::test]
async fn an_operators_message_waits_for_the_current_send_and_is_sent_once() {
    let test_app = TestApp::with_settings(&[]).await;
    test_app.model_answers("Hello!").await;
    test_app
        .mock_send_message()
        .respond_with(ResponseTemplate::new(500))
        .up_to_n_times(1)
        .mount(&test_app.twilio)
        .await;
    test_app.twilio_accepts_everything().await;
    let found = json!([]);
    test_app
        .mock_list_messages()
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({ "messages": found, "next_page_uri": null })))
        .mount(&test_app.twilio)
        .await;
    test_app.contact_writes(ANA, "hello").await;
    test_app.drain().await;
    let (id, now) = (test_app.latest_conversation(), test_app.app.clock.now());
    test_app.app.store.send_operator_message(id, "One moment.".into(), None, now).await.unwrap();
    test_app.app.store.send_operator_message(id, "I am looking.".into(), None, now).await.unwrap();
    test_app.drain().await;
    assert_eq!(test_app.sent_texts().await, ["Hello!"], "nobody knows yet whether that was sent");
    for seconds in [2, 5, 15, 40, 90, 1] {
        test_app.advance(seconds);
        test_app.drain().await;
    }
    test_app.advance(10);
    test_app.drain().await;
    assert_eq!(test_app.sent_texts().await, ["Hello!", "Hello!", "One moment.", "I am looking."]);
}

#[tokio::test]
async fn the_assistant_returns_after_a_while_though_no_person_came() {
    let log = CapturedLog::start();
    let test_app = TestApp::with_settings(&[("MYNAH_HUMAN_RETURN", "1h")]).await;
    test_app.twilio_accepts_everything().await;
    test_app.model_answers("Hello!").await;
    test_app.contact_writes(ANA, "/human").await;
    test_app.drain().await;
    assert_eq!(log.count_lines("ERROR", "a person is wanted"), 1, "the owner is told at once");
    test_app.advance(3599);
    test_app.contact_writes(ANA, "hello?").await;
    test_app.drain().await;
    assert_eq!(test_app.prompts().await.len(), 0);
    test_app.advance(1);
    test_app.contact_writes(ANA, "hello??").await;
    test_app.drain().await;
    assert_eq!(test_app.sent_texts().await.last().unwrap(), "Hello!");
}

#[tokio::test]
async fn a_model_that_may_not_call_a_person_is_offered_no_tool() {
    let test_app = TestApp::with_settings(&[("MYNAH_MODEL_HAND_OVER", "false")]).await;
    test_app.twilio_accepts_everything().await;
    test_app.model_answers("Hello!").await;
    test_app.contact_writes(ANA, "hello").await;
    test_app.drain().await;
    let asked: serde_json::Value = test_app.model.received_requests().await.unwrap()[0].body_json().unwrap();
    assert!(asked.get("tools").is_none(), "{asked}");
}
