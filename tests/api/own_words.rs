//! What a number says in its own words: each text, and what decides whether it is said.

use std::sync::Arc;

use axum::http::StatusCode;
use mynah::ai::{Completion, Prompt, Provider};
use mynah::app::Assistant;
use mynah::fault::{Fault, RetryOutlook};
use serde_json::{Value, json};
use wiremock::matchers::method;
use wiremock::{Mock, ResponseTemplate};

use crate::house::{ANA, House, completion};
use crate::numbers::{SALES, SALES_TOKEN, Two, house};

/// What is set on `sales`, what on `main`, what the model of `sales` answers, what a contact says there one after the other,
/// and what they read last.
struct Case {
    own: &'static str,
    main: &'static [(&'static str, &'static str)],
    model: ResponseTemplate,
    says: &'static [&'static str],
    reads: &'static str,
}

fn answers(text: &str) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(completion(text))
}

fn ends(message: Value, reason: &str) -> ResponseTemplate {
    let choice = json!({ "message": message, "finish_reason": reason });
    ResponseTemplate::new(200).set_body_json(json!({ "model": "m", "choices": [choice] }))
}

fn cases() -> Vec<Case> {
    let call = json!({ "content": null, "tool_calls": [{ "id": "call_1", "type": "function",
        "function": { "name": "hand_over", "arguments": "{\"reason\": \"wants a refund\"}" } }] });
    let long = json!({ "error": { "message": "too long", "code": "context_length_exceeded" } });
    let case = |own, says, reads| Case { own, main: &[], model: answers("Hello!"), says, reads };
    vec![
        case("text_reset = 'Reset by sales.'", &["/reset"], "Reset by sales."),
        case("text_human = 'A person of sales.'", &["/human"], "A person of sales."),
        case("text_stopped = 'Sales stops.'", &["STOP"], "Sales stops."),
        case("text_started = 'Sales starts.'", &["STOP", "START"], "Sales starts."),
        Case {
            main: &[("MYNAH_TEXT_HUMAN", "A person.")],
            model: ends(call, "tool_calls"),
            ..case("text_human = 'A person of sales.'", &["I want my money back"], "A person of sales.")
        },
        Case {
            main: &[("MYNAH_RATE_LIMIT", "1/1h")],
            ..case("text_slow_down = 'Slowly, says sales.'", &["one", "two"], "Slowly, says sales.")
        },
        Case {
            main: &[("MYNAH_WHO", "listed"), ("MYNAH_ALLOWED", "+12025550199")],
            ..case("text_stranger = 'Sales knows you not.'", &["hello"], "Sales knows you not.")
        },
        Case {
            main: &[("MYNAH_WHO", "code"), ("MYNAH_PAIRING_CODE", "sesame42")],
            ..case("text_admitted = 'Sales lets you in.'", &["sesame42"], "Sales lets you in.")
        },
        Case {
            main: &[("MYNAH_BUDGET_CONTACT_DAY", "1 calls")],
            ..case("text_budget = 'Sales has spent it.'", &["one", "two"], "Sales has spent it.")
        },
        Case {
            model: ends(json!({ "content": null, "refusal": null }), "content_filter"),
            ..case("text_declined = 'Sales declines.'", &["hello"], "Sales declines.")
        },
        Case {
            model: ResponseTemplate::new(400).set_body_json(long),
            ..case("text_too_long = 'Too long for sales.'", &["hello"], "Too long for sales.")
        },
        Case {
            model: ResponseTemplate::new(429).insert_header("retry-after", "3600"),
            ..case("text_busy = 'Sales is busy.'", &["hello"], "Sales is busy.")
        },
        Case {
            model: answers("See https://bakery.example now."),
            ..case("links = 'none'\ntext_link = '[link of sales]'", &["hello"], "See [link of sales] now.")
        },
        Case {
            main: &[("MYNAH_LINKS", "none")],
            model: answers("See https://bakery.example now."),
            ..case("links = 'allow'", &["hello"], "See https://bakery.example now.")
        },
    ]
}

#[tokio::test]
async fn each_text_that_a_contact_reads_is_that_of_the_number_that_they_wrote_to() {
    for Case { own, main, model, says, reads } in cases() {
        let two = Two::with(&format!("twilio_whatsapp_from = '{SALES}'\n{own}"), main).await;
        Mock::given(method("POST")).respond_with(model).mount(&two.model).await;
        for text in says {
            two.say_to_sales(ANA, text).await;
        }
        assert_eq!(two.texts_of_sales().await.last().map(String::as_str), Some(reads), "{own}");
        assert_eq!(two.house.texts().await, [""; 0], "{own}");
    }
}

/// A model that never answers in time.
struct Slow;

#[async_trait::async_trait]
impl Provider for Slow {
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
        let mut two = Two::with(&own, &[]).await;
        let number = &mut Arc::get_mut(&mut two.house.app).unwrap().numbers[1];
        let assistant = Assistant::new(Arc::new(Slow), number.config.ai.as_ref().unwrap());
        number.assistants[0] = Arc::new(assistant);
        let ill = |two: &Two| {
            for _ in 0..failures {
                two.house.app.numbers[1].assistants[0].breaker.record_failure(None, two.house.app.clock.now());
            }
        };
        ill(&two);
        assert_eq!(two.message(ANA, SALES, "hello", None, SALES_TOKEN).await, StatusCode::OK);
        for _ in 0..40 {
            two.house.drain().await;
            two.house.advance(60);
            ill(&two);
        }
        assert_eq!(two.texts_of_sales().await, [reads]);
    }
}

/// Whether the model of a number was offered to call for a person.
fn offered(requests: &[wiremock::Request]) -> bool {
    let asked: Value = requests.last().unwrap().body_json().unwrap();
    asked.get("tools").is_some()
}

#[tokio::test]
async fn each_number_says_whether_its_model_may_call_for_a_person() {
    for (own, main) in [(false, true), (true, false)] {
        let file = format!("twilio_whatsapp_from = '{SALES}'\nmodel_hand_over = {own}");
        let two = Two::with(&file, &[("MYNAH_MODEL_HAND_OVER", if main { "true" } else { "false" })]).await;
        two.sales_says("From sales.").await;
        two.say_to_sales(ANA, "hello").await;
        two.say_to_main(ANA, "hello").await;
        let of = async |server: &wiremock::MockServer| offered(&server.received_requests().await.unwrap());
        let House { model, .. } = &two.house;
        assert_eq!((of(&two.model).await, of(model).await), (own, main));
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
    let house = house(&folder, &file, &[]).await;
    house.twilio_takes_everything().await;
    house.model_says(instructions.trim()).await;
    let mut params = house.message(ANA, "hello");
    params.iter_mut().filter(|(name, _)| name == "To").for_each(|(_, to)| *to = SALES.into());
    assert_eq!(house.deliver(&params).await, StatusCode::OK);
    house.drain().await;
    assert_eq!(house.texts().await, ["Sales declines."]);
}
