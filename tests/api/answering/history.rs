//! What the model is shown is what was said last, whoever said it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mynah::ai::{Completion, Finish, Prompt, Provider};
use mynah::fault::Fault;
use mynah::model::{Address, Inbound, ProviderId, Usage};
use mynah::work::schedule;
use tokio::sync::Notify;
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

#[tokio::test]
async fn idle_conversations_end_and_old_ones_go_with_all_that_was_said() {
    let house = TestApp::with_settings(&[("MYNAH_RETENTION", "2d"), ("MYNAH_WEBHOOK_LOG_RETENTION", "1d")]).await;
    house.twilio_accepts_everything().await;
    house.model_answers("Hello!").await;
    house.contact_writes(ANA, "hello").await;
    house.drain().await;
    let runs = schedule::run(&house.app, false).await.unwrap();
    assert_eq!(runs.len(), 7, "each runs at the first start");
    assert_eq!(schedule::run(&house.app, false).await.unwrap(), [], "and not again before its time");
    house.advance(24 * 3600 + 1);
    let runs = schedule::run(&house.app, false).await.unwrap();
    let results: Vec<_> = runs.iter().map(|run| run.result.as_str()).collect();
    assert!(results.contains(&"1 conversations ended") && results.contains(&"1 lines of the webhook log deleted"));
    assert_eq!(house.query_integer("SELECT COUNT(*) FROM conversations WHERE ended_at IS NULL"), 0);
    house.contact_writes(ANA, "me again").await;
    house.drain().await;
    house.advance(2 * 24 * 3600 + 1);
    schedule::run(&house.app, false).await.unwrap();
    for (table, left) in [("conversations", 1), ("messages", 2), ("turns", 1), ("parts", 1)] {
        assert_eq!(house.query_integer(&format!("SELECT COUNT(*) FROM {table}")), left, "{table}: the second is left");
    }
    let status = house.app.store.schedule().await.unwrap();
    assert!(status.len() == 7 && status.iter().all(|job| !job.failed && job.next_run_at > job.last_run_at));
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

/// A model that waits for a sign, and tells when it was asked.
struct ModelAnsweringOnSignal {
    asked: Arc<Notify>,
    answer: Arc<Notify>,
    given_up: Arc<AtomicUsize>,
}

/// Counts a call that ends without an answer.
struct CountIfGivenUp<'a>(&'a AtomicUsize);

impl Drop for CountIfGivenUp<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[async_trait::async_trait]
impl Provider for ModelAnsweringOnSignal {
    fn name(&self) -> &str {
        "slow"
    }

    async fn complete(&self, prompt: &Prompt) -> Result<Completion, Fault> {
        let call = CountIfGivenUp(&self.given_up);
        self.asked.notify_one();
        self.answer.notified().await;
        std::mem::forget(call);
        let text = prompt.messages.iter().map(|line| line.text.as_str()).collect::<Vec<_>>().join(" + ");
        Ok(Completion { text, finish: Finish::Stop, usage: Usage::default(), model: "slow".into(), hand_over: None })
    }

    async fn check(&self) -> Result<String, Fault> {
        Ok(String::new())
    }
}

/// The answers, and how many calls were given up.
async fn two_messages_the_second_while_the_model_works(burst: &str) -> (Vec<String>, usize) {
    let (asked, go, given_up) = (Arc::new(Notify::new()), Arc::new(Notify::new()), Arc::new(AtomicUsize::new(0)));
    let house = TestApp::with_settings(&[("MYNAH_BURST", burst)]).await;
    house.twilio_accepts_everything().await;
    let house = house.with_model(ModelAnsweringOnSignal {
        asked: Arc::clone(&asked),
        answer: Arc::clone(&go),
        given_up: Arc::clone(&given_up),
    });
    house.contact_writes(ANA, "one").await;
    let second = async {
        asked.notified().await;
        house.contact_writes(ANA, "two").await;
        // More than enough for whoever was told to give up: all that is awake runs before this goes on.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        go.notify_one();
        asked.notified().await;
        go.notify_one();
    };
    let all = async {
        house.drain().await;
        house.drain().await;
    };
    tokio::join!(second, all);
    (house.sent_texts().await, given_up.load(Ordering::SeqCst))
}

#[tokio::test]
async fn a_takeover_while_the_model_works_leaves_a_keyword_answered() {
    let (asked, go, given_up) = (Arc::new(Notify::new()), Arc::new(Notify::new()), Arc::new(AtomicUsize::new(0)));
    let house = TestApp::with_settings(&[("MYNAH_TEXT_HELP", "Help!"), ("MYNAH_MERGE_WINDOW", "5s")]).await;
    house.twilio_accepts_everything().await;
    let house =
        house.with_model(ModelAnsweringOnSignal { asked: Arc::clone(&asked), answer: Arc::clone(&go), given_up });
    for again in [false, true] {
        house.contact_writes(ANA, "one").await;
        house.contact_writes(ANA, "/help").await;
        let id = house.latest_conversation();
        if !again {
            let person = async {
                asked.notified().await;
                let now = house.app.clock.now();
                assert!(house.app.store.take_over(id, None, "so".into(), None, now).await.unwrap());
                go.notify_one();
            };
            tokio::join!(person, house.drain());
            assert!(house.app.store.return_to_assistant(id).await.unwrap());
        } else {
            // Nor is the model asked where they took over before.
            let now = house.app.clock.now();
            assert!(house.app.store.take_over(id, None, "so".into(), None, now).await.unwrap());
            house.drain().await;
        }
        house.advance(10);
        house.drain().await;
    }
    assert_eq!(house.sent_texts().await, ["Help!", "Help!"]);
}

#[tokio::test]
async fn a_message_that_arrives_while_the_model_works_is_answered_next() {
    let (texts, given_up) = two_messages_the_second_while_the_model_works("next").await;
    assert_eq!((texts, given_up), (vec!["one".to_owned(), "one + one + two".to_owned()], 0));
}

#[tokio::test]
async fn a_message_that_arrives_while_the_model_works_is_answered_together_where_the_owner_wants_that() {
    let (texts, given_up) = two_messages_the_second_while_the_model_works("restart").await;
    assert_eq!((texts, given_up), (vec!["one + two".to_owned()], 1), "nobody waits for the first call");
}

#[tokio::test]
async fn a_stored_setting_is_read_from_the_database_also_beside_a_server() {
    let house = TestApp::new().await;
    let database = house.folder.path().join("mynah.db");
    assert!(mynah::store::stored_settings(&house.folder.path().join("none.db")).unwrap().is_empty());
    let now = house.app.clock.now();
    for value in ["false", "true"] {
        house.app.store.put_setting("MYNAH_TYPING", value.into(), now).await.unwrap();
        assert_eq!(mynah::store::stored_settings(&database).unwrap()["MYNAH_TYPING"], value);
    }
    assert!(house.app.store.delete_setting("MYNAH_TYPING").await.unwrap());
    assert!(!house.app.store.delete_setting("MYNAH_TYPING").await.unwrap());
    assert!(mynah::store::stored_settings(&database).unwrap().is_empty());
}

#[tokio::test]
async fn alerts_go_once_they_have_not_happened_again_for_the_retention() {
    let house = TestApp::with_settings(&[("MYNAH_RETENTION", "2d")]).await;
    let alert = async |subject: &str| {
        house
            .app
            .store
            .record_alert("budget", subject.to_owned(), "it is spent".to_owned(), house.app.clock.now())
            .await
            .unwrap();
    };
    let cleaned = async || {
        let runs = schedule::run(&house.app, true).await.unwrap();
        runs.into_iter().find(|run| run.job == "delete_old_alerts").unwrap().result
    };
    alert("once").await;
    alert("again").await;
    house.advance(24 * 3600);
    alert("again").await;
    house.advance(24 * 3600);
    assert_eq!(cleaned().await, "0 alerts deleted", "none is older than two days");
    house.advance(1);
    assert_eq!(cleaned().await, "1 alerts deleted");
    let left = house.app.store.alerts(9).await.unwrap();
    assert!(left.len() == 1 && left[0].subject == "again" && left[0].count == 2, "{left:?}");
    let house = house.restarted_with(&[("MYNAH_RETENTION", "0")]).await;
    house.advance(1_000 * 24 * 3600);
    schedule::run(&house.app, true).await.unwrap();
    assert_eq!(house.app.store.alerts(9).await.unwrap().len(), 1, "nothing is deleted where everything is kept");
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
