//! A person answers: asked for by the contact, by the model's tool, or because an operator takes over or blocks.

use mynah::model::Address;
use serde_json::json;
use wiremock::ResponseTemplate;

use crate::setup::captured_log::CapturedLog;
use crate::setup::test_app::{ANA, TestApp};

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
