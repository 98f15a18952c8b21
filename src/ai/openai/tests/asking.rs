//! The requests that are sent, and the quirks learned from refusals.

use super::*;

#[tokio::test]
async fn a_question_goes_out_as_chat_completions_with_operators_as_the_assistant() {
    let server = MockServer::start().await;
    let body = json!({
        "model": "m1",
        "messages": [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": "Hi"},
            {"role": "assistant", "content": "Ann here"},
            {"role": "user", "content": "Open?"}
        ],
        "max_tokens": 1024
    });
    Mock::given(method("POST"))
        .and(path("/v1/chat/completions"))
        .and(header("authorization", "Bearer sk-test-key"))
        .and(header("content-type", "application/json"))
        .and(body_json(body))
        .respond_with(ok_response(text_answer("Yes.")))
        .expect(1)
        .mount(&server)
        .await;
    let provider = build(&compatible_server_config(&server)).unwrap();
    let asked = prompt(
        " Be kind.\n",
        &[
            (Role::User, "Hello"),
            (Role::Assistant, "Hi"),
            (Role::Operator, "Ann here"),
            (Role::User, "  "),
            (Role::User, "Open?"),
        ],
    );
    let usage = Usage { input_tokens: 19, output_tokens: 10, estimated: false };
    assert_eq!(
        provider.complete(&asked).await.unwrap(),
        Completion { text: "Yes.".into(), finish: Finish::Stop, usage, model: "m1-2026".into(), hand_over: None }
    );
    assert_eq!(provider.name(), "openai m1");
}

#[tokio::test]
async fn a_server_without_keys_gets_none() {
    for key in [None, Some(" ")] {
        let server = server_always_answering(ok_response(text_answer("Hi"))).await;
        let mut config = compatible_server_config(&server);
        config.provider = self::config(&format!("{}/v1/", server.uri()), key, None).provider;
        build(&config).unwrap().complete(&hello()).await.unwrap();
        let received = server.received_requests().await.unwrap();
        assert!(!received[0].headers.contains_key("authorization"));
    }
}

#[tokio::test]
async fn openai_is_sent_only_what_the_owner_configured() {
    let server = MockServer::start().await;
    let mut config = compatible_server_config(&server);
    let messages = json!([{"role": "user", "content": "Hello"}]);
    expect_request(&server, json!({"model": "m1", "messages": messages}), 1, ok_response(text_answer("Hi"))).await;
    let mut bare = build(&config).unwrap();
    bare.is_official = true;
    bare.complete(&hello()).await.unwrap();

    let full = json!({"model": "m1", "messages": messages, "max_completion_tokens": 500, "temperature": 0.3});
    expect_request(&server, full, 1, ok_response(text_answer("Hi"))).await;
    (config.max_tokens, config.temperature) = (Some(500), Some(0.3));
    let mut configured = build(&config).unwrap();
    configured.is_official = true;
    configured.complete(&hello()).await.unwrap();
}

#[tokio::test]
async fn other_servers_get_the_configured_cap_as_max_tokens() {
    let server = MockServer::start().await;
    let mut config = compatible_server_config(&server);
    (config.max_tokens, config.temperature) = (Some(77), Some(0.0));
    let body = json!({
        "model": "m1", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 77, "temperature": 0.0
    });
    expect_request(&server, body, 1, ok_response(text_answer("Hi"))).await;
    build(&config).unwrap().complete(&hello()).await.unwrap();
}

fn unsupported_parameter_response(param: &str, code: &str, message: &str) -> ResponseTemplate {
    ResponseTemplate::new(400).set_body_json(
        json!({"error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}}),
    )
}

#[tokio::test]
async fn a_refused_cap_is_renamed_at_once_and_stays_renamed() {
    let server = MockServer::start().await;
    let messages = json!([{"role": "user", "content": "Hello"}]);
    let refusal =
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.";
    let old = json!({"model": "m1", "messages": messages, "max_tokens": 1024});
    expect_request(&server, old, 1, unsupported_parameter_response("max_tokens", "unsupported_parameter", refusal))
        .await;
    let new = json!({"model": "m1", "messages": messages, "max_completion_tokens": 1024});
    expect_request(&server, new, 2, ok_response(text_answer("Hi"))).await;
    let provider = build(&compatible_server_config(&server)).unwrap();
    provider.complete(&hello()).await.unwrap();
    provider.complete(&hello()).await.unwrap();
}

#[tokio::test]
async fn a_refused_temperature_is_dropped_and_stays_dropped() {
    let server = MockServer::start().await;
    let messages = json!([{"role": "user", "content": "Hello"}]);
    let refusal = "Unsupported value: 'temperature' does not support 0.3 with this model. Only the default (1) value is supported.";
    let warm = json!({"model": "m1", "messages": messages, "max_tokens": 1024, "temperature": 0.3});
    expect_request(&server, warm, 1, unsupported_parameter_response("temperature", "unsupported_value", refusal)).await;
    let plain = json!({"model": "m1", "messages": messages, "max_tokens": 1024});
    expect_request(&server, plain, 2, ok_response(text_answer("Hi"))).await;
    let mut config = compatible_server_config(&server);
    config.temperature = Some(0.3);
    let provider = build(&config).unwrap();
    provider.complete(&hello()).await.unwrap();
    provider.complete(&hello()).await.unwrap();
}

#[tokio::test]
async fn an_unknown_field_in_fastapis_words_is_learned_too() {
    let server = MockServer::start().await;
    let messages = json!([{"role": "user", "content": "Hello"}]);
    let detail = json!({"detail": [
        {"type": "extra_forbidden", "loc": ["body", "max_tokens"], "msg": "Extra inputs are not permitted", "input": 1024}
    ]});
    let old = json!({"model": "m1", "messages": messages, "max_tokens": 1024});
    expect_request(&server, old, 1, ResponseTemplate::new(422).set_body_json(detail)).await;
    let new = json!({"model": "m1", "messages": messages, "max_completion_tokens": 1024});
    expect_request(&server, new, 1, ok_response(text_answer("Hi"))).await;
    build(&compatible_server_config(&server)).unwrap().complete(&hello()).await.unwrap();
}

/// Refuses every parameter that it finds, one for each request.
fn refuse_known_parameters(request: &Received) -> ResponseTemplate {
    let body: Value = request.body_json().unwrap();
    for name in ["max_tokens", "max_completion_tokens", "temperature"] {
        if body.get(name).is_some() {
            return unsupported_parameter_response(name, "unsupported_parameter", "Unsupported parameter.");
        }
    }
    if body["messages"][0]["role"] == "system" {
        return ResponseTemplate::new(400).set_body_json(json!({"error": "System role not supported"}));
    }
    ok_response(text_answer("Hi"))
}

#[tokio::test]
async fn one_call_adapts_at_most_three_times_and_the_next_goes_on_from_there() {
    let server = MockServer::start().await;
    Mock::given(method("POST")).respond_with(refuse_known_parameters).mount(&server).await;
    let mut config = compatible_server_config(&server);
    config.temperature = Some(0.3);
    let provider = build(&config).unwrap();
    let asked = prompt("Be kind.", &[(Role::User, "Hello")]);
    let fault = provider.complete(&asked).await.unwrap_err();
    assert!(matches!(fault, Fault::Fail { owner: FaultOwner::Operator, .. }), "{fault:?}");
    assert_eq!(server.received_requests().await.unwrap().len(), 4);
    assert_eq!(provider.complete(&asked).await.unwrap().text, "Hi");
    assert_eq!(server.received_requests().await.unwrap().len(), 6);
}

#[tokio::test]
async fn a_value_that_is_refused_is_the_operators_to_mend() {
    let refusal =
        unsupported_parameter_response("temperature", "invalid_value", "Invalid 'temperature': must be at most 1.");
    let server = server_always_answering(refusal).await;
    let mut config = compatible_server_config(&server);
    config.temperature = Some(1.5);
    let fault = build(&config).unwrap().complete(&hello()).await.unwrap_err();
    assert!(matches!(&fault, Fault::Fail { owner: FaultOwner::Operator, why } if why.contains("MYNAH_AI_TEMPERATURE")));
    assert_eq!(server.received_requests().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_template_without_system_role_gets_alternating_roles_from_then_on() {
    for (status, refusal) in [
        (
            400,
            json!({"object": "error", "message": "System role not supported", "type": "BadRequestError", "code": 400}),
        ),
        (
            400,
            json!({"error": {"message": "Conversation roles must alternate user/assistant/user/assistant/...", "code": 400}}),
        ),
        (400, json!({"error": {"message": "Only user and assistant roles are supported!", "type": "BadRequestError"}})),
        (500, json!({"error": {"code": 500, "message": "System role not supported", "type": "server_error"}})),
    ] {
        let server = MockServer::start().await;
        let plain = json!({"model": "m1", "max_tokens": 1024, "messages": [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": "Hello"},
            {"role": "user", "content": "Open?"}
        ]});
        expect_request(&server, plain, 1, ResponseTemplate::new(status).set_body_json(refusal)).await;
        let merged = json!({"model": "m1", "max_tokens": 1024, "messages": [
            {"role": "user", "content": "Be kind.\n\nHello\n\nOpen?"}
        ]});
        expect_request(&server, merged, 2, ok_response(text_answer("Yes."))).await;
        let provider = build(&compatible_server_config(&server)).unwrap();
        let asked = prompt("Be kind.", &[(Role::User, "Hello"), (Role::User, "Open?")]);
        provider.complete(&asked).await.unwrap();
        provider.complete(&asked).await.unwrap();
    }
}

#[tokio::test]
async fn a_conversation_that_is_too_long_loses_its_older_half_once() {
    for (status, refusal) in [
        (
            400,
            json!({"error": {"message": "Please shorten.", "type": "invalid_request_error", "param": "messages",
            "code": "context_length_exceeded"}}),
        ),
        (
            400,
            json!({"error": {"code": 400, "message": "the request exceeds the available size.",
            "type": "exceed_context_size_error", "n_prompt_tokens": 9000, "n_ctx": 4096}}),
        ),
        (
            400,
            json!({"object": "error", "message": "This model's maximum context length is 4096 tokens. However, you \
            requested 5000 tokens (3976 in the messages, 1024 in max_tokens).", "type": "BadRequestError", "code": 400}),
        ),
        (413, json!({"error": "Request too large"})),
    ] {
        let server = MockServer::start().await;
        let long = json!({"model": "m1", "max_tokens": 1024, "messages": [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": "1"}, {"role": "assistant", "content": "2"}, {"role": "user", "content": "3"},
            {"role": "assistant", "content": "4"}, {"role": "user", "content": "5"}
        ]});
        expect_request(&server, long, 1, ResponseTemplate::new(status).set_body_json(&refusal)).await;
        let short = json!({"model": "m1", "max_tokens": 1024, "messages": [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": "3"}, {"role": "assistant", "content": "4"}, {"role": "user", "content": "5"}
        ]});
        expect_request(&server, short, 1, ResponseTemplate::new(status).set_body_json(&refusal)).await;
        let provider = build(&compatible_server_config(&server)).unwrap();
        let said =
            [(Role::User, "1"), (Role::Assistant, "2"), (Role::User, "3"), (Role::Assistant, "4"), (Role::User, "5")];
        let fault = provider.complete(&prompt("Be kind.", &said)).await.unwrap_err();
        assert!(matches!(fault, Fault::TooLong { .. }), "{fault:?}");
    }
}

#[tokio::test]
async fn a_halved_conversation_is_answered() {
    let server = MockServer::start().await;
    let refusal = json!({"error": {"message": "x", "type": "y", "param": null, "code": "context_length_exceeded"}});
    let long = json!({"model": "m1", "max_tokens": 1024, "messages": [
        {"role": "user", "content": "1"}, {"role": "assistant", "content": "2"}, {"role": "user", "content": "3"}
    ]});
    expect_request(&server, long, 1, ResponseTemplate::new(400).set_body_json(refusal)).await;
    let short = json!({"model": "m1", "max_tokens": 1024, "messages": [{"role": "user", "content": "3"}]});
    expect_request(&server, short, 1, ok_response(text_answer("Yes."))).await;
    let provider = build(&compatible_server_config(&server)).unwrap();
    let said = [(Role::User, "1"), (Role::Assistant, "2"), (Role::User, "3")];
    assert_eq!(provider.complete(&prompt("", &said)).await.unwrap().text, "Yes.");
}

#[tokio::test]
async fn a_single_line_that_is_too_long_is_not_asked_again() {
    let refusal = json!({"error": {"message": "x", "type": "y", "param": null, "code": "context_length_exceeded"}});
    let server = server_always_answering(ResponseTemplate::new(400).set_body_json(refusal)).await;
    let fault = build(&compatible_server_config(&server)).unwrap().complete(&hello()).await.unwrap_err();
    assert!(matches!(fault, Fault::TooLong { .. }));
    assert_eq!(server.received_requests().await.unwrap().len(), 1);
}

#[test]
fn an_unusable_server_is_reported_by_its_setting() {
    let wrong = |config: &AiConfig| build(config).err().unwrap().to_string();
    let openai = "https://api.openai.com/v1";
    assert_eq!(build(&config(openai, Some("sk-1"), None)).unwrap().name(), "openai gpt-5-mini");
    assert_eq!(wrong(&config(openai, None, None)), "api.openai.com needs a key: set OPENAI_API_KEY");
    assert_eq!(wrong(&config(openai, Some("\n"), None)), "api.openai.com needs a key: set OPENAI_API_KEY");
    assert_eq!(
        wrong(&config("http://localhost:11434/v1", None, None)),
        "no model is chosen for the server at localhost: set MYNAH_AI_MODEL to one that it offers"
    );
    let mut hot = config(openai, Some("sk-1"), None);
    hot.temperature = Some(2.5);
    assert_eq!(wrong(&hot), "MYNAH_AI_TEMPERATURE is 2.5: openai accepts 0 to 2");
    hot.temperature = Some(f64::NAN);
    assert_eq!(wrong(&hot), "MYNAH_AI_TEMPERATURE is NaN: openai accepts 0 to 2");
}
