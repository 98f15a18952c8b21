//! A defect costs its own call, or its own piece of work, and nothing else.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use async_trait::async_trait;
use mynah::ai::{Completion, Prompt, Provider};
use mynah::channel::{Channel, CredentialCheck, InboundList, SendError, SentLookup};
use mynah::clock::Time;
use mynah::fault::Fault;
use mynah::model::{Attachment, Event, Outgoing, ProviderId, SentMessage, WebhookError, WebhookRequest};
use serde_json::json;
use wiremock::ResponseTemplate;

use crate::setup::test_app::{ANA, BEN, OUR_NUMBER, TestApp};

/// A model that panics.
struct BrokenModel;

#[async_trait]
impl Provider for BrokenModel {
    fn name(&self) -> &str {
        "broken"
    }
    async fn complete(&self, _: &Prompt) -> Result<Completion, Fault> {
        panic!("a defect")
    }
    async fn check(&self) -> Result<String, Fault> {
        Ok(String::new())
    }
}

/// Where a channel panics.
#[derive(Clone, Copy, PartialEq)]
enum PanicPlace {
    /// Once the model has answered.
    TextLimit,
    /// Once the reply is stored and before it is sent.
    Name,
    /// Once the message has gone out.
    Send,
    /// Before the list is asked for.
    FindSent,
}

/// The real channel, which panics so often at one place.
struct BrokenChannel {
    inner: Arc<dyn Channel>,
    place: PanicPlace,
    panics_left: AtomicI64,
    /// Set once the model has answered.
    answered: AtomicBool,
}

impl BrokenChannel {
    fn at(inner: Arc<dyn Channel>, place: PanicPlace, times: i64) -> BrokenChannel {
        BrokenChannel { inner, place, panics_left: AtomicI64::new(times), answered: AtomicBool::new(false) }
    }

    fn panic_if_due(&self, place: PanicPlace) {
        if place == self.place && self.panics_left.fetch_sub(1, Ordering::SeqCst) > 0 {
            panic!("a defect");
        }
    }
}

#[async_trait]
impl Channel for BrokenChannel {
    fn name(&self) -> &'static str {
        if self.answered.swap(false, Ordering::SeqCst) {
            self.panic_if_due(PanicPlace::Name);
        }
        "twilio"
    }
    fn text_limit(&self) -> usize {
        self.panic_if_due(PanicPlace::TextLimit);
        self.answered.store(true, Ordering::SeqCst);
        self.inner.text_limit()
    }
    fn verify(&self, delivery: &WebhookRequest) -> Result<(), WebhookError> {
        self.inner.verify(delivery)
    }
    fn parse_events(&self, delivery: &WebhookRequest, now: Time) -> Result<Vec<Event>, WebhookError> {
        self.inner.parse_events(delivery, now)
    }
    async fn send(&self, outgoing: &Outgoing) -> Result<ProviderId, SendError> {
        let sent = self.inner.send(outgoing).await;
        self.panic_if_due(PanicPlace::Send);
        sent
    }
    async fn send_typing(&self, _: &ProviderId) -> Result<(), Fault> {
        Ok(())
    }
    async fn find_sent(&self, lookup: &SentLookup) -> Result<Vec<SentMessage>, Fault> {
        self.panic_if_due(PanicPlace::FindSent);
        self.inner.find_sent(lookup).await
    }
    async fn list_inbound(&self, _: Time, _: &HashSet<String>) -> Result<InboundList, Fault> {
        Ok(InboundList::default())
    }
    async fn fetch_attachment(&self, _: &Attachment, _: usize) -> Result<bytes::Bytes, Fault> {
        panic!("files")
    }
    async fn check(&self) -> Result<CredentialCheck, Fault> {
        Ok(CredentialCheck::default())
    }
}

/// A test app whose channel panics so often at that place.
async fn app_with_broken_channel(place: PanicPlace, times: i64) -> TestApp {
    let test_app = TestApp::with_settings(&[("MYNAH_TEXT_SORRY", "Sorry.")]).await;
    test_app.twilio_accepts_everything().await;
    test_app.model_answers("Hello!").await;
    test_app.with_channel(|inner| BrokenChannel::at(inner, place, times))
}

#[tokio::test]
async fn a_model_that_panics_leaves_no_turn_behind() {
    let test_app = TestApp::new().await.with_model(BrokenModel);
    test_app.contact_writes(ANA, "hello").await;
    test_app.drain().await;
    assert_eq!((test_app.turn_states().await, test_app.sent_texts().await.len()), (vec!["dead".to_owned()], 1));
}

#[tokio::test]
async fn a_send_after_which_the_channel_panics_is_unknown() {
    let test_app = app_with_broken_channel(PanicPlace::Send, 1).await;
    test_app.contact_writes(ANA, "hello").await;
    test_app.drain().await;
    assert_eq!(test_app.query_integer("SELECT COUNT(*) FROM parts WHERE state = 'unknown'"), 1);
    assert_eq!(test_app.sent_texts().await.len(), 1);
}

#[tokio::test]
async fn a_panic_anywhere_in_an_answer_costs_an_attempt() {
    let test_app = app_with_broken_channel(PanicPlace::TextLimit, 2).await;
    test_app.contact_writes(ANA, "hello").await;
    for attempts in 1..=2 {
        test_app.drain().await;
        assert_eq!(test_app.turn_states().await, ["retry"]);
        assert_eq!(test_app.turns().await[0].attempts, attempts);
        test_app.advance(301);
    }
    test_app.drain().await;
    assert_eq!(
        (test_app.sent_texts().await, test_app.turn_states().await),
        (vec!["Hello!".to_owned()], vec!["done".to_owned()])
    );
}

#[tokio::test]
async fn an_answer_that_panics_each_time_is_given_up_with_an_apology() {
    let test_app = app_with_broken_channel(PanicPlace::TextLimit, 8).await;
    test_app.contact_writes(ANA, "hello").await;
    for _ in 0..9 {
        test_app.drain().await;
        test_app.advance(301);
    }
    assert_eq!(
        (test_app.sent_texts().await, test_app.turn_states().await),
        (vec!["Sorry.".to_owned()], vec!["dead".to_owned()])
    );
    assert!(test_app.turns().await[0].error.as_ref().unwrap().contains("panicked"));
    test_app.contact_writes(ANA, "still there?").await;
    test_app.drain().await;
    assert_eq!(test_app.sent_texts().await, ["Sorry.", "Hello!"]);
}

#[tokio::test]
async fn a_send_around_which_something_panics_is_unknown() {
    let test_app = app_with_broken_channel(PanicPlace::Name, 1).await;
    test_app.contact_writes(ANA, "hello").await;
    test_app.drain().await;
    assert_eq!(test_app.query_integer("SELECT COUNT(*) FROM parts WHERE state = 'unknown'"), 1);
    assert_eq!((test_app.sent_texts().await.len(), test_app.turn_states().await), (0, vec!["sending".to_owned()]));
}

#[tokio::test]
async fn a_lookup_that_panics_is_made_again() {
    let test_app = app_with_broken_channel(PanicPlace::FindSent, 3).await;
    test_app.contact_writes(ANA, "hello").await;
    test_app.twilio.reset().await;
    test_app.mock_send_message().respond_with(ResponseTemplate::new(500)).mount(&test_app.twilio).await;
    test_app.drain().await;
    for failed in 1..=3 {
        test_app.advance(300);
        test_app.drain().await;
        assert_eq!(test_app.query_integer("SELECT looks_failed FROM parts WHERE state = 'unknown'"), failed);
    }
    let row = json!({
        "sid": "SM0000000000000000000000000000ffff", "from": OUR_NUMBER, "to": ANA, "body": "Hello!",
        "direction": "outbound-api", "date_created": "Sun, 01 Nov 2026 10:00:00 +0000", "date_sent": null
    });
    let list = json!({ "messages": [row], "next_page_uri": null });
    test_app
        .mock_list_messages()
        .respond_with(ResponseTemplate::new(200).set_body_json(list))
        .mount(&test_app.twilio)
        .await;
    test_app.advance(300);
    test_app.drain().await;
    assert_eq!(test_app.turn_states().await, ["done"]);
}

#[tokio::test]
async fn a_reply_that_the_database_refuses_is_tried_again_and_then_given_up() {
    let test_app = TestApp::with_settings(&[("MYNAH_TEXT_SORRY", "Sorry.")]).await;
    test_app.twilio_accepts_everything().await;
    test_app.model_answers("poison").await;
    test_app.execute_sql(
        "CREATE TRIGGER no_poison BEFORE INSERT ON parts WHEN NEW.body = 'poison'
         BEGIN SELECT RAISE(ABORT, 'no poison here'); END",
    );
    test_app.contact_writes(ANA, "hello").await;
    for attempt in 1..=8 {
        test_app.drain().await;
        let state = if attempt < 8 { "retry" } else { "dead" };
        assert_eq!(test_app.turn_states().await, [state], "after attempt {attempt}");
        test_app.advance(301);
    }
    assert_eq!(test_app.sent_texts().await, ["Sorry."]);
    assert!(test_app.turns().await[0].error.as_ref().unwrap().contains("no poison here"));
}

#[tokio::test]
async fn an_outcome_that_the_database_refuses_leaves_the_part_unknown() {
    let test_app = TestApp::new().await;
    test_app.execute_sql(
        "CREATE TRIGGER not_sent BEFORE UPDATE ON parts WHEN NEW.state = 'sent'
         BEGIN SELECT RAISE(ABORT, 'not now'); END",
    );
    test_app.contact_writes(ANA, "hello").await;
    test_app.drain().await;
    assert_eq!(
        test_app.query_integer("SELECT COUNT(*) FROM parts WHERE state = 'unknown' AND error LIKE '%not now%'"),
        1
    );
    assert_eq!((test_app.sent_texts().await.len(), test_app.turn_states().await), (1, vec!["sending".to_owned()]));
}

/// Whatever went wrong at the provider, the message of one part is not taken for the message of the other.
#[tokio::test]
async fn a_provider_id_that_another_part_has_leaves_the_part_unknown() {
    let test_app = TestApp::with_settings(&[]).await;
    let same = ResponseTemplate::new(201).set_body_json(json!({ "sid": "SM1", "status": "queued" }));
    test_app.mock_send_message().respond_with(same).mount(&test_app.twilio).await;
    test_app.model_answers("Hello!").await;
    for (from, states) in [(ANA, &["done"][..]), (BEN, &["done", "sending"])] {
        test_app.contact_writes(from, "hello").await;
        test_app.drain().await;
        assert_eq!(test_app.turn_states().await, states);
    }
    assert_eq!(test_app.query_integer("SELECT COUNT(*) FROM parts WHERE state = 'unknown' AND error LIKE '%SM1%'"), 1);
}
