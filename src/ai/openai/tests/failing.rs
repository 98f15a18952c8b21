//! How failures are classified.

use super::*;

#[derive(Debug, PartialEq)]
enum FaultKind {
    Retry(Option<u64>),
    Busy(Option<u64>),
    Message,
    Operator,
}

fn fault_kind(fault: &Fault) -> FaultKind {
    match fault {
        Fault::Retry { retry_after: after, outlook: RetryOutlook::Likely, .. } => {
            FaultKind::Retry(after.map(|after| after.as_secs()))
        }
        Fault::Retry { retry_after: after, .. } => FaultKind::Busy(after.map(|after| after.as_secs())),
        Fault::Fail { owner: FaultOwner::Message, .. } => FaultKind::Message,
        Fault::Fail { owner: FaultOwner::Operator, .. } => FaultKind::Operator,
        other => panic!("{other:?}"),
    }
}

async fn classify_response(answer: ResponseTemplate) -> (FaultKind, String) {
    let fault = complete_against(answer).await.unwrap_err();
    (fault_kind(&fault), fault.why().to_owned())
}

fn error_body(code: &str, message: &str) -> Value {
    json!({"error": {"message": message, "type": "some_error", "param": null, "code": code}})
}

#[tokio::test]
async fn openai_itself_is_called_by_https_alone_and_another_server_as_the_owner_says() {
    for (base, class) in
        [("https://api.openai.com/v1", FaultKind::Operator), ("https://models.example/v1", FaultKind::Retry(None))]
    {
        let provider = build(&config(base, Some("sk-test"), Some("m1"))).unwrap();
        let plain = Url::parse("http://127.0.0.1:9/").unwrap();
        assert_eq!(fault_kind(&provider.client.get(&plain).await.err().unwrap()), class, "{base}");
    }
}

#[tokio::test]
async fn each_status_and_code_has_its_class() {
    for (status, body, class) in [
        (301, json!({}), FaultKind::Operator),
        (400, error_body("invalid_value", "Bad."), FaultKind::Message),
        (400, error_body("model_not_found", "Bad."), FaultKind::Operator),
        (400, json!({"error": {"message": "foo is not a valid model ID", "code": 400}}), FaultKind::Operator),
        (401, error_body("some_code", "Incorrect API key."), FaultKind::Operator),
        (402, json!({"error": {"code": 402, "message": "Insufficient credits"}}), FaultKind::Operator),
        (403, error_body("unsupported_country_region_territory", "Country not supported"), FaultKind::Operator),
        (404, error_body("model_not_found", "no model"), FaultKind::Operator),
        (404, json!({"error": "model 'llama9' not found, try pulling it first"}), FaultKind::Operator),
        (408, json!({}), FaultKind::Retry(None)),
        (409, json!({}), FaultKind::Retry(None)),
        (429, error_body("rate_limit_exceeded", "Slow down"), FaultKind::Busy(None)),
        (429, error_body("slow_down", "Slow down"), FaultKind::Busy(None)),
        (429, error_body("insufficient_quota", "Quota"), FaultKind::Operator),
        (429, error_body("credit_balance_exhausted", "x"), FaultKind::Operator),
        (429, error_body("organization_spend_limit_exceeded", "x"), FaultKind::Operator),
        (429, error_body("project_spend_limit_exceeded", "x"), FaultKind::Operator),
        (429, error_body("organization_usage_limit_exceeded", "x"), FaultKind::Operator),
        (429, json!({"error": {"message": "x", "type": "insufficient_quota", "code": null}}), FaultKind::Operator),
        (500, error_body("server_error", "x"), FaultKind::Retry(None)),
        (500, error_body("x", "litellm: OpenAIException - {'code': 'insufficient_quota'}"), FaultKind::Operator),
        (500, error_body("x", "litellm: AnthropicException - {'type': 'overloaded_error'}"), FaultKind::Busy(None)),
        (502, json!({"error": {"code": 502, "message": "Provider down"}}), FaultKind::Retry(None)),
        (503, error_body("server_is_overloaded", "x"), FaultKind::Busy(None)),
        (529, json!([{"error": {"code": 529, "message": "x"}}]), FaultKind::Busy(None)),
    ] {
        let (judged, why) = classify_response(ResponseTemplate::new(status).set_body_json(&body)).await;
        assert_eq!(judged, class, "{status} {body}: {why}");
        assert!(why.starts_with(&format!("the model's server answered {status}")), "{why}");
    }
}

#[tokio::test]
async fn a_filter_that_declines_by_an_error_is_a_refusal() {
    let azure = "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.";
    for (status, body) in [
        (403, json!({"error": {"code": 403, "message": "x", "metadata": {"reasons": ["violence"]}}})),
        (403, json!({"error": {"code": 403, "message": "Input was flagged"}})),
        (400, error_body("content_filter", azure)),
        (400, json!({"error": {"message": azure, "type": null, "param": "prompt", "code": null, "status": 400}})),
        (400, error_body("content_policy_violation", "x")),
        (
            200,
            json!({"choices": [{"message": {"content": "Half"}, "finish_reason": "error",
                "error": {"code": 403, "message": "flagged by moderation"}}]}),
        ),
    ] {
        let completion = complete_against(ResponseTemplate::new(status).set_body_json(&body)).await.unwrap();
        assert_eq!((completion.text.as_str(), completion.finish), ("", Finish::Refusal), "{status} {body}");
        assert!(completion.usage.estimated && completion.usage.output_tokens == 0);
    }
}

#[tokio::test]
async fn a_wait_that_the_server_names_is_kept() {
    let busy =
        |status| ResponseTemplate::new(status).set_body_json(json!({"error": {"message": "busy", "code": status}}));
    assert_eq!(classify_response(busy(429).insert_header("retry-after", "20")).await.0, FaultKind::Busy(Some(20)));
    assert_eq!(classify_response(busy(503).insert_header("retry-after-ms", "7000")).await.0, FaultKind::Busy(Some(7)));
    let dated = busy(429)
        .insert_header("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT")
        .insert_header("date", "Wed, 21 Oct 2015 07:27:30 GMT");
    assert_eq!(classify_response(dated).await.0, FaultKind::Busy(Some(30)));
    assert_eq!(
        classify_response(busy(402).insert_header("retry-after", "60")).await.0,
        FaultKind::Retry(Some(60)),
        "OpenRouter"
    );
}

#[tokio::test]
async fn an_error_within_a_200_is_an_error() {
    for (body, class) in [
        (json!({"error": {"code": 502, "message": "Provider disconnected"}}), FaultKind::Retry(None)),
        (json!({"error": {"code": "429", "message": "x"}, "choices": []}), FaultKind::Busy(None)),
        (json!({"error": {"code": 402, "message": "Insufficient credits"}}), FaultKind::Operator),
        (json!({"error": "it broke"}), FaultKind::Retry(None)),
        (
            json!({"choices": [{"message": {"content": "Half"}, "finish_reason": "stop", "error": {"message": "x"}}]}),
            FaultKind::Retry(None),
        ),
    ] {
        assert_eq!(classify_response(ok_response(body.clone())).await.0, class, "{body}");
    }
    let none = json!({"error": null, "choices": [{"message": {"content": "Hi"}, "error": null}]});
    assert_eq!(complete_against(ok_response(none)).await.unwrap().text, "Hi");
}

#[tokio::test]
async fn the_words_for_operators_hold_code_and_request_id_and_no_key() {
    let body = error_body("rate_limit_exceeded", "Slow down, sk-test-key!");
    let answer = ResponseTemplate::new(429).set_body_json(body).insert_header("x-request-id", "req_abc");
    assert_eq!(
        classify_response(answer).await.1,
        "the model's server answered 429: Slow down, [key]! (rate_limit_exceeded); request id req_abc"
    );
    let gateway = ResponseTemplate::new(502).set_body_raw("<html>Bad gateway</html>", "text/html");
    assert_eq!(classify_response(gateway).await.1, "the model's server answered 502");
    let words =
        ResponseTemplate::new(503).set_body_raw("upstream\nis away", "text/plain").insert_header("request-id", "r1");
    assert_eq!(classify_response(words).await.1, "the model's server answered 503: upstream is away; request id r1");
}

#[tokio::test]
async fn a_web_page_instead_of_an_answer_is_a_wrong_address() {
    let (kind, why) =
        classify_response(ResponseTemplate::new(200).set_body_raw("<html>", "text/html; charset=utf-8")).await;
    assert!(kind == FaultKind::Operator && why.contains("OPENAI_BASE_URL"), "{why}");
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_not_read() {
    let (kind, why) = classify_response(ResponseTemplate::new(200).set_body_bytes(vec![b' '; (4 << 20) + 1])).await;
    assert_eq!(
        (kind, why.as_str()),
        (FaultKind::Message, "the model's server answered 200: the response is larger than 4194304 bytes")
    );
}

#[tokio::test]
async fn a_server_that_is_not_there_is_tried_again_later() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let provider = build(&config(&format!("http://{closed}/v1"), None, Some("m1"))).unwrap();
    let fault = provider.complete(&hello()).await.unwrap_err();
    assert_eq!(fault_kind(&fault), FaultKind::Retry(None));
    assert!(fault.why().starts_with("the call to the model's server failed: "), "{fault}");
}

#[tokio::test]
async fn a_call_to_a_server_that_does_not_answer_is_retried_later() {
    let server = server_always_answering(ok_response(text_answer("Hi")).set_delay(Duration::from_secs(600))).await;
    let config = AiConfig { timeout: Duration::from_millis(50), ..compatible_server_config(&server) };
    let fault = build(&config).unwrap().complete(&hello()).await.unwrap_err();
    let why = "the model's server gave no answer within 0.05 s (MYNAH_AI_TIMEOUT)".to_owned();
    assert_eq!(fault, Fault::Retry { retry_after: None, why, outlook: RetryOutlook::Timeout });
}

#[tokio::test]
async fn nothing_is_asked_without_a_question() {
    let server = server_always_answering(ok_response(text_answer("Hi"))).await;
    let provider = build(&compatible_server_config(&server)).unwrap();
    let fault = provider.complete(&prompt("Be kind.", &[])).await.unwrap_err();
    assert_eq!(fault_kind(&fault), FaultKind::Message);
    assert!(server.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn errors_of_another_model_name_its_own_settings() {
    let names =
        AiSettingNames { model: "MYNAH_AI_2_MODEL", base_url: "MYNAH_AI_2_BASE_URL", api_key: "MYNAH_AI_2_API_KEY" };
    let (model, address, key) = (names.model, names.base_url, names.api_key);
    let status = ResponseTemplate::new;
    for (answer, told) in [
        (status(301), &[address][..]),
        (status(400).set_body_json(error_body("model_not_found", "no such model")), &[model]),
        (status(401), &[key]),
        (status(403), &[key]),
        (status(404), &[model, address]),
        (status(405), &[address]),
        (status(200).set_body_raw("<html>", "text/html"), &[address]),
    ] {
        let second =
            AiConfig { setting_names: names, ..compatible_server_config(&server_always_answering(answer).await) };
        let fault = build(&second).unwrap().complete(&hello()).await.unwrap_err();
        assert!(told.iter().all(|name| fault.why().contains(name)), "{fault}");
        assert!(!fault.why().contains("MYNAH_AI_MODEL") && !fault.why().contains("OPENAI_"), "{fault}");
    }
    let refused = |base, key, model| {
        build(&AiConfig { setting_names: names, ..config(base, key, model) }).err().unwrap().to_string()
    };
    assert_eq!(refused("https://api.openai.com/v1", None, None), "api.openai.com needs a key: set MYNAH_AI_2_API_KEY");
    let nameless = refused("http://127.0.0.1:9/v1", None, None);
    assert!(nameless.ends_with("set MYNAH_AI_2_MODEL to one that it offers"), "{nameless}");
    let broken = refused("http://127.0.0.1:9/v1", Some("a\nb"), Some("m1"));
    assert!(broken.starts_with("MYNAH_AI_2_API_KEY contains characters"), "{broken}");
}
