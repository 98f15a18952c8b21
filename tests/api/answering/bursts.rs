//! Messages that arrive while the model works on those before them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mynah::ai::{Completion, Finish, Prompt, Provider};
use mynah::fault::Fault;
use mynah::model::Usage;
use tokio::sync::Notify;

use crate::setup::test_app::{ANA, TestApp};

/// A model that signals when it is asked, and answers on a signal.
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
    let test_app = TestApp::with_settings(&[("MYNAH_BURST", burst)]).await;
    test_app.twilio_accepts_everything().await;
    let test_app = test_app.with_model(ModelAnsweringOnSignal {
        asked: Arc::clone(&asked),
        answer: Arc::clone(&go),
        given_up: Arc::clone(&given_up),
    });
    test_app.contact_writes(ANA, "one").await;
    let second = async {
        asked.notified().await;
        test_app.contact_writes(ANA, "two").await;
        // Enough for a canceled call to end: every task that is ready runs before this one goes on.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        go.notify_one();
        asked.notified().await;
        go.notify_one();
    };
    let all = async {
        test_app.drain().await;
        test_app.drain().await;
    };
    tokio::join!(second, all);
    (test_app.sent_texts().await, given_up.load(Ordering::SeqCst))
}

#[tokio::test]
async fn a_takeover_while_the_model_works_leaves_a_keyword_answered() {
    let (asked, go, given_up) = (Arc::new(Notify::new()), Arc::new(Notify::new()), Arc::new(AtomicUsize::new(0)));
    let test_app = TestApp::with_settings(&[("MYNAH_TEXT_HELP", "Help!"), ("MYNAH_MERGE_WINDOW", "5s")]).await;
    test_app.twilio_accepts_everything().await;
    let test_app =
        test_app.with_model(ModelAnsweringOnSignal { asked: Arc::clone(&asked), answer: Arc::clone(&go), given_up });
    for again in [false, true] {
        test_app.contact_writes(ANA, "one").await;
        test_app.contact_writes(ANA, "/help").await;
        let id = test_app.latest_conversation();
        if !again {
            let person = async {
                asked.notified().await;
                let now = test_app.app.clock.now();
                assert!(test_app.app.store.take_over(id, None, "so".into(), None, now).await.unwrap());
                go.notify_one();
            };
            tokio::join!(person, test_app.drain());
            assert!(test_app.app.store.return_to_assistant(id).await.unwrap());
        } else {
            // The model is not asked either if the person took over before.
            let now = test_app.app.clock.now();
            assert!(test_app.app.store.take_over(id, None, "so".into(), None, now).await.unwrap());
            test_app.drain().await;
        }
        test_app.advance(10);
        test_app.drain().await;
    }
    assert_eq!(test_app.sent_texts().await, ["Help!", "Help!"]);
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
