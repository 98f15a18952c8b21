use std::time::Duration;

use serde_json::{Value, json};
use wiremock::matchers::{body_json, header, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;
use crate::config::{AiSettingNames, ProviderConfig};
use crate::fault::RetryOutlook;
use crate::model::Usage;

mod vision;

fn config(base: &str, key: &str) -> AiConfig {
    AiConfig {
        provider: ProviderConfig::Anthropic { base_url: Url::parse(base).unwrap(), api_key: SecretString::from(key) },
        model: None,
        max_tokens: None,
        temperature: None,
        timeout: Duration::from_secs(20),
        concurrency: 1,
        context_tokens: 4_096,
        setting_names: AiSettingNames::ANTHROPIC,
        configuration: "environment".into(),
    }
}

fn build(config: &AiConfig) -> Result<Anthropic, Error> {
    let ProviderConfig::Anthropic { base_url, api_key } = &config.provider else { panic!("another provider") };
    Anthropic::new(config, base_url, api_key)
}

fn provider(server: &MockServer) -> Anthropic {
    build(&config(&server.uri(), "sk-ant-test")).unwrap()
}

fn prompt(system: &str, said: &[(Role, &str)]) -> Prompt {
    let lines = said.iter().map(|(role, text)| PromptMessage::new(*role, *text)).collect();
    Prompt { system: system.into(), messages: lines, may_hand_over: false }
}

fn hello() -> Prompt {
    prompt("", &[(Role::User, "Hello")])
}

fn message(content: &Value, stop_reason: &str) -> Value {
    json!({
        "id": "msg_1", "type": "message", "role": "assistant", "content": content, "model": "claude-sonnet-5-20260801",
        "stop_reason": stop_reason, "stop_sequence": null, "stop_details": null, "container": null,
        "usage": {"input_tokens": 11, "output_tokens": 7, "cache_creation_input_tokens": 20,
            "cache_read_input_tokens": 300, "cache_creation": null, "server_tool_use": null, "service_tier": "standard"}
    })
}

fn text_response(text: &str) -> ResponseTemplate {
    ok_response(message(&json!([{"type": "text", "text": text, "citations": null}]), "end_turn"))
}

fn ok_response(body: Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(body)
}

fn error_response(status: u16, kind: &str, message: &str) -> ResponseTemplate {
    let body = json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_body"});
    ResponseTemplate::new(status).set_body_json(body)
}

async fn expect_request(server: &MockServer, body: Value, times: u64, answer: ResponseTemplate) {
    let mock = Mock::given(method("POST")).and(path("/v1/messages")).and(body_json(body));
    mock.respond_with(answer).expect(times).mount(server).await;
}

async fn server_always_answering(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST")).respond_with(answer).mount(&server).await;
    server
}

/// Completes "Hello" against a server that gives this answer.
async fn complete_against(answer: ResponseTemplate) -> Result<Completion, Fault> {
    let server = server_always_answering(answer).await;
    provider(&server).complete(&hello()).await
}

#[tokio::test]
async fn a_question_goes_out_as_messages_with_one_role_after_the_other() {
    let server = MockServer::start().await;
    let body = json!({
        "model": "claude-sonnet-5",
        "max_tokens": 16384,
        "system": "Be kind.",
        "messages": [
            {"role": "user", "content": "Hello\n\nAnyone?"},
            {"role": "assistant", "content": "Hi\n\nAnn here"},
            {"role": "user", "content": "Open?"}
        ]
    });
    Mock::given(method("POST"))
        .and(path("/v1/messages"))
        .and(header("x-api-key", "sk-ant-test"))
        .and(header("anthropic-version", "2023-06-01"))
        .and(header("content-type", "application/json"))
        .and(body_json(body))
        .respond_with(text_response("Yes."))
        .expect(1)
        .mount(&server)
        .await;
    let asked = prompt(
        "Be kind.",
        &[
            (Role::Operator, "We are back."),
            (Role::User, "Hello"),
            (Role::User, "Anyone?"),
            (Role::Assistant, "Hi"),
            (Role::Assistant, "\n"),
            (Role::Operator, "Ann here"),
            (Role::User, "Open?"),
        ],
    );
    let usage = Usage { input_tokens: 331, output_tokens: 7, estimated: false };
    assert_eq!(
        provider(&server).complete(&asked).await.unwrap(),
        Completion {
            text: "Yes.".into(),
            finish: Finish::Stop,
            usage,
            model: "claude-sonnet-5-20260801".into(),
            hand_over: None
        }
    );
}

#[tokio::test]
async fn the_owners_settings_are_sent_and_no_empty_system_prompt() {
    let server = MockServer::start().await;
    let body = json!({"model": "claude-haiku-4-5", "max_tokens": 500, "temperature": 0.3,
        "messages": [{"role": "user", "content": "Hello"}]});
    expect_request(&server, body, 1, text_response("Hi")).await;
    let mut config = config(&format!("{}/v1/", server.uri()), "sk-ant-test");
    config.model = Some("claude-haiku-4-5".into());
    (config.max_tokens, config.temperature) = (Some(500), Some(0.3));
    build(&config).unwrap().complete(&prompt(" ", &[(Role::User, "Hello")])).await.unwrap();
}

#[tokio::test]
async fn a_refused_temperature_is_dropped_and_stays_dropped() {
    let server = MockServer::start().await;
    let messages = json!([{"role": "user", "content": "Hello"}]);
    let warm = json!({"model": "claude-sonnet-5", "max_tokens": 16384, "temperature": 0.3, "messages": messages});
    let refusal = error_response(400, "invalid_request_error", "`temperature` is deprecated for this model.");
    expect_request(&server, warm, 1, refusal).await;
    let plain = json!({"model": "claude-sonnet-5", "max_tokens": 16384, "messages": messages});
    expect_request(&server, plain, 2, text_response("Hi")).await;
    let mut config = config(&server.uri(), "sk-ant-test");
    config.temperature = Some(0.3);
    let provider = build(&config).unwrap();
    provider.complete(&hello()).await.unwrap();
    provider.complete(&hello()).await.unwrap();
}

#[tokio::test]
async fn a_cap_beyond_the_model_is_lowered_to_what_it_names() {
    let server = MockServer::start().await;
    let messages = json!([{"role": "user", "content": "Hello"}]);
    let high = json!({"model": "claude-sonnet-5", "max_tokens": 16384, "messages": messages});
    let refusal = "max_tokens: 16384 > 4096, which is the maximum allowed number of output tokens for claude-3-haiku";
    expect_request(&server, high, 1, error_response(400, "invalid_request_error", refusal)).await;
    let low = json!({"model": "claude-sonnet-5", "max_tokens": 4096, "messages": messages});
    expect_request(&server, low, 2, text_response("Hi")).await;
    let provider = provider(&server);
    provider.complete(&hello()).await.unwrap();
    provider.complete(&hello()).await.unwrap();
}

#[tokio::test]
async fn all_text_is_taken_and_thinking_is_not() {
    let content = json!([
        {"type": "thinking", "thinking": "hm", "signature": "x"},
        {"type": "text", "text": "Yes, "},
        {"type": "redacted_thinking", "data": "x", "text": "x"},
        {"type": "text", "text": "we are.\n"}
    ]);
    for (reason, finish) in [
        ("end_turn", Finish::Stop),
        ("stop_sequence", Finish::Stop),
        ("pause_turn", Finish::Stop),
        ("tool_use", Finish::Stop),
        ("max_tokens", Finish::Length),
        ("model_context_window_exceeded", Finish::Length),
        ("refusal", Finish::Refusal),
    ] {
        let completion = complete_against(ok_response(message(&content, reason))).await.unwrap();
        assert_eq!((completion.text.as_str(), completion.finish), ("Yes, we are.", finish), "{reason}");
    }
}

#[tokio::test]
async fn an_answer_without_text_is_classified_by_its_stop_reason() {
    let thought = json!([{"type": "thinking", "thinking": "hm", "signature": "x"}]);
    let refusal = complete_against(ok_response(message(&json!([]), "refusal"))).await.unwrap();
    assert_eq!((refusal.text.as_str(), refusal.finish), ("", Finish::Refusal));
    let blocked = error_response(400, "invalid_request_error", "Output blocked by content filtering policy");
    let refusal = complete_against(blocked).await.unwrap();
    assert_eq!((refusal.text.as_str(), refusal.finish), ("", Finish::Refusal));
    for reason in ["end_turn", "pause_turn"] {
        let fault = complete_against(ok_response(message(&json!([]), reason))).await.unwrap_err();
        assert!(matches!(fault, Fault::Retry { retry_after: None, .. }), "{reason}: {fault:?}");
    }
    let fault = complete_against(ok_response(message(&thought, "max_tokens"))).await.unwrap_err();
    assert!(
        matches!(&fault, Fault::Fail { owner: FaultOwner::Operator, why } if why.contains("raise MYNAH_AI_MAX_TOKENS"))
    );
    let fault = complete_against(ok_response(json!({"ok": true}))).await.unwrap_err();
    assert!(matches!(fault, Fault::Retry { .. }), "{fault:?}");
}

#[tokio::test]
async fn missing_figures_are_estimated_from_characters() {
    let body = json!({"content": [{"type": "text", "text": "Twelve chars"}], "stop_reason": "end_turn"});
    let completion = complete_against(ok_response(body)).await.unwrap();
    assert_eq!(completion.usage, Usage { input_tokens: 1, output_tokens: 3, estimated: true });
    assert_eq!(completion.model, "claude-sonnet-5");
}

#[tokio::test]
async fn a_conversation_that_is_too_long_loses_its_older_half_once() {
    let full = ok_response(message(&json!([]), "model_context_window_exceeded"));
    for refusal in [
        error_response(400, "invalid_request_error", "prompt is too long: 215000 tokens > 200000 maximum"),
        error_response(413, "request_too_large", "Request exceeds the maximum size"),
        full,
    ] {
        let server = MockServer::start().await;
        let long = json!({"model": "claude-sonnet-5", "max_tokens": 16384, "messages": [
            {"role": "user", "content": "1"}, {"role": "assistant", "content": "2"}, {"role": "user", "content": "3"},
            {"role": "assistant", "content": "4"}, {"role": "user", "content": "5"}
        ]});
        expect_request(&server, long, 1, refusal.clone()).await;
        let short = json!({"model": "claude-sonnet-5", "max_tokens": 16384, "messages": [
            {"role": "user", "content": "3"}, {"role": "assistant", "content": "4"}, {"role": "user", "content": "5"}
        ]});
        expect_request(&server, short, 1, refusal).await;
        let said =
            [(Role::User, "1"), (Role::Assistant, "2"), (Role::User, "3"), (Role::Assistant, "4"), (Role::User, "5")];
        let fault = provider(&server).complete(&prompt("", &said)).await.unwrap_err();
        assert!(matches!(fault, Fault::TooLong { .. }), "{fault:?}");
    }
}

#[tokio::test]
async fn each_error_has_its_class() {
    let (retry, busy, operator, contact) = ("retry", "busy", "operator", "message");
    let limit = json!({"type": "error", "error": {"type": "rate_limit_error", "message": "x",
        "details": {"error_code": "enforced_spend_limit_reached"}}});
    for (answer, class) in [
        (error_response(400, "invalid_request_error", "messages.0: bad"), contact),
        (error_response(400, "invalid_request_error", "Your credit balance is too low to access the API."), operator),
        (error_response(400, "invalid_request_error", "You have reached your specified API usage limits."), operator),
        (
            error_response(400, "invalid_request_error", "max_tokens: must be greater than thinking.budget_tokens"),
            operator,
        ),
        (error_response(401, "authentication_error", "invalid x-api-key"), operator),
        (error_response(402, "billing_error", "x"), operator),
        (error_response(403, "permission_error", "x"), operator),
        (error_response(404, "not_found_error", "model: foo"), operator),
        (error_response(409, "conflict_error", "x"), retry),
        (error_response(429, "rate_limit_error", "x"), operator),
        (error_response(429, "rate_limit_error", "x").insert_header("retry-after", "12"), "busy 12"),
        (ResponseTemplate::new(429).insert_header("retry-after", "12").set_body_json(limit), operator),
        (error_response(500, "api_error", "x"), retry),
        (error_response(504, "timeout_error", "x"), retry),
        (error_response(529, "overloaded_error", "Overloaded").insert_header("retry-after", "3"), "busy 3"),
        (error_response(529, "overloaded_error", "Overloaded"), busy),
        (error_response(500, "overloaded_error", "a gateway's"), busy),
        (error_response(503, "", "").insert_header("retry-after", "4"), "busy 4"),
        (error_response(500, "api_error", "x").insert_header("retry-after", "5"), "retry 5"),
        (error_response(302, "", ""), operator),
        (error_response(200, "overloaded_error", "Overloaded"), busy),
        (error_response(200, "authentication_error", "x"), operator),
        (ResponseTemplate::new(200).set_body_raw("<html>", "text/html"), operator),
        (ResponseTemplate::new(502).set_body_raw("<html>", "text/html"), retry),
    ] {
        let fault = complete_against(answer).await.unwrap_err();
        let judged = match &fault {
            Fault::Retry { retry_after, outlook, .. } => {
                let word = if *outlook == RetryOutlook::Overload { busy } else { retry };
                retry_after.map_or(word.into(), |after| format!("{word} {}", after.as_secs()))
            }
            Fault::Fail { owner: FaultOwner::Operator, .. } => operator.into(),
            Fault::Fail { owner: FaultOwner::Message, .. } => contact.into(),
            other => panic!("{other:?}"),
        };
        assert_eq!(judged, class, "{fault}");
    }
}

#[tokio::test]
async fn the_words_for_operators_hold_kind_and_request_id_and_no_key() {
    let answer = error_response(529, "overloaded_error", "Overloaded, sk-ant-test");
    let fault = complete_against(answer.clone()).await.unwrap_err();
    assert_eq!(
        fault.why(),
        "the model's server answered 529: Overloaded, [key] (overloaded_error); request id req_body"
    );
    let fault = complete_against(answer.insert_header("request-id", "req_head")).await.unwrap_err();
    assert!(fault.why().ends_with("; request id req_head"), "{fault}");
}

async fn server_listing_models(status: u16, body: Value) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .and(path("/v1/models"))
        .and(query_param("limit", "1000"))
        .and(header("x-api-key", "sk-ant-test"))
        .respond_with(ResponseTemplate::new(status).set_body_json(body))
        .expect(1)
        .mount(&server)
        .await;
    server
}

#[tokio::test]
async fn a_listed_model_is_checked_without_a_question_and_another_with_one() {
    let listed = json!({"data": [{"type": "model", "id": "claude-sonnet-5", "display_name": "x", "created_at": "x"}]});
    let server = server_listing_models(200, listed).await;
    let report = provider(&server).check().await.unwrap();
    assert_eq!(report, "127.0.0.1 answers; claude-sonnet-5 is one of the 1 models it lists");

    let body = json!({"model": "claude-sonnet-5", "max_tokens": 1, "messages": [{"role": "user", "content": "Hello"}]});
    for (status, list, told) in [
        (200, json!({"data": []}), "claude-sonnet-5 at 127.0.0.1 answers, though it is not among the 0 models listed"),
        (404, json!({}), "claude-sonnet-5 at 127.0.0.1 answers; the server lists no models"),
    ] {
        let server = server_listing_models(status, list).await;
        expect_request(&server, body.clone(), 1, ok_response(message(&json!([]), "max_tokens"))).await;
        assert_eq!(provider(&server).check().await.unwrap(), told);
    }
}

#[tokio::test]
async fn a_wrong_key_fails_the_check() {
    let server =
        server_listing_models(401, json!({"type": "error", "error": {"type": "authentication_error", "message": "x"}}))
            .await;
    let fault = provider(&server).check().await.unwrap_err();
    assert!(matches!(&fault, Fault::Fail { owner: FaultOwner::Operator, why } if why.contains("ANTHROPIC_API_KEY")));
}

#[test]
fn an_unusable_server_is_reported_by_its_setting() {
    let wrong = |config: &AiConfig| build(config).err().unwrap().to_string();
    assert_eq!(
        wrong(&config("https://api.anthropic.com", " ")),
        "api.anthropic.com needs a key: set ANTHROPIC_API_KEY"
    );
    let mut hot = config("https://api.anthropic.com", "sk-ant-1");
    hot.temperature = Some(1.2);
    assert_eq!(wrong(&hot), "MYNAH_AI_TEMPERATURE is 1.2: anthropic accepts 0 to 1");
}

#[tokio::test]
async fn a_person_is_called_by_a_tool() {
    let content = json!([{"type": "text", "text": "I see."},
        {"type": "tool_use", "id": "toolu_1", "name": "hand_over", "input": {"reason": "wants a refund"}}]);
    let server = MockServer::start().await;
    Mock::given(method("POST")).respond_with(ok_response(message(&content, "tool_use"))).mount(&server).await;
    let prompt = Prompt { may_hand_over: true, ..hello() };
    let completion = provider(&server).complete(&prompt).await.unwrap();
    assert_eq!((completion.text.as_str(), completion.hand_over.as_deref()), ("I see.", Some("wants a refund")));
    let asked: Value = server.received_requests().await.unwrap()[0].body_json().unwrap();
    assert_eq!(asked["tools"][0]["name"], "hand_over");
    assert_eq!(asked["tools"][0]["input_schema"]["type"], "object");
}

#[tokio::test]
async fn errors_of_another_model_name_its_own_settings() {
    let names =
        AiSettingNames { model: "MYNAH_AI_3_MODEL", base_url: "MYNAH_AI_3_BASE_URL", api_key: "MYNAH_AI_3_API_KEY" };
    let (model, address, key) = (names.model, names.base_url, names.api_key);
    for (answer, told) in [
        (error_response(302, "", ""), &[address][..]),
        (error_response(401, "authentication_error", "x"), &[key]),
        (error_response(403, "permission_error", "x"), &[key]),
        (error_response(404, "not_found_error", "model: foo"), &[model, address]),
        (error_response(405, "", ""), &[address]),
        (ResponseTemplate::new(200).set_body_raw("<html>", "text/html"), &[address]),
    ] {
        let server = MockServer::start().await;
        Mock::given(method("POST")).respond_with(answer).mount(&server).await;
        let third = AiConfig { setting_names: names, ..config(&server.uri(), "sk-ant-test") };
        let fault = build(&third).unwrap().complete(&hello()).await.unwrap_err();
        assert!(told.iter().all(|name| fault.why().contains(name)), "{fault}");
        assert!(!fault.why().contains("MYNAH_AI_MODEL") && !fault.why().contains("ANTHROPIC_"), "{fault}");
    }
    let refused = |key| {
        build(&AiConfig { setting_names: names, ..config("https://api.anthropic.com", key) }).err().unwrap().to_string()
    };
    assert_eq!(refused(" "), "api.anthropic.com needs a key: set MYNAH_AI_3_API_KEY");
    assert!(refused("a\nb").starts_with("MYNAH_AI_3_API_KEY contains characters"));
}

#[tokio::test]
async fn anthropic_itself_is_called_by_https_alone_and_another_server_as_the_owner_says() {
    for (base, official) in [("https://api.anthropic.com", true), ("https://models.example", false)] {
        let provider = build(&config(base, "sk-ant-test")).unwrap();
        let fault = provider.client.get(&Url::parse("http://127.0.0.1:9/").unwrap()).await.err().unwrap();
        assert_eq!(matches!(fault, Fault::Fail { owner: FaultOwner::Operator, .. }), official, "{base}: {fault}");
    }
}
