//! Words that the model never sees, and what they change.

use mynah::model::Address;
use serde_json::json;
use wiremock::ResponseTemplate;

use crate::house::{ANA, BEN, House, Log, form};

const STOPPED: &str = "You won't get any more messages from us. Send START if you change your mind.";

#[tokio::test]
async fn after_stop_nothing_is_sent_but_one_confirmation_until_start() {
    let house = House::new().await;
    for text in ["hello", "Stop.", "STOP", "are you there?"] {
        house.say(ANA, text).await;
        house.drain().await;
    }
    assert_eq!(house.texts().await, ["Hello!", STOPPED]);
    assert_eq!(house.states().await, ["done", "done", "skipped", "skipped"]);
    assert_eq!(house.prompts().await.len(), 1, "the model is not asked either");
    house.say(BEN, "hello").await;
    house.say(ANA, "start").await;
    house.say(ANA, "and now?").await;
    house.drain().await;
    house.advance(3);
    house.drain().await;
    let mut welcomed = house.texts().await.split_off(2);
    welcomed.sort();
    assert_eq!(
        welcomed,
        ["Hello!", "Hello!", "Welcome back! How can I help?"],
        "Ana is welcomed, and both are answered"
    );
}

#[tokio::test]
async fn a_stop_overtakes_what_is_being_written_and_what_waits_to_be_sent() {
    let house = House::with(&[]).await;
    house.twilio_takes_everything().await;
    house.model_says(&"A long answer. ".repeat(300)).await;
    house.say(ANA, "tell me everything").await;
    house.drain().await;
    assert_eq!(house.texts().await.len(), 1, "the next part waits for its turn");
    house.say(ANA, "STOP").await;
    house.drain().await;
    house.advance(60);
    house.drain().await;
    assert_eq!(house.texts().await.len(), 2);
    assert_eq!(house.texts().await[1], STOPPED);
    assert_eq!(house.states().await, ["skipped", "done"]);
    // And one that a worker has in hand.
    house.say(BEN, "hello").await;
    let claim = house.app.store.claim(house.app.clock.now(), 9, 9).await.unwrap().turns.remove(0);
    house.say(BEN, "stop").await;
    let reply = mynah::store::Reply::OwnText { text: "too late".into(), hand_over: None };
    let held = house.app.store.reply(&claim, reply, vec!["too late".into()], house.app.clock.now()).await.unwrap();
    assert_eq!(held, None);
    house.drain().await;
    assert_eq!(house.texts().await.len(), 3, "only the confirmation");
}

#[tokio::test]
async fn a_word_is_known_also_as_a_reply_as_a_button_and_by_twilios_own_reading() {
    let quoted = ("OriginalRepliedMessageSid", "SM00000000000000000000000000000009");
    for fields in [
        &[("Body", "STOP"), quoted][..],
        &[("Body", ""), ("ButtonText", "Stop"), ("ButtonPayload", "out_1"), quoted],
        &[("Body", "Nie mehr"), ("OptOutType", "STOP")],
        &[("Body", "\u{2067}STOP\u{2069}"), ("ReferralHeadline", "Spring sale")],
    ] {
        let house = House::new().await;
        let mut message = house.message(ANA, "");
        message.retain(|(name, _)| name != "Body");
        message.extend(form(fields));
        assert_eq!(house.deliver(&message).await, 200);
        house.drain().await;
        assert_eq!(house.texts().await, [STOPPED], "{fields:?}");
        assert!(house.prompts().await.is_empty());
    }
}

#[tokio::test]
async fn the_pairing_code_is_known_also_in_a_reply() {
    let house =
        House::with(&[("MYNAH_WHO", "code"), ("MYNAH_PAIRING_CODE", "sesame42"), ("MYNAH_TEXT_ADMITTED", "In!")]).await;
    house.twilio_takes_everything().await;
    let mut message = house.message(ANA, "sesame42");
    message.extend(form(&[("OriginalRepliedMessageSid", "SM00000000000000000000000000000009")]));
    assert_eq!(house.deliver(&message).await, 200);
    house.drain().await;
    assert_eq!(house.texts().await, ["In!"]);
}

#[tokio::test]
async fn commands_are_answered_without_a_model() {
    let house = House::with(&[("OPENAI_BASE_URL", ""), ("OPENAI_API_KEY", ""), ("MYNAH_AI_MODEL", "")]).await;
    house.twilio_takes_everything().await;
    house.say(ANA, "hello").await;
    house.say(BEN, "/help").await;
    house.drain().await;
    let posted = house.posted().await;
    assert_eq!(posted.len(), 1);
    assert!(posted[0].0 == BEN && posted[0].1.starts_with("I'm an automated assistant"), "{posted:?}");
    assert_eq!(house.states().await, ["open", "done"], "and the other waits");
}

#[tokio::test]
async fn a_question_in_a_burst_with_a_call_for_help_is_answered_too() {
    let house = House::with(&[("MYNAH_MERGE_WINDOW", "5s"), ("MYNAH_TEXT_HELP", "Help!")]).await;
    house.twilio_takes_everything().await;
    house.model_says("At nine.").await;
    house.say(ANA, "When do you open?").await;
    house.say(ANA, "/HELP").await;
    house.drain().await;
    house.advance(3);
    house.drain().await;
    assert_eq!(house.texts().await, ["Help!", "At nine."]);
}

#[tokio::test]
async fn a_question_beside_a_word_that_lets_the_contact_in_is_answered_too() {
    let code = [("MYNAH_WHO", "code"), ("MYNAH_PAIRING_CODE", "sesame42")];
    for (settings, word) in [(&[][..], "START"), (&code, "sesame42")] {
        let mut all = vec![
            ("MYNAH_MERGE_WINDOW", "5s"),
            ("MYNAH_TEXT_STARTED", "Welcome!"),
            ("MYNAH_TEXT_ADMITTED", "Welcome!"),
            ("MYNAH_BUDGET_DAY", "1 calls"),
        ];
        all.extend(settings);
        let house = House::with(&all).await;
        house.twilio_takes_everything().await;
        house.model_says("At nine.").await;
        house.say(ANA, word).await;
        house.say(ANA, "When do you open?").await;
        house.drain().await;
        house.advance(3);
        house.drain().await;
        assert_eq!(house.texts().await, ["Welcome!", "At nine."], "{word}");
        let prompt = house.prompts().await.remove(0);
        assert_eq!(prompt.last().unwrap().1, "When do you open?");
        assert!(!prompt.iter().any(|(_, text)| text == word), "{prompt:?}");
        // The call was reserved and counts; and whoever cannot be answered any more is welcomed all the same.
        house.advance(10);
        house.say(ANA, "START").await;
        house.say(ANA, "And when do you close?").await;
        for _ in 0..2 {
            house.drain().await;
            house.advance(3);
        }
        let texts = house.texts().await;
        assert_eq!((texts.len(), texts[2].as_str()), (4, "Welcome!"), "{texts:?}");
        assert_eq!(house.prompts().await.len(), 1);
        // Alone it asks for nothing.
        house.advance(10);
        house.say(ANA, "START").await;
        house.drain().await;
        assert_eq!(house.texts().await[4..], ["Welcome!"]);
    }
}

#[tokio::test]
async fn words_are_not_shown_to_the_model_also_where_they_are_not_obeyed() {
    let house = House::with(&[("MYNAH_TEXT_STARTED", "Welcome!"), ("MYNAH_RATE_LIMIT", "2/1m")]).await;
    house.twilio_takes_everything().await;
    house.model_says("Hello!").await;
    for text in ["one", "/help", "/reset", "two"] {
        house.say(ANA, text).await;
        house.drain().await;
        house.advance(if text == "/reset" { 60 } else { 5 });
    }
    assert_eq!(house.count("SELECT COUNT(*) FROM conversations"), 1, "the reset was above the rate");
    let last = house.prompts().await.pop().unwrap();
    let heard: Vec<_> = last.iter().filter(|(role, _)| role == "user").map(|(_, text)| text.as_str()).collect();
    assert_eq!(heard, ["one", "two"]);
    // The same where the window comes from the store.
    house.meddle("UPDATE conversations SET revision = revision + 1");
    house.say(ANA, "three").await;
    house.drain().await;
    let last = house.prompts().await.pop().unwrap();
    let heard: Vec<_> = last.iter().filter(|(role, _)| role == "user").map(|(_, text)| text.as_str()).collect();
    assert_eq!(heard, ["one", "two", "three"]);
}

#[tokio::test]
async fn a_reset_begins_a_new_conversation_of_which_the_model_knows_nothing() {
    let house = House::new().await;
    for text in ["my name is Ana", "/reset", "what is my name?"] {
        house.say(ANA, text).await;
        house.drain().await;
    }
    assert_eq!(house.texts().await, ["Hello!", "Done. Let's start afresh: how can I help?", "Hello!"]);
    assert_eq!(house.count("SELECT COUNT(*) FROM conversations"), 2);
    let prompts = house.prompts().await;
    assert_eq!(prompts.last().unwrap()[1..], [("user".to_owned(), "what is my name?".to_owned())]);
}

#[tokio::test]
async fn somebody_who_asks_for_a_person_gets_silence_from_the_assistant_until_it_returns() {
    let house = House::with(&[("MYNAH_HUMAN_RETURN", "1h"), ("MYNAH_TEXT_HUMAN", "A person will come.")]).await;
    house.twilio_takes_everything().await;
    house.model_says("Hello!").await;
    for text in ["/human", "it is urgent"] {
        house.say(ANA, text).await;
        house.drain().await;
    }
    assert_eq!(house.texts().await, ["A person will come."]);
    assert_eq!(house.states().await, ["done", "skipped"]);
    let alerts = house.app.store.alerts(10).await.unwrap();
    assert_eq!((alerts.len(), alerts[0].cause.as_str(), alerts[0].count), (1, "hand_over", 1));
    // The return counts from the operator's last message.
    house.advance(50 * 60);
    let (id, now) = (house.conversation(), house.app.clock.now());
    let until = Some(now + std::time::Duration::from_secs(3600));
    house.app.store.send_operator_message(id, "I am \u{202e}\u{200b}here.".into(), until, now).await.unwrap();
    house.drain().await;
    house.advance(50 * 60);
    house.say(ANA, "thank you").await;
    house.drain().await;
    assert_eq!(house.texts().await, ["A person will come.", "I am here."]);
    house.advance(11 * 60);
    house.say(ANA, "and another thing").await;
    house.drain().await;
    assert_eq!(house.texts().await.last().unwrap(), "Hello!");
    let prompt = house.prompts().await.remove(0);
    assert!(prompt.iter().any(|(_, text)| text == "I am here."), "the model knows what the person said: {prompt:?}");
}

#[tokio::test]
async fn a_model_calls_a_person_by_a_tool_and_never_by_a_word() {
    let call = |content: Option<&str>| {
        json!({ "model": "m", "choices": [{ "finish_reason": "tool_calls", "message": { "content": content, "tool_calls": [{
            "id": "call_1", "type": "function",
            "function": { "name": "hand_over", "arguments": "{\"reason\": \"wants a refund\"}" } }] } }] })
    };
    for (answer, texts) in
        [(call(Some("I see.")), &["I see.", "A person will come."][..]), (call(None), &["A person will come."])]
    {
        let house = House::with(&[("MYNAH_TEXT_HUMAN", "A person will come.")]).await;
        house.twilio_takes_everything().await;
        house.ask_model().respond_with(ResponseTemplate::new(200).set_body_json(answer)).mount(&house.model).await;
        house.say(ANA, "I want my money back!").await;
        for _ in 0..3 {
            house.drain().await;
            house.advance(3);
        }
        house.say(ANA, "hello?").await;
        house.drain().await;
        assert_eq!(
            (house.texts().await, house.prompts().await.len()),
            (texts.iter().map(|text| (*text).to_owned()).collect(), 1)
        );
        let alerts = house.app.store.alerts(9).await.unwrap();
        assert!(alerts.len() == 1 && alerts[0].cause == "hand_over" && alerts[0].message.contains("wants a refund"));
        let asked: serde_json::Value = house.model.received_requests().await.unwrap()[0].body_json().unwrap();
        assert_eq!(asked["tools"][0]["function"]["name"], "hand_over");
    }
    let house = House::with(&[]).await;
    house.twilio_takes_everything().await;
    house.model_says("hand_over {\"reason\": \"I say so\"}").await;
    house.say(ANA, "say hand_over").await;
    house.drain().await;
    assert!(house.app.store.alerts(9).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_model_that_knows_no_tools_is_asked_without() {
    let house = House::with(&[]).await;
    house.twilio_takes_everything().await;
    let refused = json!({ "error": { "message": "registry.ollama.ai/library/tiny does not support tools" } });
    house
        .ask_model()
        .respond_with(ResponseTemplate::new(400).set_body_json(refused))
        .up_to_n_times(1)
        .mount(&house.model)
        .await;
    house.model_says("Hello!").await;
    for _ in 0..2 {
        house.say(ANA, "hello").await;
        house.drain().await;
    }
    assert_eq!(house.texts().await, ["Hello!", "Hello!"]);
    let asked = house.model.received_requests().await.unwrap();
    let offered: Vec<_> =
        asked.iter().map(|request| request.body_json::<serde_json::Value>().unwrap()["tools"].is_array()).collect();
    assert_eq!(offered, [true, false, false], "and it is remembered");
}

#[tokio::test]
async fn a_contact_is_told_that_an_operator_takes_over() {
    let house = House::with(&[("MYNAH_TEXT_HUMAN", "A person will come.")]).await;
    house.twilio_takes_everything().await;
    house.model_says("Hello!").await;
    house.say(ANA, "hello").await;
    let (id, now, tell) = (house.conversation(), house.app.clock.now(), Some("A person will come.".to_owned()));
    assert!(house.app.store.take_over(id, None, "an operator took over".into(), tell, now).await.unwrap());
    house.drain().await;
    house.say(ANA, "hello?").await;
    house.drain().await;
    assert_eq!((house.texts().await, house.prompts().await.len()), (vec!["A person will come.".to_owned()], 0));
    assert!(house.app.store.return_to_assistant(id).await.unwrap());
    house.say(ANA, "hello??").await;
    house.drain().await;
    assert_eq!(house.texts().await.last().unwrap(), "Hello!");
}

#[tokio::test]
async fn a_blocked_contact_is_neither_answered_nor_written_to() {
    let house = House::new().await;
    let (ana, now) = (Address::parse("+12025550101").unwrap(), house.app.clock.now());
    house.app.store.set_blocked(ana.clone(), true, now).await.unwrap();
    house.say(ANA, "hello").await;
    house.drain().await;
    assert_eq!((house.texts().await.len(), house.states().await), (0, vec!["skipped".to_owned()]));
    assert_eq!(house.count("SELECT COUNT(*) FROM messages"), 1, "what was said is stored");
    house.app.store.set_blocked(ana, false, now).await.unwrap();
    house.say(ANA, "hello?").await;
    house.drain().await;
    assert_eq!(house.texts().await, ["Hello!"]);
}

#[tokio::test]
async fn what_an_operator_says_waits_for_what_is_being_sent_and_is_sent_once() {
    let house = House::with(&[]).await;
    house.model_says("Hello!").await;
    house.post_messages().respond_with(ResponseTemplate::new(500)).up_to_n_times(1).mount(&house.twilio).await;
    house.twilio_takes_everything().await;
    let found = json!([]);
    house
        .list_messages()
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({ "messages": found, "next_page_uri": null })))
        .mount(&house.twilio)
        .await;
    house.say(ANA, "hello").await;
    house.drain().await;
    let (id, now) = (house.conversation(), house.app.clock.now());
    house.app.store.send_operator_message(id, "One moment.".into(), None, now).await.unwrap();
    house.app.store.send_operator_message(id, "I am looking.".into(), None, now).await.unwrap();
    house.drain().await;
    assert_eq!(house.texts().await, ["Hello!"], "nobody knows yet whether that was sent");
    for seconds in [2, 5, 15, 40, 90, 1] {
        house.advance(seconds);
        house.drain().await;
    }
    house.advance(10);
    house.drain().await;
    assert_eq!(house.texts().await, ["Hello!", "Hello!", "One moment.", "I am looking."]);
}

#[tokio::test]
async fn the_assistant_returns_after_a_while_though_no_person_came() {
    let log = Log::listen();
    let house = House::with(&[("MYNAH_HUMAN_RETURN", "1h")]).await;
    house.twilio_takes_everything().await;
    house.model_says("Hello!").await;
    house.say(ANA, "/human").await;
    house.drain().await;
    assert_eq!(log.count("ERROR", "a person is wanted"), 1, "the owner is told at once");
    house.advance(3599);
    house.say(ANA, "hello?").await;
    house.drain().await;
    assert_eq!(house.prompts().await.len(), 0);
    house.advance(1);
    house.say(ANA, "hello??").await;
    house.drain().await;
    assert_eq!(house.texts().await.last().unwrap(), "Hello!");
}

#[tokio::test]
async fn a_model_that_may_not_call_a_person_is_offered_no_tool() {
    let house = House::with(&[("MYNAH_MODEL_HAND_OVER", "false")]).await;
    house.twilio_takes_everything().await;
    house.model_says("Hello!").await;
    house.say(ANA, "hello").await;
    house.drain().await;
    let asked: serde_json::Value = house.model.received_requests().await.unwrap()[0].body_json().unwrap();
    assert!(asked.get("tools").is_none(), "{asked}");
}

#[tokio::test]
async fn the_owner_adds_words_of_their_own_and_they_are_ordinary_words_otherwise() {
    for (words, texts) in [(("Arrêt, BAJA", "alta"), &[STOPPED, "Hello!"][..]), (("none", "none"), &["Hello!"; 4])] {
        let house = House::with(&[
            ("MYNAH_OPT_OUT_WORDS", words.0),
            ("MYNAH_OPT_IN_WORDS", words.1),
            ("MYNAH_TEXT_STARTED", "Hello!"),
        ])
        .await;
        house.twilio_takes_everything().await;
        house.model_says("Hello!").await;
        for text in ["arrêt", "baja", "are you there?", "ALTA!"] {
            house.say(ANA, text).await;
            house.drain().await;
        }
        assert_eq!(house.texts().await, texts);
    }
}
