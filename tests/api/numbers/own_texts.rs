//! Each text that a number can have for itself, and what decides whether it is sent.

use std::sync::Arc;

use axum::http::StatusCode;
use mynah::ai::{Completion, Prompt, Provider};
use mynah::app::Assistant;
use mynah::fault::{Fault, RetryOutlook};
use serde_json::{Value, json};
use wiremock::matchers::method;
use wiremock::{Mock, ResponseTemplate};

use crate::setup::test_app::{ANA, TestApp, completion};
use crate::setup::two_numbers::{SALES, SALES_TOKEN, TwoNumbers, app_with_number_file};

/// The settings of `sales` and of `main`, what the model of `sales` answers, what a contact writes there in order, and
/// the last text that they read.
struct TextCase {
    sales_file: &'static str,
    main_settings: &'static [(&'static str, &'static str)],
    model_answer: ResponseTemplate,
    contact_writes: &'static [&'static str],
    contact_reads: &'static str,
}

fn completion_with_text(text: &str) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(completion(text))
}

fn completion_with_finish_reason(message: Value, reason: &str) -> ResponseTemplate {
    let choice = json!({ "message": message, "finish_reason": reason });
    ResponseTemplate::new(200).set_body_json(json!({ "model": "m", "choices": [choice] }))
}

fn cases() -> Vec<TextCase> {
    let call = json!({ "content": null, "tool_calls": [{ "id": "call_1", "type": "function",
        "function": { "name": "hand_over", "arguments": "{\"reason\": \"wants a refund\"}" } }] });
    let long = json!({ "error": { "message": "too long", "code": "context_length_exceeded" } });
    let case = |own, says, reads| TextCase {
        sales_file: own,
        main_settings: &[],
        model_answer: completion_with_text("Hello!"),
        contact_writes: says,
        contact_reads: reads,
    };
    vec![
        case("text_reset = 'Reset by sales.'", &["/reset"], "Reset by sales."),
        case("text_human = 'A person of sales.'", &["/human"], "A person of sales."),
        case("text_stopped = 'Sales stops.'", &["STOP"], "Sales stops."),
        case("text_started = 'Sales starts.'", &["STOP", "START"], "Sales starts."),
        TextCase {
            main_settings: &[("MYNAH_TEXT_HUMAN", "A person.")],
            model_answer: completion_with_finish_reason(call, "tool_calls"),
            ..case("text_human = 'A person of sales.'", &["I want my money back"], "A person of sales.")
        },
        TextCase {
            main_settings: &[("MYNAH_RATE_LIMIT", "1/1h")],
            ..case("text_slow_down = 'Slowly, says sales.'", &["one", "two"], "Slowly, says sales.")
        },
        TextCase {
            main_settings: &[("MYNAH_WHO", "listed"), ("MYNAH_ALLOWED", "+12025550199")],
            ..case("text_stranger = 'Sales knows you not.'", &["hello"], "Sales knows you not.")
        },
        TextCase {
            main_settings: &[("MYNAH_WHO", "code"), ("MYNAH_PAIRING_CODE", "sesame42")],
            ..case("text_admitted = 'Sales lets you in.'", &["sesame42"], "Sales lets you in.")
        },
        TextCase {
            main_settings: &[("MYNAH_BUDGET_CONTACT_DAY", "1 calls")],
            ..case("text_budget = 'Sales has spent it.'", &["one", "two"], "Sales has spent it.")
        },
        TextCase {
            model_answer: completion_with_finish_reason(json!({ "content": null, "refusal": null }), "content_filter"),
            ..case("text_declined = 'Sales declines.'", &["hello"], "Sales declines.")
        },
        TextCase {
            model_answer: ResponseTemplate::new(400).set_body_json(long),
            ..case("text_too_long = 'Too long for sales.'", &["hello"], "Too long for sales.")
        },
        TextCase {
            model_answer: ResponseTemplate::new(429).insert_header("retry-after", "3600"),
            ..case("text_busy = 'Sales is busy.'", &["hello"], "Sales is busy.")
        },
        TextCase {
            model_answer: completion_with_text("See https://bakery.example now."),
            ..case("links = 'none'\ntext_link = '[link of sales]'", &["hello"], "See [link of sales] now.")
        },
        TextCase {
            main_settings: &[("MYNAH_LINKS", "none")],
            model_answer: completion_with_text("See https://bakery.example now."),
            ..case("links = 'allow'", &["hello"], "See https://bakery.example now.")
        },
    ]
}

#[tokio::test]
async fn each_text_that_a_contact_reads_is_that_of_the_number_that_they_wrote_to() {
    for TextCase { sales_file, main_settings, model_answer, contact_writes, contact_reads } in cases() {
        let numbers =
            TwoNumbers::with_sales_file(&format!("twilio_whatsapp_from = '{SALES}'\n{sales_file}"), main_settings)
                .await;
        Mock::given(method("POST")).respond_with(model_answer).mount(&numbers.model).await;
        for text in contact_writes {
            numbers.contact_writes_to_sales(ANA, text).await;
        }
        assert_eq!(numbers.texts_sent_by_sales().await.last().map(String::as_str), Some(contact_reads), "{sales_file}");
        assert_eq!(numbers.test_app.sent_texts().await, [""; 0], "{sales_file}");
    }
}

/// A model that never answers in time.
struct TimingOutModel;

#[async_trait::async_trait]
impl Provider for TimingOutModel {
    fn name(&self) -> &str {
        "slow"
    }
    async fn complete(&self, _: &Prompt) -> Result<Completion, Fault> {
        Err(Fault::Retry { retry_after: None, why: "no answer within 120 s".into(), outlook: RetryOutlook::Timeout })
    }
    async fn check(&self) -> Result<String, Fault> {
        Ok(String::new())
    }
}

#[tokio::test]
async fn a_number_says_in_its_own_words_that_its_model_is_too_slow_or_left_alone() {
    let own =
        format!("twilio_whatsapp_from = '{SALES}'\ntext_timeout = 'Sales is slow.'\ntext_busy = 'Sales is busy.'");
    for (failures, reads) in [(0, "Sales is slow."), (60, "Sales is busy.")] {
        let mut numbers = TwoNumbers::with_sales_file(&own, &[]).await;
        let number = &mut Arc::get_mut(&mut numbers.test_app.app).unwrap().numbers[1];
        let assistant = Assistant::new(Arc::new(TimingOutModel), number.config.ai.as_ref().unwrap());
        number.assistants[0] = Arc::new(assistant);
        let ill = |numbers: &TwoNumbers| {
            for _ in 0..failures {
                numbers.test_app.app.numbers[1].assistants[0]
                    .breaker
                    .record_failure(None, numbers.test_app.app.clock.now());
            }
        };
        ill(&numbers);
        assert_eq!(numbers.deliver_message(ANA, SALES, "hello", None, SALES_TOKEN).await, StatusCode::OK);
        for _ in 0..40 {
            numbers.test_app.drain().await;
            numbers.test_app.advance(60);
            ill(&numbers);
        }
        assert_eq!(numbers.texts_sent_by_sales().await, [reads]);
    }
}

/// Whether the model of a number was offered the tool `hand_over`.
fn is_offered_hand_over(requests: &[wiremock::Request]) -> bool {
    let asked: Value = requests.last().unwrap().body_json().unwrap();
    asked.get("tools").is_some()
}

#[tokio::test]
async fn each_number_says_whether_its_model_may_call_for_a_person() {
    for (own, main) in [(false, true), (true, false)] {
        let file = format!("twilio_whatsapp_from = '{SALES}'\nmodel_hand_over = {own}");
        let numbers =
            TwoNumbers::with_sales_file(&file, &[("MYNAH_MODEL_HAND_OVER", if main { "true" } else { "false" })]).await;
        numbers.sales_model_answers("From sales.").await;
        numbers.contact_writes_to_sales(ANA, "hello").await;
        numbers.contact_writes_to_main(ANA, "hello").await;
        let of = async |server: &wiremock::MockServer| is_offered_hand_over(&server.received_requests().await.unwrap());
        let TestApp { model, .. } = &numbers.test_app;
        assert_eq!((of(&numbers.model).await, of(model).await), (own, main));
    }
}

#[tokio::test]
async fn instructions_that_a_model_repeats_are_those_of_its_number_and_declined_in_its_words() {
    let instructions =
        "You answer for sales, and sales has a rule for each thing that anybody may ask of it. ".repeat(9);
    let folder = tempfile::tempdir().unwrap();
    let file = format!(
        "twilio_whatsapp_from = '{SALES}'\nsystem_prompt = '{instructions}'\ntext_declined = 'Sales declines.'"
    );
    let test_app = app_with_number_file(&folder, &file, &[]).await;
    test_app.twilio_accepts_everything().await;
    test_app.model_answers(instructions.trim()).await;
    let mut params = test_app.message_params(ANA, "hello");
    params.iter_mut().filter(|(name, _)| name == "To").for_each(|(_, to)| *to = SALES.into());
    assert_eq!(test_app.deliver_webhook(&params).await, StatusCode::OK);
    test_app.drain().await;
    assert_eq!(test_app.sent_texts().await, ["Sales declines."]);
}
