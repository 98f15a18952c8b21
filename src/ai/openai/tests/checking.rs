//! Checks of a model: what is called, and the report.

use super::*;

async fn server_listing_models(status: u16, body: Value) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .and(path("/v1/models"))
        .and(header("authorization", "Bearer sk-test-key"))
        .respond_with(ResponseTemplate::new(status).set_body_json(body))
        .expect(1)
        .mount(&server)
        .await;
    server
}

fn model_list(ids: &[&str]) -> Value {
    let data: Vec<Value> = ids.iter().map(|id| json!({"id": id, "object": "model"})).collect();
    json!({"object": "list", "data": data})
}

/// The only question that a check asks.
fn hello_request_body() -> Value {
    json!({"model": "m1", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 1})
}

#[tokio::test]
async fn a_listed_model_is_checked_without_a_question() {
    for ids in [["m0", "m1"], ["m1:latest", "m2"]] {
        let server = server_listing_models(200, model_list(&ids)).await;
        let report = build(&compatible_server_config(&server)).unwrap().check().await.unwrap();
        assert_eq!(report, "127.0.0.1 answers; m1 is one of the 2 models it lists");
    }
}

#[tokio::test]
async fn a_model_that_is_not_listed_is_asked() {
    let server = server_listing_models(200, model_list(&["m2"])).await;
    expect_request(&server, hello_request_body(), 1, ok_response(message(&json!({"content": ""}), "length"))).await;
    let report = build(&compatible_server_config(&server)).unwrap().check().await.unwrap();
    assert_eq!(report, "m1 at 127.0.0.1 answers, though it is not among the 1 models listed");
}

#[tokio::test]
async fn a_server_or_key_that_lists_nothing_is_asked() {
    let scope =
        json!({"error": {"message": "Missing scopes: api.model.read", "type": "x", "param": null, "code": null}});
    for (status, body) in [(404, json!({})), (403, json!({"error": "Not for this key"})), (401, scope)] {
        let server = server_listing_models(status, body).await;
        expect_request(&server, hello_request_body(), 1, ok_response(text_answer("H"))).await;
        let report = build(&compatible_server_config(&server)).unwrap().check().await.unwrap();
        assert_eq!(report, "m1 at 127.0.0.1 answers; the server lists no models");
    }
}

#[tokio::test]
async fn a_wrong_key_or_model_fails_the_check() {
    let wrong =
        json!({"error": {"message": "Incorrect API key", "type": "x", "param": null, "code": "invalid_api_key"}});
    let server = server_listing_models(401, wrong).await;
    let fault = build(&compatible_server_config(&server)).unwrap().check().await.unwrap_err();
    assert!(matches!(fault, Fault::Fail { owner: FaultOwner::Operator, .. }), "{fault:?}");

    let server = server_listing_models(200, model_list(&[])).await;
    let missing =
        ResponseTemplate::new(404).set_body_json(json!({"error": "model 'm1' not found, try pulling it first"}));
    expect_request(&server, hello_request_body(), 1, missing).await;
    let fault = build(&compatible_server_config(&server)).unwrap().check().await.unwrap_err();
    assert!(
        matches!(&fault, Fault::Fail { owner: FaultOwner::Operator, why } if why.contains("MYNAH_AI_MODEL")),
        "{fault:?}"
    );
}

#[tokio::test]
async fn a_busy_server_may_be_checked_again() {
    let server = server_listing_models(503, json!({})).await;
    let fault = build(&compatible_server_config(&server)).unwrap().check().await.unwrap_err();
    assert!(matches!(fault, Fault::Retry { .. }), "{fault:?}");
}

async fn first_model_of(server: &MockServer) -> Result<Option<String>, String> {
    let base = format!("{}/v1", server.uri());
    let mut config = config(&base, Some("sk-test-key"), None);
    let named = crate::ai::resolve_default_model(&mut config).await;
    named.map(|()| config.model).map_err(|error| error.to_string())
}

#[tokio::test]
async fn if_no_model_is_named_the_first_that_can_answer_is_used() {
    for (ids, expected) in [
        (&["m1", "m2"][..], "m1"),
        (&["nomic-embed-text:latest", "llama3.2:3b"], "llama3.2:3b"),
        (&["nomic-embed-text"], "nomic-embed-text"),
    ] {
        let server = server_listing_models(200, model_list(ids)).await;
        assert_eq!(first_model_of(&server).await, Ok(Some(expected.to_owned())));
    }
}

#[tokio::test]
async fn a_server_that_names_no_model_is_an_error_that_says_what_to_set() {
    for (status, body, why) in [
        (200, model_list(&[]), "the server's list of models is empty"),
        (200, json!({"models": []}), "not a list of models"),
        (404, json!({"error": "no such page"}), "404: no such page"),
        (401, json!({"error": {"message": "Incorrect API key sk-test-key"}}), "401: Incorrect API key [key]"),
    ] {
        let server = server_listing_models(status, body).await;
        let error = first_model_of(&server).await.unwrap_err();
        assert!(error.starts_with("found no model on the server at 127.0.0.1 ("), "{error}");
        assert!(error.contains(why) && error.contains("MYNAH_AI_MODEL"), "{error}");
    }
    let nobody = config("http://127.0.0.1:9/v1", None, None);
    let error = crate::ai::resolve_default_model(&mut nobody.clone()).await.unwrap_err().to_string();
    assert!(error.contains("MYNAH_AI_MODEL"), "{error}");
}

#[tokio::test]
async fn a_model_that_is_named_or_a_default_asks_no_server() {
    let mut named = config("http://127.0.0.1:9/v1", None, Some("m1"));
    crate::ai::resolve_default_model(&mut named).await.unwrap();
    assert_eq!(named.model.as_deref(), Some("m1"));
    let mut official = config("https://api.openai.com/v1", Some("sk-1"), None);
    crate::ai::resolve_default_model(&mut official).await.unwrap();
    assert_eq!(official.model, None);
}
