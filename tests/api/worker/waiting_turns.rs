//! Turns that wait, are taken over, or run out of time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use mynah::ai::{Completion, Finish, Prompt, Provider};
use mynah::clock::{Clock, ManualClock, Time};
use mynah::fault::Fault;
use mynah::model::Usage;
use mynah::work;
use tokio::sync::Semaphore;
use wiremock::ResponseTemplate;

use crate::setup::test_app::{ANA, TestApp, body_text};

#[tokio::test]
async fn without_a_model_messages_are_accepted_and_wait() {
    let test_app =
        TestApp::with_settings(&[("OPENAI_API_KEY", ""), ("OPENAI_BASE_URL", ""), ("MYNAH_AI_MODEL", "")]).await;
    test_app.twilio_accepts_everything().await;
    test_app.model_answers("Here at last.").await;
    test_app.contact_writes(ANA, "hello").await;
    test_app.advance(3600);
    assert_eq!(test_app.drain().await, 0);
    assert_eq!(test_app.turn_states().await, ["open"]);
    let ready = body_text(test_app.get("/readyz").await).await;
    assert!(ready.contains("\"configured\":false") && ready.contains("MYNAH_AI_PROVIDER"), "{ready}");
    let base = format!("{}/v1", test_app.model.uri());
    let test_app = test_app.restarted_with(&[("OPENAI_BASE_URL", &base), ("MYNAH_AI_MODEL", "test-model")]).await;
    test_app.drain().await;
    assert_eq!(test_app.sent_texts().await, ["Here at last."]);
}

#[tokio::test]
async fn nothing_is_sent_later_than_23_hours_after_the_last_message() {
    let test_app = TestApp::new().await;
    test_app.contact_writes(ANA, "hello").await;
    test_app.advance(23 * 3600);
    test_app.drain().await;
    assert_eq!((test_app.sent_texts().await.len(), test_app.turn_states().await), (0, vec!["expired".to_owned()]));
    assert_eq!(test_app.prompts().await.len(), 0, "the model is not asked either");
    test_app.contact_writes(ANA, "hello again").await;
    test_app.drain().await;
    assert_eq!(test_app.turn_states().await, ["expired", "done"]);
}

/// A model that needs so long by the clock of the test app, but only the first time.
struct ClockAdvancingModel {
    clock: ManualClock,
    duration: Mutex<Duration>,
}

#[async_trait]
impl Provider for ClockAdvancingModel {
    fn name(&self) -> &str {
        "slow"
    }
    async fn complete(&self, _: &Prompt) -> Result<Completion, Fault> {
        self.clock.advance(std::mem::take(&mut self.duration.lock().unwrap()));
        let (text, model) = ("At last.".into(), "slow".into());
        Ok(Completion { text, finish: Finish::Stop, usage: Usage::default(), model, hand_over: None })
    }
    async fn check(&self) -> Result<String, Fault> {
        Ok(String::new())
    }
}

#[tokio::test]
async fn an_answer_that_comes_too_late_is_not_sent_and_its_turn_expires() {
    let test_app = TestApp::new().await;
    let (clock, by) = (test_app.clock.clone(), Mutex::new(Duration::from_secs(23 * 3600)));
    let test_app = test_app.with_model(ClockAdvancingModel { clock, duration: by });
    test_app.contact_writes(ANA, "hello").await;
    test_app.drain().await;
    assert_eq!((test_app.sent_texts().await.len(), test_app.turn_states().await), (0, vec!["expired".to_owned()]));
    assert_eq!(test_app.turns().await[0].error.as_deref(), Some("the answer came after its deadline"));
    let kept = test_app.query_integer("SELECT COUNT(*) FROM messages WHERE role = 'assistant'");
    assert_eq!(kept, 0, "the model will not think that it has said so");
    test_app.contact_writes(ANA, "hello again").await;
    test_app.drain().await;
    assert_eq!(
        (test_app.sent_texts().await, test_app.turn_states().await.pop()),
        (vec!["At last.".to_owned()], Some("done".into()))
    );
}

#[tokio::test]
async fn a_part_that_is_claimed_just_before_its_time_runs_out_is_not_sent_after_it() {
    let test_app = TestApp::with_settings(&[]).await;
    test_app.mock_send_message().respond_with(ResponseTemplate::new(429)).mount(&test_app.twilio).await;
    test_app.model_answers("Hello!").await;
    test_app.contact_writes(ANA, "hello").await;
    test_app.drain().await;
    test_app.advance(23 * 3600 - 1);
    let clock = Ticking(test_app.clock.clone());
    let test_app = test_app.with_clock(clock);
    test_app.drain().await;
    assert_eq!((test_app.sent_texts().await.len(), test_app.turn_states().await), (1, vec!["expired".to_owned()]));
}

/// A clock that moves on by a second whenever it is read.
struct Ticking(ManualClock);

impl Clock for Ticking {
    fn now(&self) -> Time {
        let now = self.0.now();
        self.0.advance(Duration::from_secs(1));
        now
    }
}

#[tokio::test]
async fn without_a_model_turns_expire_in_their_time() {
    let test_app =
        TestApp::with_settings(&[("OPENAI_API_KEY", ""), ("OPENAI_BASE_URL", ""), ("MYNAH_AI_MODEL", "")]).await;
    test_app.contact_writes(ANA, "hello").await;
    test_app.advance(23 * 3600 - 1);
    assert_eq!(test_app.app.store.expire_overdue_turns(test_app.clock.now()).await.unwrap(), 0);
    test_app.advance(1);
    assert_eq!(test_app.app.store.expire_overdue_turns(test_app.clock.now()).await.unwrap(), 1);
    assert_eq!(test_app.turn_states().await, ["expired"]);
}

#[tokio::test]
async fn a_turn_that_was_running_when_the_process_died_is_answered_after_the_restart() {
    let test_app = TestApp::new().await;
    test_app.contact_writes(ANA, "hello").await;
    let claims = test_app.app.store.claim(test_app.clock.now(), 10, 10).await.unwrap();
    assert_eq!(claims.turns.len(), 1);
    let test_app = test_app.restarted_with(&[]).await;
    test_app.drain().await;
    assert_eq!(
        (test_app.sent_texts().await, test_app.turn_states().await),
        (vec!["Hello!".to_owned()], vec!["done".to_owned()])
    );
}

#[tokio::test]
async fn a_worker_stops_on_request_and_leaves_nothing_running() {
    let test_app = TestApp::new().await;
    let stop = tokio_util::sync::CancellationToken::new();
    let worker = tokio::spawn(work::Worker::new(test_app.app.clone()).run(stop.clone()));
    test_app.contact_writes(ANA, "hello").await;
    while test_app.turn_states().await != ["done"] {
        tokio::task::yield_now().await;
    }
    stop.cancel();
    worker.await.unwrap();
    assert_eq!(test_app.sent_texts().await, ["Hello!"]);
}

/// A model that signals when it is asked, and answers on a signal.
struct ModelAnsweringOnPermit {
    asked: Arc<Semaphore>,
    answers: Arc<Semaphore>,
}

#[async_trait]
impl Provider for ModelAnsweringOnPermit {
    fn name(&self) -> &str {
        "hanging"
    }
    async fn complete(&self, _: &Prompt) -> Result<Completion, Fault> {
        self.asked.add_permits(1);
        self.answers.acquire().await.unwrap().forget();
        let (text, model) = ("At last.".into(), "hanging".into());
        Ok(Completion { text, finish: Finish::Stop, usage: Usage::default(), model, hand_over: None })
    }
    async fn check(&self) -> Result<String, Fault> {
        Ok(String::new())
    }
}

/// A keyword is claimed even when all slots of the model are taken, since most need no model. One with a question
/// beside it does.
#[tokio::test]
async fn a_question_beside_a_keyword_takes_no_worker_kept_for_work_without_a_model() {
    let settings = [("MYNAH_WORKERS", "1"), ("MYNAH_MERGE_WINDOW", "1s"), ("MYNAH_TEXT_STOPPED", "Stopped.")];
    let test_app = TestApp::with_settings(&settings).await;
    test_app.twilio_accepts_everything().await;
    let (asked, answers) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let test_app =
        test_app.with_model(ModelAnsweringOnPermit { asked: Arc::clone(&asked), answers: Arc::clone(&answers) });
    let stop = tokio_util::sync::CancellationToken::new();
    let worker = tokio::spawn(work::Worker::new(test_app.app.clone()).run(stop.clone()));
    test_app.contact_writes("whatsapp:+12025550001", "hello").await;
    test_app.advance(1);
    test_app.app.wake.notify_one();
    asked.acquire().await.unwrap().forget();
    // The worker must not answer the keyword before the question beside it is there.
    let claims = test_app.app.claim_lock.write().await;
    for (from, word) in [("whatsapp:+12025550002", "/help"), ("whatsapp:+12025550003", "START")] {
        test_app.contact_writes(from, word).await;
        test_app.contact_writes(from, "When do you open?").await;
    }
    drop(claims);
    test_app.advance(1);
    test_app.contact_writes(ANA, "STOP").await;
    let texts = async |count| {
        let sent = async {
            while test_app.sent_texts().await.len() < count {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), sent).await.expect("it is sent");
        test_app.sent_texts().await
    };
    assert_eq!((texts(1).await, asked.available_permits()), (vec!["Stopped.".to_owned()], 0));
    // Once a slot is free they are answered, too.
    answers.add_permits(9);
    let answered = async {
        while test_app.turn_states().await.iter().any(|state| state != "done") {
            test_app.advance(1);
            test_app.app.wake.notify_one();
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), answered).await.expect("all are answered");
    assert_eq!(asked.available_permits(), 2);
    stop.cancel();
    worker.await.unwrap();
}

#[tokio::test]
async fn a_stop_is_confirmed_while_everybody_waits_for_a_model_that_hangs() {
    let test_app = TestApp::with_settings(&[("MYNAH_WORKERS", "2"), ("MYNAH_TEXT_STOPPED", "Stopped.")]).await;
    test_app.twilio_accepts_everything().await;
    let (asked, answers) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let test_app =
        test_app.with_model(ModelAnsweringOnPermit { asked: Arc::clone(&asked), answers: Arc::clone(&answers) });
    let stop = tokio_util::sync::CancellationToken::new();
    let worker = tokio::spawn(work::Worker::new(test_app.app.clone()).run(stop.clone()));
    for number in 0..4 {
        test_app.contact_writes(&format!("whatsapp:+1202555{number:04}"), "hello").await;
    }
    asked.acquire_many(2).await.unwrap().forget();
    test_app.contact_writes(ANA, "STOP").await;
    let confirmed = async {
        while test_app.sent_texts().await.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), confirmed).await.expect("it needs no model");
    assert_eq!((test_app.sent_texts().await, asked.available_permits()), (vec!["Stopped.".to_owned()], 0));
    answers.add_permits(4);
    while test_app.sent_texts().await.len() < 5 {
        tokio::task::yield_now().await;
    }
    stop.cancel();
    worker.await.unwrap();
}
