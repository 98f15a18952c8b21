//! Tests against a server that checks each request exactly.

use std::time::Duration;

use serde_json::{Value, json};
use wiremock::matchers::{body_json, header, method, path};
use wiremock::{Mock, MockServer, Request as Received, ResponseTemplate};

use super::*;
use crate::config::{AiSettingNames, ProviderConfig};
use crate::fault::RetryOutlook;
use crate::model::Usage;

mod answering;
mod asking;
mod checking;
mod failing;
mod vision;

fn config(base: &str, key: Option<&str>, model: Option<&str>) -> AiConfig {
    AiConfig {
        provider: ProviderConfig::OpenAi { base_url: Url::parse(base).unwrap(), api_key: key.map(SecretString::from) },
        model: model.map(str::to_owned),
        max_tokens: None,
        temperature: None,
        timeout: Duration::from_secs(20),
        concurrency: 1,
        context_tokens: 4_096,
        setting_names: AiSettingNames::OPENAI,
        configuration: "environment".into(),
    }
}

fn build(config: &AiConfig) -> Result<OpenAi, Error> {
    let ProviderConfig::OpenAi { base_url, api_key } = &config.provider else { panic!("another provider") };
    OpenAi::new(config, base_url, api_key.as_ref())
}

/// A compatible server with the model `m1`.
fn compatible_server_config(server: &MockServer) -> AiConfig {
    config(&format!("{}/v1", server.uri()), Some("sk-test-key"), Some("m1"))
}

fn prompt(system: &str, said: &[(Role, &str)]) -> Prompt {
    let lines = said.iter().map(|(role, text)| PromptMessage::new(*role, *text)).collect();
    Prompt { system: system.into(), messages: lines, may_hand_over: false }
}

fn hello() -> Prompt {
    prompt("", &[(Role::User, "Hello")])
}

fn message(message: &Value, finish_reason: &str) -> Value {
    json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m1-2026",
        "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": finish_reason}],
        "usage": {"prompt_tokens": 19, "completion_tokens": 10, "total_tokens": 29}
    })
}

fn text_answer(text: &str) -> Value {
    message(&json!({"role": "assistant", "content": text, "refusal": null}), "stop")
}

fn ok_response(body: Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(body)
}

/// Answers a post of exactly `body`, `times` times.
async fn expect_request(server: &MockServer, body: Value, times: u64, answer: ResponseTemplate) {
    let mock = Mock::given(method("POST")).and(path("/v1/chat/completions")).and(body_json(body));
    mock.respond_with(answer).expect(times).mount(server).await;
}

/// Gives the same answer to every post.
async fn server_always_answering(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST")).respond_with(answer).mount(&server).await;
    server
}

/// Completes "Hello" against a server that gives this answer.
async fn complete_against(answer: ResponseTemplate) -> Result<Completion, Fault> {
    let server = server_always_answering(answer).await;
    build(&compatible_server_config(&server)).unwrap().complete(&hello()).await
}
