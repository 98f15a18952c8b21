//! Models that fail: which one answers instead, and what the contact reads if none does.

use mynah::fault::{Fault, FaultOwner};
use serde_json::json;
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::setup::test_app::{ANA, BEN, TestApp, completion};

pub(super) async fn second_model(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST")).respond_with(answer).mount(&server).await;
    server
}

pub(super) async fn app_with_second_model(second: &MockServer) -> TestApp {
    let base = format!("{}/v1", second.uri());
    let test_app = TestApp::with_settings(&[
        ("MYNAH_AI_2_PROVIDER", "openai"),
        ("MYNAH_AI_2_BASE_URL", &base),
        ("MYNAH_AI_2_MODEL", "spare"),
        ("MYNAH_RATE_LIMIT", "0"),
    ])
    .await;
    test_app.twilio_accepts_everything().await;
    test_app
}

#[tokio::test]
async fn if_the_first_model_fails_the_next_one_answers_in_the_same_attempt() {
    for broken in [
        ResponseTemplate::new(503),
        ResponseTemplate::new(429),
        ResponseTemplate::new(401).set_body_json(json!({ "error": { "message": "wrong key" } })),
        ResponseTemplate::new(200).set_body_string("<html>"),
        // Thinking used up the cap of tokens.
        ResponseTemplate::new(200)
            .set_body_json(json!({ "choices": [{ "message": { "content": "" }, "finish_reason": "length" }] })),
    ] {
        let second = second_model(ResponseTemplate::new(200).set_body_json(completion("From the spare."))).await;
        let test_app = app_with_second_model(&second).await;
        test_app.mock_completion().respond_with(broken).mount(&test_app.model).await;
        test_app.contact_writes(ANA, "hello").await;
        test_app.drain().await;
        assert_eq!(
            (test_app.sent_texts().await, test_app.turn_states().await),
            (vec!["From the spare.".into()], vec!["done".into()])
        );
        assert_eq!(test_app.query_integer("SELECT attempts FROM turns"), 1);
    }
}

#[tokio::test]
async fn turns_wait_without_spending_attempts_while_no_model_may_be_asked_and_end_in_an_apology() {
    let test_app = TestApp::with_settings(&[("MYNAH_TEXT_BUSY", "Too busy.")]).await;
    test_app.twilio_accepts_everything().await;
    test_app.mock_completion().respond_with(ResponseTemplate::new(503)).mount(&test_app.model).await;
    for number in 0..5 {
        test_app.contact_writes(&format!("whatsapp:+1202555{number:04}"), "hello").await;
    }
    test_app.drain().await;
    assert_eq!(test_app.prompts().await.len(), 5);
    test_app.contact_writes(BEN, "hello").await;
    test_app.drain().await;
    assert_eq!(test_app.query_integer("SELECT attempts FROM turns ORDER BY id DESC LIMIT 1"), 0);
    assert_eq!((test_app.prompts().await.len(), test_app.sent_texts().await.len()), (5, 0));
    for _ in 0..60 {
        test_app.advance(30);
        test_app.drain().await;
    }
    assert!(test_app.sent_texts().await.iter().all(|text| text == "Too busy."), "{:?}", test_app.sent_texts().await);
    assert_eq!(test_app.sent_texts().await.len(), 6, "each contact once");
    assert!(test_app.prompts().await.len() < 20, "{} calls to a model that is down", test_app.prompts().await.len());
}

/// Opens the circuit breaker: the model is not asked for half a minute.
fn trip_breaker(test_app: &TestApp) {
    for _ in 0..5 {
        test_app.assistant().breaker.record_failure(None, test_app.app.clock.now());
    }
}

#[tokio::test]
async fn a_turn_that_was_held_back_by_the_rate_waits_for_a_model_as_long_as_any_other() {
    let test_app = TestApp::with_settings(&[("MYNAH_RATE_LIMIT", "1/1h"), ("MYNAH_TEXT_SLOW_DOWN", "Slowly.")]).await;
    test_app.twilio_accepts_everything().await;
    test_app.model_answers("Hello!").await;
    for _ in 0..2 {
        test_app.contact_writes(ANA, "hello").await;
        test_app.drain().await;
    }
    test_app.advance(3_600);
    trip_breaker(&test_app);
    test_app.drain().await;
    assert_eq!(
        (test_app.sent_texts().await.len(), test_app.turn_states().await),
        (2, ["done", "retry", "done"].map(String::from).to_vec())
    );
    test_app.advance(30);
    test_app.drain().await;
    assert_eq!(test_app.sent_texts().await, ["Hello!", "Slowly.", "Hello!"]);
}

#[tokio::test]
async fn a_turn_that_is_to_be_answered_again_waits_for_a_model_as_long_as_any_other() {
    let test_app = TestApp::new().await;
    test_app.contact_writes(ANA, "hello").await;
    let turn = mynah::model::TurnId(1);
    assert!(test_app.app.store.discard(turn, test_app.app.clock.now()).await.unwrap());
    test_app.advance(3_600);
    trip_breaker(&test_app);
    let again = test_app.app.store.requeue(turn, test_app.app.clock.now()).await.unwrap();
    assert_eq!(again, mynah::store::RequeueOutcome::Requeued);
    test_app.drain().await;
    assert_eq!((test_app.sent_texts().await.len(), test_app.turn_states().await), (0, vec!["retry".to_owned()]));
    test_app.advance(30);
    test_app.drain().await;
    assert_eq!(test_app.sent_texts().await, ["Hello!"]);
}

#[tokio::test]
async fn a_turn_that_waits_for_a_model_to_recover_is_not_taken_for_a_bots() {
    let test_app = TestApp::new().await;
    let breaker = &test_app.assistant().breaker;
    for _ in 0..5 {
        breaker.record_failure(None, test_app.app.clock.now());
    }
    test_app.advance(30);
    breaker.try_call(test_app.app.clock.now()).expect("the probe, of which nothing is heard");
    test_app.contact_writes(ANA, "hello").await;
    for _ in 0..40 {
        test_app.drain().await;
        test_app.advance(5);
    }
    assert_eq!((test_app.turn_states().await, test_app.prompts().await.len()), (vec!["retry".into()], 0));
    test_app.assistant().breaker.record_success();
    test_app.drain().await;
    assert_eq!(
        (test_app.sent_texts().await, test_app.turn_states().await),
        (vec!["Hello!".into()], vec!["done".to_owned()])
    );
    assert_eq!(test_app.app.store.alerts(9).await.unwrap(), []);
}

#[tokio::test]
async fn a_message_that_a_model_declines_is_not_put_to_the_next_model() {
    struct DecliningModel;
    #[async_trait::async_trait]
    impl mynah::ai::Provider for DecliningModel {
        fn name(&self) -> &str {
            "declines"
        }
        async fn complete(&self, _: &mynah::ai::Prompt) -> Result<mynah::ai::Completion, Fault> {
            Err(Fault::fail(FaultOwner::Message, "not that"))
        }
        async fn check(&self) -> Result<String, Fault> {
            Ok(String::new())
        }
    }
    let second = second_model(ResponseTemplate::new(200).set_body_json(completion("From the spare."))).await;
    let test_app = app_with_second_model(&second).await.with_model(DecliningModel);
    for _ in 0..6 {
        test_app.contact_writes(ANA, "hello").await;
        test_app.drain().await;
        test_app.advance(60);
    }
    assert!(second.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn each_class_of_failure_has_its_own_text_and_never_the_error_itself() {
    let long = json!({ "error": { "message": "too long", "code": "context_length_exceeded" } });
    let declined =
        json!({ "choices": [{ "message": { "content": null, "refusal": null }, "finish_reason": "content_filter" }] });
    for (answer, text, drains) in [
        (ResponseTemplate::new(503), "busy", 40),
        (ResponseTemplate::new(400).set_body_json(long), "too long", 1),
        (ResponseTemplate::new(200).set_body_json(declined), "declined", 1),
        (ResponseTemplate::new(401), "sorry", 1),
    ] {
        let test_app = TestApp::with_settings(&[
            ("MYNAH_TEXT_BUSY", "busy"),
            ("MYNAH_TEXT_TOO_LONG", "too long"),
            ("MYNAH_TEXT_DECLINED", "declined"),
            ("MYNAH_TEXT_SORRY", "sorry"),
        ])
        .await;
        test_app.twilio_accepts_everything().await;
        test_app.mock_completion().respond_with(answer).mount(&test_app.model).await;
        test_app.contact_writes(ANA, "hello").await;
        for _ in 0..drains {
            test_app.drain().await;
            test_app.advance(60);
        }
        assert_eq!(test_app.sent_texts().await, [text]);
    }
}

/// A model that never answers in time.
struct TimingOutModel;

#[async_trait::async_trait]
impl mynah::ai::Provider for TimingOutModel {
    fn name(&self) -> &str {
        "slow"
    }
    async fn complete(&self, _: &mynah::ai::Prompt) -> Result<mynah::ai::Completion, Fault> {
        Err(Fault::Retry {
            retry_after: None,
            why: "no answer within 120 s".into(),
            outlook: mynah::fault::RetryOutlook::Timeout,
        })
    }
    async fn check(&self) -> Result<String, Fault> {
        Ok(String::new())
    }
}

#[tokio::test]
async fn a_model_that_is_too_slow_has_a_text_of_its_own() {
    let test_app = TestApp::with_settings(&[("MYNAH_TEXT_TIMEOUT", "too slow")]).await;
    test_app.twilio_accepts_everything().await;
    let test_app = test_app.with_model(TimingOutModel);
    test_app.contact_writes(ANA, "hello").await;
    for _ in 0..40 {
        test_app.drain().await;
        test_app.advance(60);
    }
    assert_eq!(test_app.sent_texts().await, ["too slow"]);
}

#[tokio::test]
async fn a_refused_key_is_alerted() {
    let test_app = TestApp::with_settings(&[]).await;
    test_app.twilio_accepts_everything().await;
    let refused = ResponseTemplate::new(401).set_body_json(json!({ "error": { "message": "wrong key" } }));
    test_app.mock_completion().respond_with(refused).mount(&test_app.model).await;
    test_app.contact_writes(ANA, "hello").await;
    test_app.drain().await;
    let alerts = test_app.app.store.alerts(9).await.unwrap();
    assert!(alerts.len() == 1 && alerts[0].cause == "model" && alerts[0].message.contains("wrong key"), "{alerts:?}");
}

/// The answers if every prompt is too long for the first model, and the second reads `tokens` tokens.
async fn texts_when_too_long_for_the_first(tokens: &str) -> Vec<String> {
    let second = second_model(ResponseTemplate::new(200).set_body_json(completion("From the spare."))).await;
    let base = format!("{}/v1", second.uri());
    let test_app = TestApp::with_settings(&[
        ("MYNAH_AI_CONTEXT_TOKENS", "4096"),
        ("MYNAH_AI_2_PROVIDER", "openai"),
        ("MYNAH_AI_2_BASE_URL", &base),
        ("MYNAH_AI_2_MODEL", "spare"),
        ("MYNAH_AI_2_CONTEXT_TOKENS", tokens),
        ("MYNAH_TEXT_TOO_LONG", "too long"),
    ])
    .await;
    test_app.twilio_accepts_everything().await;
    let long = json!({ "error": { "message": "too long", "code": "context_length_exceeded" } });
    test_app
        .mock_completion()
        .respond_with(ResponseTemplate::new(400).set_body_json(long))
        .mount(&test_app.model)
        .await;
    test_app.contact_writes(ANA, "hello").await;
    test_app.drain().await;
    test_app.sent_texts().await
}

#[tokio::test]
async fn a_prompt_too_long_for_one_model_goes_only_to_one_with_a_larger_context() {
    assert_eq!(texts_when_too_long_for_the_first("32768").await, ["From the spare."]);
    assert_eq!(texts_when_too_long_for_the_first("4096").await, ["too long"]);
}

#[tokio::test]
async fn each_model_is_shown_as_much_as_it_reads_and_the_instructions_always() {
    let second = second_model(ResponseTemplate::new(200).set_body_json(completion("Hello!"))).await;
    let (base, instructions) = (format!("{}/v1", second.uri()), "Be brief. ".repeat(60));
    let test_app = TestApp::with_settings(&[
        ("MYNAH_SYSTEM_PROMPT", &instructions),
        ("MYNAH_AI_CONTEXT_TOKENS", "1024"),
        ("MYNAH_AI_2_PROVIDER", "openai"),
        ("MYNAH_AI_2_BASE_URL", &base),
        ("MYNAH_AI_2_MODEL", "spare"),
        ("MYNAH_AI_2_CONTEXT_TOKENS", "32768"),
        ("MYNAH_RATE_LIMIT", "0"),
    ])
    .await;
    test_app.twilio_accepts_everything().await;
    test_app.mock_completion().respond_with(ResponseTemplate::new(503)).mount(&test_app.model).await;
    for number in 0..3 {
        test_app.contact_writes(ANA, &format!("{number} {}", "word ".repeat(160))).await;
        test_app.drain().await;
    }
    // Each question and its answer are some 280 tokens; 512 are left of 1,024, and the instructions take 214.
    let little = test_app.prompts().await.pop().unwrap();
    assert_eq!((little.len(), little[0].0.as_str(), little[0].1.as_str()), (2, "system", instructions.trim()));
    assert!(little[1].1.starts_with("2 "), "the latest: {little:?}");
    let much: serde_json::Value = second.received_requests().await.unwrap().pop().unwrap().body_json().unwrap();
    assert_eq!(much["messages"].as_array().unwrap().len(), 6);
}
