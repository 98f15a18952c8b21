//! Models that keep failing are not asked for a while, and then tried again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mynah::fault::Fault;
use tokio::sync::{Notify, Semaphore};
use wiremock::ResponseTemplate;

use super::fallbacks::{app_with_second_model, second_model};
use crate::setup::test_app::{ANA, BEN, TestApp, completion};

#[tokio::test]
async fn a_model_that_keeps_failing_is_not_asked_for_a_while_and_tried_again_later() {
    let second = second_model(ResponseTemplate::new(200).set_body_json(completion("From the spare."))).await;
    let test_app = app_with_second_model(&second).await;
    test_app.mock_completion().respond_with(ResponseTemplate::new(503)).up_to_n_times(5).mount(&test_app.model).await;
    test_app.model_answers("From the first.").await;
    for number in 0..10 {
        test_app.contact_writes(ANA, &format!("question {number}")).await;
        test_app.drain().await;
    }
    assert_eq!(test_app.prompts().await.len(), 5, "after five failures nobody asks it");
    assert_eq!(test_app.sent_texts().await, ["From the spare."; 10]);
    let alerts = test_app.app.store.alerts(10).await.unwrap();
    assert!(alerts.len() == 1 && alerts[0].cause == "model" && alerts[0].message.contains("keeps failing"));
    test_app.advance(30);
    test_app.contact_writes(ANA, "and now?").await;
    test_app.drain().await;
    assert_eq!(test_app.sent_texts().await.last().unwrap(), "From the first.");
}

/// A model that fails five times, then once after a long time, and then answers.
struct RecoveringModel {
    calls: AtomicUsize,
    asked: Arc<Notify>,
    fail: Arc<Notify>,
}

#[async_trait::async_trait]
impl mynah::ai::Provider for RecoveringModel {
    fn name(&self) -> &str {
        "ill"
    }
    async fn complete(&self, _: &mynah::ai::Prompt) -> Result<mynah::ai::Completion, Fault> {
        match self.calls.fetch_add(1, Ordering::SeqCst) {
            0..5 => Err(Fault::retry("503")),
            5 => {
                self.asked.notify_one();
                self.fail.notified().await;
                Err(Fault::retry("503"))
            }
            _ => Ok(mynah::ai::Completion {
                text: "Well again.".into(),
                finish: mynah::ai::Finish::Stop,
                usage: mynah::model::Usage::default(),
                model: "ill".into(),
                hand_over: None,
            }),
        }
    }
    async fn check(&self) -> Result<String, Fault> {
        Ok(String::new())
    }
}

#[tokio::test]
async fn a_probe_that_is_given_up_is_made_again() {
    let test_app = TestApp::with_settings(&[("MYNAH_BURST", "restart")]).await;
    test_app.twilio_accepts_everything().await;
    let (asked, fail) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let ill = RecoveringModel { calls: AtomicUsize::new(0), asked: Arc::clone(&asked), fail: Arc::clone(&fail) };
    let test_app = test_app.with_model(ill);
    test_app.contact_writes(BEN, "hello").await;
    for _ in 0..5 {
        test_app.drain().await;
        test_app.advance(310);
    }
    assert!(test_app.app.store.discard(mynah::model::TurnId(1), test_app.app.clock.now()).await.unwrap());
    test_app.contact_writes(ANA, "one").await;
    let more = async {
        asked.notified().await;
        test_app.contact_writes(ANA, "two").await;
        // Every task that is ready runs before this one goes on, so that call is canceled before it fails.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        fail.notify_one();
    };
    tokio::join!(test_app.drain(), more);
    test_app.drain().await;
    assert_eq!(test_app.sent_texts().await, ["Well again."]);
}

/// A model that signals when it is asked, and fails on a signal.
struct FailingOnSignalModel {
    asked: Arc<Semaphore>,
    fails: Arc<Semaphore>,
}

#[async_trait::async_trait]
impl mynah::ai::Provider for FailingOnSignalModel {
    fn name(&self) -> &str {
        "down"
    }
    async fn complete(&self, _: &mynah::ai::Prompt) -> Result<mynah::ai::Completion, Fault> {
        self.asked.add_permits(1);
        self.fails.acquire().await.unwrap().forget();
        Err(Fault::retry("no answer in time"))
    }
    async fn check(&self) -> Result<String, Fault> {
        Ok(String::new())
    }
}

#[tokio::test]
async fn those_who_queue_for_a_model_do_not_ask_one_that_was_found_to_fail_meanwhile() {
    let test_app = TestApp::with_settings(&[]).await;
    let (asked, fails) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let test_app = test_app.with_model(FailingOnSignalModel { asked: Arc::clone(&asked), fails: Arc::clone(&fails) });
    for number in 0..20 {
        test_app.contact_writes(&format!("whatsapp:+1202555{number:04}"), "hello").await;
    }
    let alerts = async {
        // Eight calls run at once; the others queue.
        asked.acquire_many(8).await.unwrap().forget();
        while test_app.query_integer("SELECT COUNT(*) FROM turns WHERE state = 'running'") < 20 {
            tokio::task::yield_now().await;
        }
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        fails.add_permits(20);
    };
    tokio::join!(test_app.drain(), alerts);
    assert_eq!(asked.available_permits(), 0, "more were asked than those eight");
    assert_eq!(test_app.query_integer("SELECT COUNT(*) FROM turns WHERE state = 'retry' AND attempts = 0"), 12);
}
