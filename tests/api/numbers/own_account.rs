//! What a number does through its own account, and alerts that name the number to repair.

use std::io::Cursor;

use axum::Router;
use axum::http::StatusCode;
use image::{DynamicImage, ImageFormat};
use mynah::daemon;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use crate::setup::attachments::VOICE_NOTE;
use crate::setup::captured_log::CapturedLog;
use crate::setup::test_app::{ANA, BEN, TestApp, form_params};
use crate::setup::two_numbers::{SALES, SALES_ACCOUNT, SALES_TOKEN, TwoNumbers, app_with_number_file, base64};

fn basic_authorization(token: &str) -> String {
    format!("Basic {}", base64(&format!("{SALES_ACCOUNT}:{token}")))
}

async fn requests_with_method(server: &MockServer, verb: &str) -> Vec<Request> {
    let all = server.received_requests().await.unwrap();
    all.into_iter().filter(|request| request.method.as_str() == verb).collect()
}

/// A contact sends a file to `sales`, which its Twilio keeps.
async fn attach_file_to_sales(numbers: &TwoNumbers, sid: &str, media_type: &str, file: ResponseTemplate) {
    let place = format!("/2010-04-01/Accounts/{SALES_ACCOUNT}/Messages/MM1/Media/{sid}");
    Mock::given(method("GET")).and(path(&place)).respond_with(file).mount(&numbers.twilio).await;
    let mut params = numbers.test_app.message_params(ANA, "");
    params.retain(|(name, _)| !["AccountSid", "To", "NumMedia", "MessageType"].contains(&name.as_str()));
    let url = format!("{}{place}", numbers.twilio.uri());
    let more = [("AccountSid", SALES_ACCOUNT), ("To", SALES), ("NumMedia", "1"), ("MediaContentType0", media_type)];
    params.extend(form_params(&more).into_iter().chain(form_params(&[("MediaUrl0", &url)])));
    assert_eq!(numbers.post_signed("/webhooks/twilio", &params, SALES_TOKEN).await, StatusCode::OK);
    // The wait for an album, then that of a second message for the first.
    for seconds in [16, 4] {
        numbers.test_app.advance(seconds);
        numbers.test_app.drain().await;
    }
}

#[tokio::test]
async fn a_file_sent_to_a_number_uses_that_numbers_account_model_and_texts() {
    let numbers = TwoNumbers::with_sales_file(
        &format!("twilio_whatsapp_from = '{SALES}'\ntext_media = 'Sales cannot open it.'"),
        &[],
    )
    .await;
    numbers.sales_model_answers("From sales.").await;
    let mut picture = Cursor::new(Vec::new());
    DynamicImage::new_rgb8(64, 32).write_to(&mut picture, ImageFormat::Png).unwrap();
    attach_file_to_sales(&numbers, "ME1", "image/png", ResponseTemplate::new(200).set_body_bytes(picture.into_inner()))
        .await;
    let asked: Value = requests_with_method(&numbers.model, "POST").await[0].body_json().unwrap();
    let shown = &asked["messages"].as_array().unwrap().last().unwrap()["content"];
    assert!(shown.to_string().contains("data:image/"), "{shown}");
    attach_file_to_sales(&numbers, "ME2", "image/png", ResponseTemplate::new(404)).await;
    assert_eq!(numbers.texts_sent_by_sales().await, ["From sales.", "Sales cannot open it."]);
    let fetched = requests_with_method(&numbers.twilio, "GET").await;
    assert_eq!(fetched.len(), 2);
    assert!(
        fetched.iter().all(|request| request.headers["authorization"] == *basic_authorization(SALES_TOKEN)),
        "{fetched:?}"
    );
    assert_eq!(
        requests_with_method(&numbers.test_app.twilio, "GET").await.len()
            + requests_with_method(&numbers.test_app.model, "POST").await.len(),
        0
    );
}

#[tokio::test]
async fn a_voice_note_to_a_number_with_a_model_of_its_own_is_not_sent_to_the_main_model() {
    // main uses OpenAI itself, which this test must not call.
    let settings = [("OPENAI_BASE_URL", ""), ("OPENAI_API_KEY", "sk-main")];
    let file = format!("twilio_whatsapp_from = '{SALES}'\ntext_media = 'Sales hears nothing.'");
    let numbers = TwoNumbers::with_sales_file(&file, &settings).await;
    numbers.sales_model_answers("From sales.").await;
    attach_file_to_sales(&numbers, "ME1", "audio/ogg", ResponseTemplate::new(200).set_body_bytes(VOICE_NOTE)).await;
    assert_eq!(numbers.texts_sent_by_sales().await, ["Sales hears nothing."]);
    let why = "SELECT COUNT(*) FROM attachments WHERE error LIKE 'no transcription is configured%'";
    assert_eq!(numbers.test_app.query_integer(why), 1);
}

#[tokio::test]
async fn voice_notes_go_to_the_main_models_server_only_from_numbers_that_use_it_unless_one_is_set() {
    let set = ("MYNAH_TRANSCRIPTION_BASE_URL", "http://127.0.0.1:9/v1");
    for (own, more, hears) in [
        ("", None, true),
        ("ai_model = 'another'", None, true),
        ("openai_api_key = 'sk-2'", None, false),
        ("openai_base_url = 'http://127.0.0.1:9/v1'\nai_model = 'm'", None, false),
        ("anthropic_api_key = 'sk-ant-1'", None, false),
        ("anthropic_api_key = 'sk-ant-1'", Some(set), true),
        ("anthropic_api_key = 'sk-ant-1'", Some(("MYNAH_TRANSCRIPTION_LANGUAGE", "de")), false),
        ("anthropic_api_key = 'sk-ant-1'", Some(("MYNAH_TRANSCRIPTION_API_KEY", "sk-ears")), true),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let settings: Vec<_> = [("OPENAI_BASE_URL", "")].into_iter().chain(more).collect();
        let test_app =
            app_with_number_file(&folder, &format!("twilio_whatsapp_from = '{SALES}'\n{own}"), &settings).await;
        let is_transcribed = |at: usize| test_app.app.transcriber_of(&test_app.app.numbers[at]).is_some();
        assert_eq!((is_transcribed(0), is_transcribed(1)), (true, hears), "{own} {more:?}");
    }
}

#[tokio::test]
async fn an_unknown_send_is_looked_up_by_the_numbers_account_and_an_alert_names_it() {
    let log = CapturedLog::start();
    let numbers = TwoNumbers::new().await;
    numbers.sales_model_answers("From sales.").await;
    let place = format!("/2010-04-01/Accounts/{SALES_ACCOUNT}/Messages.json");
    let lost = ResponseTemplate::new(500);
    Mock::given(method("POST")).and(path(&place)).respond_with(lost).with_priority(1).mount(&numbers.twilio).await;
    let refused = ResponseTemplate::new(401).set_body_json(json!({ "code": 20003, "message": "Authenticate" }));
    Mock::given(method("GET")).and(path(&place)).respond_with(refused).mount(&numbers.twilio).await;
    numbers.contact_writes_to_sales(ANA, "hello").await;
    numbers.test_app.advance(2);
    numbers.test_app.drain().await;
    let requests = requests_with_method(&numbers.twilio, "GET").await;
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].headers["authorization"], *basic_authorization(SALES_TOKEN));
    assert!(requests[0].url.query_pairs().any(|(name, value)| name == "From" && value == SALES));
    assert_eq!(requests_with_method(&numbers.test_app.twilio, "GET").await.len(), 0);
    let log_text = "a lookup at the provider failed; the operator must act";
    assert_eq!((log.count_lines("ERROR", log_text), log.count_lines("ERROR", "number=\"sales\"")), (1, 1));
}

#[tokio::test]
async fn an_alert_on_an_undelivered_message_names_the_number_that_sent_it() {
    // Both belong to one account, so the account alone does not identify the number.
    let folder = tempfile::tempdir().unwrap();
    let test_app = app_with_number_file(&folder, &format!("twilio_whatsapp_from = '{SALES}'"), &[]).await;
    let log = CapturedLog::start();
    test_app.twilio_accepts_everything().await;
    test_app.model_answers("Hello!").await;
    let mut params = test_app.message_params(ANA, "hello");
    params.iter_mut().filter(|(name, _)| name == "To").for_each(|(_, to)| *to = SALES.into());
    assert_eq!(test_app.deliver_webhook(&params).await, StatusCode::OK);
    test_app.drain().await;
    let failed = form_params(&[
        ("MessageSid", "SM000000000000000000000000abc00001"),
        ("MessageStatus", "failed"),
        ("ErrorCode", "63007"),
        ("From", SALES),
        ("To", ANA),
    ]);
    let callback = test_app.last_status_callback().await;
    assert_eq!(test_app.post_signed(&callback, &failed).await.status(), StatusCode::OK);
    let alerts = test_app.app.store.alerts(9).await.unwrap();
    assert_eq!((alerts.len(), alerts[0].subject.as_str()), (1, "63007 on sales"));
    assert_eq!(log.count_lines("ERROR", "number=\"sales\""), 1);
}

#[tokio::test]
async fn a_warning_about_a_rotated_token_names_its_account() {
    let log = CapturedLog::start();
    let file = format!("twilio_whatsapp_from = '{SALES}'\ntwilio_auth_token_secondary = 'fedcba9876543210'");
    let numbers = TwoNumbers::with_sales_file(&file, &[]).await;
    numbers.sales_model_answers("From sales.").await;
    let old = Mock::given(method("POST")).and(header("authorization", basic_authorization(SALES_TOKEN).as_str()));
    old.respond_with(ResponseTemplate::new(401)).with_priority(1).mount(&numbers.twilio).await;
    numbers.contact_writes_to_sales(BEN, "hello").await;
    assert_eq!(log.count_lines("WARN", "now accepts the account's other auth token"), 1);
    assert_eq!(log.count_lines("WARN", &format!("account=\"{SALES_ACCOUNT}\"")), 1);
    assert_eq!(requests_with_method(&numbers.twilio, "POST").await.len(), 2);
}

#[tokio::test]
async fn a_start_warns_of_a_number_without_a_model_where_another_has_one() {
    let started = async |test_app: &TestApp| {
        let log = CapturedLog::start();
        let (stop, listener) = (CancellationToken::new(), TcpListener::bind("127.0.0.1:0").await.unwrap());
        stop.cancel();
        daemon::run(test_app.app.clone(), listener, Router::new(), stop).await.unwrap();
        let log_text = "no model is configured for this number";
        (
            log.count_lines("WARN", log_text),
            log.count_lines("WARN", "number=\"main\""),
            log.count_lines("WARN", "no model is configured:"),
        )
    };
    let none = [("OPENAI_BASE_URL", ""), ("OPENAI_API_KEY", ""), ("MYNAH_AI_MODEL", "")];
    let nobody =
        ["TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TWILIO_WHATSAPP_FROM", "TWILIO_API_BASE_URL"].map(|key| (key, ""));
    let sales = format!("twilio_whatsapp_from = '{SALES}'");
    assert_eq!(started(&TwoNumbers::with_sales_file(&sales, &none).await.test_app).await, (1, 1, 0));
    assert_eq!(started(&TwoNumbers::with_sales_file(&sales, &[]).await.test_app).await, (0, 0, 0));
    let without = [&none[..], &nobody].concat();
    assert_eq!(
        started(&TwoNumbers::with_sales_file(&sales, &without).await.test_app).await,
        (0, 0, 0),
        "nobody can write to main"
    );
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(started(&app_with_number_file(&folder, &sales, &none).await).await, (0, 0, 1), "told once of all");
}
