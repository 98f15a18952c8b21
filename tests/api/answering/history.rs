//! The model sees the latest messages, whoever wrote them.

use std::time::Duration;

use mynah::model::{Address, Inbound, ProviderId};
use wiremock::ResponseTemplate;

use crate::setup::test_app::{ANA, OUR_NUMBER, TestApp};

#[tokio::test]
async fn no_answer_comes_from_a_stale_context_window_whoever_wrote() {
    let test_app = TestApp::new().await;
    test_app.contact_writes(ANA, "hello").await;
    test_app.drain().await;
    let id = test_app.latest_conversation();
    for round in 0..20 {
        // An operator beside us, with a store of their own, and a webhook at the same time.
        let beside = mynah::store::Store::open(
            &test_app.folder.path().join("mynah.db"),
            mynah::store::StoreOptions::new(Duration::ZERO, Duration::from_secs(86_400)),
        )
        .unwrap();
        let (now, said) = (test_app.app.clock.now(), format!("operator {round}"));
        let question = format!("contact {round}");
        let (spoken, ()) = tokio::join!(
            beside.send_operator_message(id, said.clone(), None, now),
            test_app.contact_writes(ANA, &question)
        );
        spoken.unwrap();
        assert!(beside.return_to_assistant(id).await.unwrap());
        test_app.drain().await;
        test_app.advance(40);
        test_app.contact_writes(ANA, &format!("question {round}")).await;
        test_app.drain().await;
        let prompt = test_app.prompts().await.pop().unwrap();
        let texts: Vec<_> = prompt.iter().map(|(_, text)| text.as_str()).collect();
        for text in [said, question, format!("question {round}")] {
            assert!(texts.contains(&text.as_str()), "{text} is missing in {texts:?}");
        }
        test_app.advance(40);
    }
}

#[tokio::test]
async fn a_current_context_window_is_not_read_again() {
    let test_app = TestApp::new().await;
    for text in ["one", "two", "three"] {
        test_app.contact_writes(ANA, text).await;
        test_app.drain().await;
    }
    // Only a cache can still hold the old text; a write that raises the revision makes mynah read it again.
    test_app.execute_sql("UPDATE messages SET content = 'changed' WHERE content = 'one'");
    test_app.contact_writes(ANA, "four").await;
    test_app.drain().await;
    let seen = |prompt: &[(String, String)], text: &str| prompt.iter().any(|(_, said)| said == text);
    assert!(seen(test_app.prompts().await.last().unwrap(), "one"));
    test_app.execute_sql("UPDATE conversations SET revision = revision + 1");
    test_app.contact_writes(ANA, "five").await;
    test_app.drain().await;
    let prompt = test_app.prompts().await.pop().unwrap();
    assert!(seen(&prompt, "changed") && !seen(&prompt, "one"), "{prompt:?}");
}

/// Another process stores a message and does not notify this one.
#[tokio::test]
async fn a_message_that_another_process_took_is_seen() {
    let test_app = TestApp::new().await;
    for text in ["one", "two"] {
        test_app.contact_writes(ANA, text).await;
        test_app.drain().await;
    }
    let options = mynah::store::StoreOptions::new(Duration::ZERO, Duration::from_secs(86_400));
    let beside = mynah::store::Store::open(&test_app.folder.path().join("mynah.db"), options).unwrap();
    let message = Inbound {
        channel: "twilio",
        provider_id: ProviderId("SM-beside".into()),
        from: Address::parse(ANA.trim_start_matches("whatsapp:")).unwrap().into(),
        reply_to: ANA.into(),
        to: OUR_NUMBER.into(),
        profile_name: None,
        text: "three".into(),
        attachments: Vec::new(),
        quoted_id: None,
        keyword_text: "three".into(),
        metadata: serde_json::Map::new(),
        received_at: test_app.app.clock.now(),
    };
    beside.receive_plain(message, None).await.unwrap();
    test_app.drain().await;
    let prompt = test_app.prompts().await.pop().unwrap();
    assert_eq!(prompt.last().unwrap().1, "three", "{prompt:?}");
    assert_eq!(test_app.sent_texts().await.len(), 3);
}

#[tokio::test]
async fn a_second_try_does_not_see_what_the_next_turn_answers() {
    let test_app = TestApp::new().await;
    for text in ["one", "two"] {
        test_app.contact_writes(ANA, text).await;
        test_app.drain().await;
    }
    let busy = ResponseTemplate::new(503);
    test_app.mock_completion().respond_with(busy).up_to_n_times(1).with_priority(1).mount(&test_app.model).await;
    test_app.contact_writes(ANA, "three").await;
    test_app.drain().await;
    test_app.contact_writes(ANA, "four").await;
    test_app.advance(10);
    test_app.drain().await;
    test_app.drain().await;
    let last: Vec<_> = test_app.prompts().await[2..].iter().map(|prompt| prompt.last().unwrap().1.clone()).collect();
    assert_eq!(last, ["three", "three", "four"]);
}

#[tokio::test]
async fn a_window_is_kept_no_longer_than_its_conversation_lives() {
    let test_app = TestApp::with_settings(&[("MYNAH_CONVERSATION_TTL", "1h")]).await;
    test_app.twilio_accepts_everything().await;
    test_app.model_answers("Hello!").await;
    for text in ["one", "two"] {
        test_app.contact_writes(ANA, text).await;
        test_app.drain().await;
    }
    let key = format!("window {}", test_app.latest_conversation());
    test_app.advance(3599);
    assert!(test_app.app.cache.get(&key).await.is_some());
    test_app.advance(1);
    assert!(test_app.app.cache.get(&key).await.is_none());
}

#[tokio::test]
async fn texts_of_our_own_are_in_the_history_whether_or_not_it_is_cached() {
    let mut test_app =
        TestApp::with_settings(&[("MYNAH_RATE_LIMIT", "3/1m"), ("MYNAH_TEXT_SLOW_DOWN", "Slowly!")]).await;
    test_app.twilio_accepts_everything().await;
    test_app.model_answers("Hello!").await;
    let mut prompts = Vec::new();
    for restart in [false, true] {
        for number in 0..4 {
            test_app.contact_writes(ANA, &format!("message {number}")).await;
            test_app.drain().await;
        }
        test_app.advance(60);
        test_app.drain().await;
        if restart {
            test_app = test_app.restarted_with(&[]).await;
        }
        test_app.contact_writes(ANA, "and?").await;
        test_app.drain().await;
        prompts.push(test_app.prompts().await.pop().unwrap()[1..].to_vec());
        test_app.contact_writes(ANA, "/reset").await;
        test_app.drain().await;
        test_app.advance(600);
    }
    assert_eq!(prompts[0], prompts[1]);
    assert!(prompts[0].contains(&("assistant".to_owned(), "Slowly!".to_owned())), "{:?}", prompts[0]);
}
