//! What the model may cost.

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use mynah::channel::{Channel, CredentialCheck, InboundList, SendError, SentLookup};
use mynah::clock::{Clock, Time};
use mynah::fault::Fault;
use mynah::model::{Attachment, Event, Outgoing, ProviderId, SentMessage, WebhookError, WebhookRequest};
use mynah::work;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use wiremock::ResponseTemplate;

use crate::setup::attachments::{contact_attaches, drain_after_waits};
use crate::setup::test_app::{ANA, BEN, TestApp, completion};

const BUDGET_SPENT_TEXT: &str = "No more today.";

#[tokio::test]
async fn five_hundred_turns_that_race_for_ten_calls_make_ten() {
    let test_app =
        TestApp::with_settings(&[("MYNAH_BUDGET_DAY", "10 calls"), ("MYNAH_TEXT_BUDGET", BUDGET_SPENT_TEXT)]).await;
    test_app.twilio_accepts_everything().await;
    test_app.model_answers("Hello!").await;
    for number in 0..500 {
        test_app.contact_writes(&format!("whatsapp:+1202555{number:04}"), "hello").await;
    }
    test_app.drain().await;
    assert_eq!(test_app.prompts().await.len(), 10);
    let texts = test_app.sent_texts().await;
    assert_eq!(texts.iter().filter(|text| *text == "Hello!").count(), 10);
    assert_eq!(texts.iter().filter(|text| *text == BUDGET_SPENT_TEXT).count(), 490, "everybody is told, nobody twice");
    let alerts = test_app.app.store.alerts(10).await.unwrap();
    assert_eq!((alerts.len(), alerts[0].cause.as_str(), alerts[0].count), (1, "budget", 490));
    work::schedule::run(&test_app.app, true).await.unwrap();
    assert_eq!(test_app.app.store.alerts(10).await.unwrap()[0].resolved_at, None, "it is still spent");
    // The next day is a new one.
    test_app.advance(86_400);
    work::schedule::run(&test_app.app, true).await.unwrap();
    assert_eq!(test_app.app.store.alerts(10).await.unwrap()[0].resolved_at, Some(test_app.clock.now()));
    test_app.contact_writes(ANA, "hello").await;
    test_app.drain().await;
    assert_eq!(test_app.sent_texts().await.last().unwrap(), "Hello!");
}

#[tokio::test]
async fn one_contact_cannot_spend_what_is_meant_for_all() {
    let test_app =
        TestApp::with_settings(&[("MYNAH_BUDGET_CONTACT_DAY", "2 calls"), ("MYNAH_TEXT_BUDGET", BUDGET_SPENT_TEXT)])
            .await;
    test_app.twilio_accepts_everything().await;
    test_app.model_answers("Hello!").await;
    for from in [ANA, ANA, ANA, BEN] {
        test_app.contact_writes(from, "hello").await;
        test_app.drain().await;
    }
    assert_eq!(test_app.sent_texts().await, ["Hello!", "Hello!", BUDGET_SPENT_TEXT, "Hello!"]);
    test_app.contact_writes(ANA, "/help").await;
    test_app.drain().await;
    assert!(
        test_app.sent_texts().await[4].starts_with("I'm an automated assistant"),
        "what costs nothing is not limited"
    );
}

#[tokio::test]
async fn tokens_and_money_count_as_they_were_used_and_stand_beside_the_turn() {
    let test_app = TestApp::with_settings(&[
        ("MYNAH_BUDGET_MONTH", "1 usd, 100000 tokens"),
        ("MYNAH_PRICES", "test=100/1000"),
        ("MYNAH_TEXT_BUDGET", BUDGET_SPENT_TEXT),
    ])
    .await;
    test_app.twilio_accepts_everything().await;
    test_app.model_answers("Hello!").await;
    test_app.contact_writes(ANA, "hello").await;
    test_app.drain().await;
    let turn = "FROM turns WHERE id = 1";
    let used = test_app.query_integer(&format!("SELECT input_tokens + output_tokens {turn}"));
    let cost = test_app.query_integer(&format!("SELECT input_tokens * 100 + output_tokens * 1000 {turn}"));
    assert!(used > 0 && test_app.query_integer(&format!("SELECT cost_micros {turn}")) == cost);
    let spent = |column: &str| test_app.query_integer(&format!("SELECT {column} FROM spent WHERE period = '2026-11'"));
    assert_eq!((spent("calls"), spent("tokens"), spent("micros")), (1, used, cost));
    test_app.execute_sql("UPDATE spent SET micros = 1000000");
    test_app.contact_writes(ANA, "hello?").await;
    test_app.drain().await;
    assert_eq!(test_app.sent_texts().await, ["Hello!", BUDGET_SPENT_TEXT]);
}

/// Calls and tokens of the day.
fn calls_and_tokens_of_the_day(test_app: &TestApp) -> (i64, i64) {
    let spent =
        |column: &str| test_app.query_integer(&format!("SELECT {column} FROM spent WHERE period = '2026-11-01'"));
    (spent("calls"), spent("tokens"))
}

/// The tokens that a call to a local model may use: its prompt, and the limit of an answer.
const LARGEST_CALL_TOKENS: i64 = 4_096 + 1_024;

#[tokio::test]
async fn a_failed_call_is_charged_its_known_usage_or_else_its_reservation() {
    let empty = json!({ "choices": [{ "message": { "content": "" }, "finish_reason": "stop" }],
        "usage": { "prompt_tokens": 20, "completion_tokens": 7 } });
    let thought = json!({ "choices": [{ "message": { "content": "" }, "finish_reason": "length" }],
        "usage": { "prompt_tokens": 20, "completion_tokens": 500 } });
    let cap = json!({ "error": { "message": "Could not finish the message because max_tokens or model output limit was reached" } });
    for (answer, tokens) in [
        (ResponseTemplate::new(503), LARGEST_CALL_TOKENS),
        (ResponseTemplate::new(200).set_body_string("{"), LARGEST_CALL_TOKENS),
        (ResponseTemplate::new(200).set_body_json(empty), 27),
        (ResponseTemplate::new(200).set_body_json(thought), 520),
        (ResponseTemplate::new(400).set_body_json(cap), LARGEST_CALL_TOKENS),
        (ResponseTemplate::new(400), 0),
        (ResponseTemplate::new(401), 0),
        (ResponseTemplate::new(429).insert_header("retry-after", "1"), 0),
    ] {
        let test_app = TestApp::with_settings(&[("MYNAH_BUDGET_DAY", "50 calls, 1000000 tokens")]).await;
        test_app.twilio_accepts_everything().await;
        test_app.mock_completion().respond_with(answer.clone()).mount(&test_app.model).await;
        test_app.contact_writes(ANA, "hello").await;
        test_app.drain().await;
        assert_eq!(calls_and_tokens_of_the_day(&test_app), (1, tokens), "{answer:?}");
    }
}

#[tokio::test]
async fn each_call_of_a_try_counts_and_none_is_made_beyond_the_budget() {
    let spare = wiremock::MockServer::start().await;
    let says = ResponseTemplate::new(200).set_body_json(completion("Hello!"));
    wiremock::Mock::given(wiremock::matchers::method("POST")).respond_with(says).mount(&spare).await;
    let base = format!("{}/v1", spare.uri());
    for (most, calls) in [("10 calls", 10), ("1000 calls", 1_000)] {
        let test_app = TestApp::with_settings(&[
            ("MYNAH_AI_2_PROVIDER", "openai"),
            ("MYNAH_AI_2_BASE_URL", &base),
            ("MYNAH_AI_2_MODEL", "spare"),
            ("MYNAH_BUDGET_DAY", most),
        ])
        .await;
        test_app.twilio_accepts_everything().await;
        let before = spare.received_requests().await.unwrap().len();
        test_app.mock_completion().respond_with(ResponseTemplate::new(503)).mount(&test_app.model).await;
        for number in 0..if calls == 10 { 500 } else { 4 } {
            test_app.contact_writes(&format!("whatsapp:+1202555{number:04}"), "hello").await;
        }
        test_app.drain().await;
        let made = test_app.prompts().await.len() + spare.received_requests().await.unwrap().len() - before;
        assert_eq!(calls_and_tokens_of_the_day(&test_app).0, i64::try_from(made).unwrap());
        assert_eq!(made, if calls == 10 { 10 } else { 8 }, "each asked the first and then the spare one");
    }
}

#[tokio::test]
async fn a_call_repeated_without_a_refused_setting_counts_as_two_calls() {
    let test_app = TestApp::with_settings(&[("MYNAH_BUDGET_DAY", "5 calls"), ("MYNAH_AI_TEMPERATURE", "0.5")]).await;
    test_app.twilio_accepts_everything().await;
    let refusal = json!({ "error": { "message": "Unsupported value: 'temperature' does not support 0.5 with this model",
        "param": "temperature", "code": "unsupported_value" } });
    let refusal = ResponseTemplate::new(400).set_body_json(refusal);
    test_app.mock_completion().respond_with(refusal).up_to_n_times(1).with_priority(1).mount(&test_app.model).await;
    test_app.model_answers("Hello!").await;
    test_app.contact_writes(ANA, "hello").await;
    test_app.drain().await;
    assert_eq!(
        (test_app.sent_texts().await.len(), test_app.prompts().await.len(), calls_and_tokens_of_the_day(&test_app)),
        (1, 2, (2, 23))
    );
}

#[tokio::test]
async fn a_turn_that_is_left_to_a_person_gives_back_what_was_reserved_for_it() {
    let test_app = TestApp::with_settings(&[("MYNAH_BUDGET_DAY", "50 calls")]).await;
    test_app.twilio_accepts_everything().await;
    test_app.model_answers("Hello!").await;
    for _ in 0..5 {
        test_app.contact_writes(ANA, "hello there").await;
        test_app.drain().await;
    }
    assert_eq!(test_app.turn_states().await.last().unwrap(), "skipped", "the same five times: a machine");
    assert_eq!(calls_and_tokens_of_the_day(&test_app), (4, 4 * 23));
}

#[tokio::test]
async fn money_is_reserved_at_the_price_of_the_dearest_model_that_may_be_asked() {
    let dear = ("MYNAH_PRICES", "claude-sonnet-5=3/15, spare=1/1");
    let first = [("MYNAH_AI_PROVIDER", "anthropic"), ("ANTHROPIC_API_KEY", "sk-ant-test"), ("MYNAH_AI_MODEL", "")];
    let behind =
        [("MYNAH_AI_2_PROVIDER", "anthropic"), ("MYNAH_AI_2_API_KEY", "sk-ant-test"), ("MYNAH_AI_MODEL", "spare")];
    // In both test apps the model is the provider's default, which no setting names.
    for models in [first, behind] {
        let test_app = TestApp::with_settings(&[&models[..], &[dear, ("MYNAH_BUDGET_DAY", "0.01 usd")]].concat()).await;
        for number in 0..60 {
            test_app.contact_writes(&format!("whatsapp:+1202555{number:04}"), "hello").await;
        }
        let claims = test_app.app.store.claim(test_app.app.clock.now(), 64, 64).await.unwrap();
        let asked = claims.turns.iter().filter(|claim| claim.exhausted_budget.is_none()).count();
        assert!(claims.turns.len() == 1 && asked == 1, "{asked} calls at once; the others wait for what it takes");
    }
}

/// A channel that fetches an attachment only once the test lets it.
struct PausedFetch {
    inner: Arc<dyn Channel>,
    started: CancellationToken,
    proceed: CancellationToken,
}

#[async_trait]
impl Channel for PausedFetch {
    fn name(&self) -> &'static str {
        self.inner.name()
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
    async fn send_typing(&self, inbound: &ProviderId) -> Result<(), Fault> {
        self.inner.send_typing(inbound).await
    }
    async fn find_sent(&self, lookup: &SentLookup) -> Result<Vec<SentMessage>, Fault> {
        self.inner.find_sent(lookup).await
    }
    async fn list_inbound(&self, since: Time, ours: &HashSet<String>) -> Result<InboundList, Fault> {
        self.inner.list_inbound(since, ours).await
    }
    async fn fetch_attachment(&self, attachment: &Attachment, max_bytes: usize) -> Result<bytes::Bytes, Fault> {
        self.started.cancel();
        self.proceed.cancelled().await;
        self.inner.fetch_attachment(attachment, max_bytes).await
    }
    async fn check(&self) -> Result<CredentialCheck, Fault> {
        self.inner.check().await
    }
}

#[tokio::test]
async fn a_contact_who_opts_out_while_their_attachment_is_fetched_leaves_no_call_reserved() {
    let test_app = TestApp::with_settings(&[("MYNAH_BUDGET_DAY", "9 calls")]).await;
    test_app.twilio_accepts_everything().await;
    test_app.model_answers("Hello!").await;
    let (started, proceed) = (CancellationToken::new(), CancellationToken::new());
    let (channel_started, channel_proceed) = (started.clone(), proceed.clone());
    let test_app =
        test_app.with_channel(move |inner| PausedFetch { inner, started: channel_started, proceed: channel_proceed });
    contact_attaches(&test_app, ANA, "this one", "image/jpeg", "ME404").await;
    tokio::join!(drain_after_waits(&test_app), async {
        started.cancelled().await;
        assert_eq!(calls_and_tokens_of_the_day(&test_app), (1, LARGEST_CALL_TOKENS));
        test_app.contact_writes(ANA, "STOP").await;
        proceed.cancel();
    });
    assert_eq!(test_app.prompts().await.len(), 0);
    assert_eq!(calls_and_tokens_of_the_day(&test_app), (0, 0));
}
