//! Stored AI configurations at the shell.

use serde_json::{Value, json};

use crate::setup::server_process::{CommandOutput, CommandSettings, ServerProcess};
use crate::setup::test_environment::{TestEnvironment, serve};

const CANARY: &str = "sk-canary-55aa77";

async fn run(settings: &CommandSettings, arguments: &[&str], input: &str) -> CommandOutput {
    settings.run_with_input(&[&["ai"], arguments].concat(), input).await
}

async fn run_ok(settings: &CommandSettings, arguments: &[&str], input: &str) -> String {
    let ran = run(settings, arguments, input).await;
    assert_eq!(ran.status, Some(0), "{ran:?}");
    ran.stdout
}

async fn refused(settings: &CommandSettings, arguments: &[&str], input: &str) -> String {
    let ran = run(settings, arguments, input).await;
    assert!(ran.status == Some(1) && ran.stdout.is_empty() && !ran.stderr.contains(CANARY), "{ran:?}");
    ran.stderr
}

/// A migrated data folder whose environment describes no model, and the address of the model's server.
async fn without_a_model(environment: &TestEnvironment) -> (CommandSettings, String) {
    assert_eq!(environment.settings.run(&["migrate"]).await.status, Some(0));
    let url = environment.settings.get("OPENAI_BASE_URL").expect("the test has a model").to_owned();
    let settings = environment.settings.clone();
    let settings = settings.without("OPENAI_BASE_URL").without("OPENAI_API_KEY").without("MYNAH_AI_MODEL");
    (settings.without("MYNAH_AI_CONCURRENCY"), url)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_server_answers_with_the_configuration_that_is_put_in_use() {
    let environment = TestEnvironment::new().await;
    let (settings, url) = without_a_model(&environment).await;
    let mut server = ServerProcess::start(&settings).await;
    environment.contact_writes((0, 0)).await;
    let add = ["add", "own", "--provider", "openai", "--base-url", &url, "--model", "test", "--key-file", "-"];
    let added = run_ok(&settings, &add, CANARY).await;
    assert!(added.starts_with("the AI configuration own is stored") && added.contains("mynah ai use own"), "{added}");
    assert!(run_ok(&settings, &["list"], "").await.contains("not used"), "it is not used yet");
    assert!(run_ok(&settings, &["use", "own"], "").await.contains("within two seconds"));
    // The message that waited for a model is answered.
    environment.wait_until_all_answered_once(&mut server, 1, 1).await;
    let listed = run(&settings, &["list", "--json"], "").await.json();
    let expected = json!([{
        "name": "own", "provider": "openai", "model": "test", "base_url": url, "has_key": true, "in_use": true,
        "fallback": null, "numbers": [],
    }]);
    assert_eq!(listed, expected);
    for file in std::fs::read_dir(&settings.folder).unwrap().map(|entry| entry.unwrap().path()) {
        let bytes = std::fs::read(&file).unwrap();
        assert!(!bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes()), "{}", file.display());
    }
    assert!(!server.log().contains(CANARY));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_test_tells_time_model_tokens_and_what_the_server_needs() {
    let environment = TestEnvironment::new().await;
    let (settings, url) = without_a_model(&environment).await;
    run_ok(&settings, &["add", "own", "--provider", "openai", "--base-url", &url, "--model", "test", "--use"], "")
        .await;
    let tested = run(&settings, &["test", "--json"], "").await.json();
    assert_eq!(
        (&tested["model"], &tested["input_tokens"], &tested["output_tokens"]),
        (&json!("test"), &json!(1), &json!(1))
    );
    let form = (&tested["token_limit"], &tested["temperature"], &tested["system_role"]);
    assert_eq!(form, (&json!("max_tokens"), &json!("not_configured"), &json!(true)));
    assert!(tested["took_ms"].is_u64(), "{tested}");
    let text = run_ok(&settings, &["test", "own"], "").await;
    assert!(text.contains("1 read, 1 written") && text.contains("system role"), "{text}");

    // A server that refuses a temperature and a system role, as some do.
    let refusing = axum::Router::new().route(
        "/v1/chat/completions",
        axum::routing::post(|axum::Json(request): axum::Json<Value>| async move {
            let refuse = |param: &str, message: &str| {
                let error = json!({ "error": { "message": message, "param": param, "code": "unsupported_value" } });
                (axum::http::StatusCode::BAD_REQUEST, axum::Json(error))
            };
            if request.get("temperature").is_some() {
                return refuse("temperature", "Unsupported value: 'temperature' does not support 0.5 with this model.");
            }
            if request["messages"][0]["role"] == "system" {
                return refuse("messages", "System role not supported");
            }
            let answer = json!({
                "id": "1", "object": "chat.completion", "created": 1, "model": "picky",
                "choices": [{ "index": 0, "message": { "role": "assistant", "content": "hello" }, "finish_reason": "stop" }],
                "usage": { "prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9 },
            });
            (axum::http::StatusCode::OK, axum::Json(answer))
        }),
    );
    let url = format!("{}/v1", serve(refusing).await);
    let add = ["add", "picky", "--provider", "openai", "--base-url", &url, "--model", "picky", "--temperature", "0.5"];
    run_ok(&settings, &add, "").await;
    let tested = run(&settings, &["test", "picky", "--json"], "").await.json();
    assert_eq!((&tested["temperature"], &tested["system_role"]), (&json!("refused"), &json!(false)), "{tested}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configuration_that_cannot_work_is_refused_with_every_error_and_one_in_use_stays() {
    let environment = TestEnvironment::new().await;
    let (settings, url) = without_a_model(&environment).await;
    for (arguments, expected) in [
        (&["add", "a b", "--provider", "openai"][..], "expected a name of at most 40"),
        (&["add", "environment", "--provider", "openai"], "other than environment"),
        (&["add", "x", "--provider", "opnai"], "AI configuration x: MYNAH_AI_PROVIDER: found \"opnai\""),
        (&["add", "x", "--provider", "anthropic"], "ANTHROPIC_API_KEY: found no value"),
        (&["use", "x"], "the AI configuration x is not stored"),
        (&["update", "x", "--model", "m"], "the AI configuration x is not stored"),
        (&["remove", "x"], "the AI configuration x is not stored"),
        (&["test", "x"], "x is not stored"),
        (&["test"], "no model is configured"),
    ] {
        let error = refused(&settings, arguments, "").await;
        assert!(error.contains(expected), "{arguments:?}: {error}");
    }
    let many =
        ["add", "x", "--provider", "openai", "--base-url", "ollama", "--temperature", "warm", "--max-tokens", "no"];
    let error = refused(&settings, &many, "").await;
    for variable in ["OPENAI_BASE_URL", "MYNAH_AI_TEMPERATURE", "MYNAH_AI_MAX_TOKENS"] {
        assert!(error.contains(variable), "{error}");
    }
    assert_eq!(run(&settings, &["list", "--json"], "").await.json(), json!([]));
    let add = |name| ["add", name, "--provider", "openai", "--base-url", &*url, "--model", "m"];
    run_ok(&settings, &add("first"), "").await;
    run_ok(&settings, &add("second"), "").await;
    assert!(refused(&settings, &add("first"), "").await.contains("`mynah ai update first` changes it"));
    run_ok(&settings, &["use", "first", "--fallback", "second"], "").await;
    for name in ["first", "second"] {
        let error = refused(&settings, &["remove", name], "").await;
        assert!(error.contains(&format!("found {name}, which is not stored")), "{error}");
    }
    run_ok(&settings, &["use", "second"], "").await;
    run_ok(&settings, &["remove", "first"], "").await;
    run_ok(&settings, &["update", "second", "--model", "n", "--timeout", "5s"], "").await;
    let listed = run(&settings, &["list", "--json"], "").await.json();
    assert_eq!((listed.as_array().unwrap().len(), &listed[0]["model"]), (1, &json!("n")));
    // The environment goes before what is stored, and is shown.
    let described = settings.clone().with("OPENAI_API_KEY", CANARY).with("OPENAI_BASE_URL", &url);
    let used = run(&described, &["use", "second"], "").await;
    assert!(used.stderr.contains("environment variable OPENAI_API_KEY goes before it"), "{used:?}");
    let listed = run(&described, &["list", "--json"], "").await.json();
    assert_eq!((&listed[0]["name"], &listed[0]["in_use"]), (&json!("environment"), &json!(true)), "{listed}");
    assert_eq!((&listed[1]["name"], &listed[1]["in_use"]), (&json!("second"), &json!(false)), "{listed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_that_does_not_answer_a_test_is_an_error_with_its_cause() {
    let environment = TestEnvironment::new().await;
    let (settings, _) = without_a_model(&environment).await;
    let html = serve(axum::Router::new().fallback(|| async { axum::response::Html("<html>hello</html>") })).await;
    run_ok(&settings, &["add", "web", "--provider", "openai", "--base-url", &html, "--model", "m", "--use"], "").await;
    let error = refused(&settings, &["test"], "").await;
    assert!(error.starts_with("mynah: the model does not answer: ") && error.contains("a web page"), "{error}");
    assert!(error.contains("mynah ai update --base-url"), "it names what to change: {error}");
}
