//! The typing indicator: it shows a contact that an answer is being written.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use mynah::ai::{Completion, Finish, Prompt, Provider};
use mynah::channel::{Channel, CredentialCheck, InboundList, SendError, SentLookup};
use mynah::clock::Time;
use mynah::fault::{Fault, FaultOwner};
use mynah::model::{Attachment, Event, Outgoing, ProviderId, SentMessage, Usage, WebhookError, WebhookRequest};
use tokio::time::{pause, resume, sleep};

use crate::setup::test_app::{ANA, TestApp};

/// How the channel answers a typing indicator.
#[derive(Clone, Copy)]
enum TypingOutcome {
    Shown,
    /// Twilio cannot be reached for the moment.
    Failing,
    /// The account may not send them.
    Refused,
    /// The call never ends.
    Hanging,
}

/// The real channel, except for its typing indicator.
struct ChannelWithTyping {
    inner: Arc<dyn Channel>,
    typing_outcome: TypingOutcome,
    calls: Arc<AtomicUsize>,
}

#[async_trait]
impl Channel for ChannelWithTyping {
    fn name(&self) -> &'static str {
        "twilio"
    }
    fn text_limit(&self) -> usize {
        self.inner.text_limit()
    }
    fn verify(&self, delivery: &WebhookRequest) -> Result<(), WebhookError> {
        self.inner.verify(delivery)
    }
    fn parse_events(&self, delivery: &WebhookRequest, now: Time) -> Result<Vec<Event>, WebhookError> {
        self.inner.parse_events(delivery, now)
    }
    async fn send(&self, outgoing: &Outgoing) -> Result<ProviderId, SendError> {
        self.inner.send(outgoing).await
    }
    async fn send_typing(&self, _: &ProviderId) -> Result<(), Fault> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        match self.typing_outcome {
            TypingOutcome::Shown => Ok(()),
            TypingOutcome::Failing => Err(Fault::retry("503")),
            TypingOutcome::Refused => Err(Fault::fail(FaultOwner::Operator, "not for this account")),
            TypingOutcome::Hanging => std::future::pending().await,
        }
    }
    async fn find_sent(&self, lookup: &SentLookup) -> Result<Vec<SentMessage>, Fault> {
        self.inner.find_sent(lookup).await
    }
    async fn list_inbound(&self, _: Time, _: &HashSet<String>) -> Result<InboundList, Fault> {
        Ok(InboundList::default())
    }
    async fn fetch_attachment(&self, _: &Attachment, _: usize) -> Result<bytes::Bytes, Fault> {
        Err(Fault::fail(FaultOwner::Message, "no files here"))
    }
    async fn check(&self) -> Result<CredentialCheck, Fault> {
        Ok(CredentialCheck::default())
    }
}

/// A model that thinks for so long, by a clock of tokio's that stands still otherwise.
struct ThinkingModel(Duration);

#[async_trait]
impl Provider for ThinkingModel {
    fn name(&self) -> &str {
        "thinking"
    }
    async fn complete(&self, _: &Prompt) -> Result<Completion, Fault> {
        pause();
        sleep(self.0).await;
        resume();
        let (text, model) = ("Hello!".into(), "thinking".into());
        Ok(Completion { text, finish: Finish::Stop, usage: Usage::default(), model, hand_over: None })
    }
    async fn check(&self) -> Result<String, Fault> {
        Ok(String::new())
    }
}

/// How many typing indicators were sent while the model needed so many seconds.
async fn typing_calls_while_thinking(dots: TypingOutcome, seconds: u64) -> usize {
    let test_app = TestApp::with_settings(&[("MYNAH_TYPING", "true")]).await;
    test_app.twilio_accepts_everything().await;
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let test_app =
        test_app.with_channel(move |inner| ChannelWithTyping { inner, typing_outcome: dots, calls: counted });
    let test_app = test_app.with_model(ThinkingModel(Duration::from_secs(seconds)));
    test_app.contact_writes(ANA, "hello").await;
    test_app.drain().await;
    assert_eq!(test_app.sent_texts().await, ["Hello!"]);
    let asked = calls.load(Ordering::SeqCst);
    pause();
    sleep(Duration::from_secs(100)).await;
    resume();
    assert_eq!(calls.load(Ordering::SeqCst), asked, "once it is answered nobody types");
    asked
}

#[tokio::test]
async fn typing_is_shown_for_as_long_as_the_model_thinks() {
    for (seconds, calls) in [(1, 1), (19, 1), (21, 2), (65, 4)] {
        assert_eq!(typing_calls_while_thinking(TypingOutcome::Shown, seconds).await, calls, "in {seconds} s");
    }
}

#[tokio::test]
async fn typing_that_is_not_shown_delays_nothing() {
    assert_eq!(typing_calls_while_thinking(TypingOutcome::Failing, 65).await, 4, "it may be shown the next time");
    assert_eq!(typing_calls_while_thinking(TypingOutcome::Refused, 65).await, 1);
    assert_eq!(typing_calls_while_thinking(TypingOutcome::Hanging, 65).await, 1);
}

#[tokio::test]
async fn typing_is_shown_at_the_claim_and_its_failure_delays_nothing() {
    let test_app = TestApp::with_settings(&[("MYNAH_TYPING", "true")]).await;
    test_app.twilio_accepts_everything().await;
    test_app.model_answers("Hello!").await;
    test_app.contact_writes(ANA, "hello").await;
    test_app.contact_writes(ANA, "are you there?").await;
    test_app.drain().await;
    assert_eq!(test_app.sent_texts().await, ["Hello!"], "the stand-in knows no typing indicator and answers 404");
    let shown = async {
        loop {
            let requests = test_app.twilio.received_requests().await.unwrap();
            if let Some(request) =
                requests.iter().find(|request| request.url.path().ends_with("/Indicators/Typing.json"))
            {
                return String::from_utf8(request.body.clone()).unwrap();
            }
            tokio::task::yield_now().await;
        }
    };
    assert!(shown.await.contains("messageId=SM00000000000000000000000000000002"), "all are marked as read");
}

#[tokio::test]
async fn no_typing_is_shown_where_the_owner_does_not_want_it() {
    let test_app = TestApp::new().await;
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let test_app = test_app.with_channel(move |inner| ChannelWithTyping {
        inner,
        typing_outcome: TypingOutcome::Shown,
        calls: counted,
    });
    let test_app = test_app.with_model(ThinkingModel(Duration::from_secs(65)));
    test_app.contact_writes(ANA, "hello").await;
    test_app.drain().await;
    assert_eq!((test_app.sent_texts().await, calls.load(Ordering::SeqCst)), (vec!["Hello!".to_owned()], 0));
}
