//! What the model is shown is what was said last, whoever said it.

use std::time::Duration;

use mynah::model::{Address, Inbound, ProviderId};
use wiremock::ResponseTemplate;

use crate::setup::test_app::{ANA, OUR_NUMBER, TestApp};

#[tokio::test]
async fn no_answer_comes_from_a_stale_context_window_whoever_wrote() {
    let house = TestApp::new().await;
    house.contact_writes(ANA, "hello").await;
    house.drain().await;
    let id = house.latest_conversation();
    for round in 0..20 {
        // An operator beside us, with a store of their own, and a webhook at the same time.
        let beside = mynah::store::Store::open(
            &house.folder.path().join("mynah.db"),
            mynah::store::StoreOptions::new(Duration::ZERO, Duration::from_secs(86_400)),
        )
        .unwrap();
        let (now, said) = (house.app.clock.now(), format!("operator {round}"));
        let heard = format!("contact {round}");
        let (spoken, ()) =
            tokio::join!(beside.send_operator_message(id, said.clone(), None, now), house.contact_writes(ANA, &heard));
        spoken.unwrap();
        assert!(beside.return_to_assistant(id).await.unwrap());
        house.drain().await;
        house.advance(40);
        house.contact_writes(ANA, &format!("question {round}")).await;
        house.drain().await;
        let prompt = house.prompts().await.pop().unwrap();
        let texts: Vec<_> = prompt.iter().map(|(_, text)| text.as_str()).collect();
        for text in [said, heard, format!("question {round}")] {
            assert!(texts.contains(&text.as_str()), "{text} is missing in {texts:?}");
        }
        house.advance(40);
    }
}

#[tokio::test]
async fn a_current_context_window_is_not_read_again() {
    let house = TestApp::new().await;
    for text in ["one", "two", "three"] {
        house.contact_writes(ANA, text).await;
        house.drain().await;
    }
    // Nobody but a cache can still know what stood here; a write that raises the revision makes it look again.
    house.execute_sql("UPDATE messages SET content = 'changed' WHERE content = 'one'");
    house.contact_writes(ANA, "four").await;
    house.drain().await;
    let seen = |prompt: &[(String, String)], text: &str| prompt.iter().any(|(_, said)| said == text);
    assert!(seen(house.prompts().await.last().unwrap(), "one"));
    house.execute_sql("UPDATE conversations SET revision = revision + 1");
    house.contact_writes(ANA, "five").await;
    house.drain().await;
    let prompt = house.prompts().await.pop().unwrap();
    assert!(seen(&prompt, "changed") && !seen(&prompt, "one"), "{prompt:?}");
}

/// Another process stores a message, without a word to this one.
#[tokio::test]
async fn a_message_that_another_process_took_is_seen() {
    let house = TestApp::new().await;
    for text in ["one", "two"] {
        house.contact_writes(ANA, text).await;
        house.drain().await;
    }
    let options = mynah::store::StoreOptions::new(Duration::ZERO, Duration::from_secs(86_400));
    let beside = mynah::store::Store::open(&house.folder.path().join("mynah.db"), options).unwrap();
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
        received_at: house.app.clock.now(),
    };
    beside.receive_plain(message, None).await.unwrap();
    house.drain().await;
    let prompt = house.prompts().await.pop().unwrap();
    assert_eq!(prompt.last().unwrap().1, "three", "{prompt:?}");
    assert_eq!(house.sent_texts().await.len(), 3);
}

#[tokio::test]
async fn a_second_try_does_not_see_what_the_next_turn_answers() {
    let house = TestApp::new().await;
    for text in ["one", "two"] {
        house.contact_writes(ANA, text).await;
        house.drain().await;
    }
    let busy = ResponseTemplate::new(503);
    house.mock_completion().respond_with(busy).up_to_n_times(1).with_priority(1).mount(&house.model).await;
    house.contact_writes(ANA, "three").await;
    house.drain().await;
    house.contact_writes(ANA, "four").await;
    house.advance(10);
    house.drain().await;
    house.drain().await;
    let last: Vec<_> = house.prompts().await[2..].iter().map(|prompt| prompt.last().unwrap().1.clone()).collect();
    assert_eq!(last, ["three", "three", "four"]);
}

#[tokio::test]
async fn a_window_is_kept_no_longer_than_its_conversation_lives() {
    let house = TestApp::with_settings(&[("MYNAH_CONVERSATION_TTL", "1h")]).await;
    house.twilio_accepts_everything().await;
    house.model_answers("Hello!").await;
    for text in ["one", "two"] {
        house.contact_writes(ANA, text).await;
        house.drain().await;
    }
    let key = format!("window {}", house.latest_conversation());
    house.advance(3599);
    assert!(house.app.cache.get(&key).await.is_some());
    house.advance(1);
    assert!(house.app.cache.get(&key).await.is_none());
}

#[tokio::test]
async fn texts_of_our_own_are_in_the_history_whether_or_not_it_is_cached() {
    let mut house = TestApp::with_settings(&[("MYNAH_RATE_LIMIT", "3/1m"), ("MYNAH_TEXT_SLOW_DOWN", "Slowly!")]).await;
    house.twilio_accepts_everything().await;
    house.model_answers("Hello!").await;
    let mut prompts = Vec::new();
    for restart in [false, true] {
        for number in 0..4 {
            house.contact_writes(ANA, &format!("message {number}")).await;
            house.drain().await;
        }
        house.advance(60);
        house.drain().await;
        if restart {
            house = house.restarted_with(&[]).await;
        }
        house.contact_writes(ANA, "and?").await;
        house.drain().await;
        prompts.push(house.prompts().await.pop().unwrap()[1..].to_vec());
        house.contact_writes(ANA, "/reset").await;
        house.drain().await;
        house.advance(600);
    }
    assert_eq!(prompts[0], prompts[1]);
    assert!(prompts[0].contains(&("assistant".to_owned(), "Slowly!".to_owned())), "{:?}", prompts[0]);
}
