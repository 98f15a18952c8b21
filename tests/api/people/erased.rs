//! A person who is erased while mynah serves: what this process does about it, whoever erased the person.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use mynah::ai::{Completion, Prompt, Provider};
use mynah::clock::Clock;
use mynah::fault::Fault;
use mynah::model::PersonQuery;
use mynah::personal_data::FILE_GRACE;
use mynah::work::erasures;
use tokio::sync::Notify;

use crate::setup::test_app::{ANA, BEN, TestApp};

/// Erases the contact in the database, as another process does.
async fn erase(test_app: &TestApp, who: &str) {
    let found = test_app.app.store.find_people(PersonQuery::parse(who).unwrap(), 2).await.unwrap();
    let [person] = found.as_slice() else { panic!("{found:?}") };
    test_app.app.store.erase_person(person.contact, test_app.clock.now()).await.unwrap().expect("a contact");
}

/// A model that never answers.
struct SilentModel(Arc<Notify>);

#[async_trait::async_trait]
impl Provider for SilentModel {
    fn name(&self) -> &str {
        "silent"
    }

    async fn complete(&self, _: &Prompt) -> Result<Completion, Fault> {
        self.0.notify_one();
        std::future::pending().await
    }

    async fn check(&self) -> Result<String, Fault> {
        Ok(String::new())
    }
}

#[tokio::test]
async fn a_call_about_an_erased_person_is_canceled_and_nothing_is_sent() {
    let asked = Arc::new(Notify::new());
    let test_app = TestApp::with_settings(&[]).await.with_model(SilentModel(Arc::clone(&asked)));
    test_app.twilio_accepts_everything().await;
    test_app.contact_writes(ANA, "one").await;
    let erased = async {
        asked.notified().await;
        erase(&test_app, ANA).await;
        erasures::check(&test_app.app, &AtomicI64::new(0)).await.unwrap();
    };
    // It ends only if the call does.
    tokio::join!(erased, test_app.drain());
    assert_eq!(test_app.sent_texts().await, Vec::<String>::new());
    assert_eq!(test_app.query_integer("SELECT COUNT(*) FROM messages"), 0);
}

#[tokio::test]
async fn what_was_cached_is_forgotten_once_for_each_erasure() {
    let test_app = TestApp::new().await;
    let cache = &test_app.app.cache;
    let seen = AtomicI64::new(0);
    let keep = || cache.put("a window", Arc::from(&b"what Ana said"[..]), Duration::from_secs(3600));
    keep().await;
    erasures::check(&test_app.app, &seen).await.unwrap();
    assert!(cache.get("a window").await.is_some(), "nobody was erased");
    for who in [ANA, BEN] {
        test_app.contact_writes(who, "one").await;
        erase(&test_app, who).await;
        keep().await;
        erasures::check(&test_app.app, &seen).await.unwrap();
        assert!(cache.get("a window").await.is_none(), "{who}");
        keep().await;
        erasures::check(&test_app.app, &seen).await.unwrap();
        assert!(cache.get("a window").await.is_some(), "{who} was forgotten before");
    }
}

#[tokio::test]
async fn an_erasure_is_finished_once_its_newest_file_is_old_enough() {
    let test_app = TestApp::new().await;
    test_app.contact_writes(ANA, "one").await;
    // A worker put it for her, and its row never came.
    let hash = test_app.app.files.put(b"a picture of Ana", test_app.clock.now()).unwrap();
    erase(&test_app, ANA).await;
    let seen = AtomicI64::new(0);
    let unfinished = "SELECT COUNT(*) FROM erasures WHERE unfinished = 1";
    test_app.clock.advance(FILE_GRACE - Duration::from_millis(1));
    erasures::check(&test_app.app, &seen).await.unwrap();
    assert!(test_app.app.files.open(&hash).is_ok() && test_app.query_integer(unfinished) == 1);
    test_app.clock.advance(Duration::from_millis(2));
    erasures::check(&test_app.app, &seen).await.unwrap();
    assert!(test_app.app.files.open(&hash).is_err() && test_app.query_integer(unfinished) == 0);
}

#[tokio::test]
async fn a_missed_message_from_before_the_erasure_does_not_bring_the_person_back() {
    let (test_app, list) = TestApp::app_with_message_list(&[]).await;
    test_app.contact_writes(ANA, "one").await;
    test_app.drain().await;
    list.add("SMmissed", ANA, "in the outage", test_app.clock.now());
    list.add("SMother", BEN, "in the outage", test_app.clock.now());
    test_app.advance(60);
    erase(&test_app, ANA).await;
    assert_eq!(test_app.catch_up_result().await, "missed messages found: 1 to be answered");
    assert_eq!(test_app.query_integer("SELECT COUNT(*) FROM addresses"), 1, "only Ben's");
    assert_eq!(test_app.query_integer("SELECT COUNT(*) FROM messages"), 1);
}

#[tokio::test]
async fn an_erased_person_who_had_sent_stop_gets_no_answer_until_start() {
    let test_app = TestApp::new().await;
    test_app.contact_writes(ANA, "STOP").await;
    test_app.drain().await;
    erase(&test_app, ANA).await;
    let before = test_app.sent_texts().await.len();
    test_app.contact_writes(ANA, "are you there?").await;
    test_app.drain().await;
    assert_eq!(test_app.sent_texts().await.len(), before);
    test_app.contact_writes(ANA, "START").await;
    test_app.drain().await;
    assert_eq!(test_app.sent_texts().await.len(), before + 1);
}
