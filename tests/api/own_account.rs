//! What a number does by its own account, and where its owner is told which number they have to mend.

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

use crate::house::{ANA, BEN, House, Log, form};
use crate::numbers::{SALES, SALES_ACCOUNT, SALES_TOKEN, Two, base64, house};

const VOICE: &[u8] = include_bytes!("../../src/media/testdata/voice.ogg");

fn basic(token: &str) -> String {
    format!("Basic {}", base64(&format!("{SALES_ACCOUNT}:{token}")))
}

async fn requests(server: &MockServer, verb: &str) -> Vec<Request> {
    let all = server.received_requests().await.unwrap();
    all.into_iter().filter(|request| request.method.as_str() == verb).collect()
}

/// A contact sends a file to `sales`, which its Twilio keeps.
async fn attach(two: &Two, sid: &str, media_type: &str, file: ResponseTemplate) {
    let place = format!("/2010-04-01/Accounts/{SALES_ACCOUNT}/Messages/MM1/Media/{sid}");
    Mock::given(method("GET")).and(path(&place)).respond_with(file).mount(&two.twilio).await;
    let mut params = two.house.message(ANA, "");
    params.retain(|(name, _)| !["AccountSid", "To", "NumMedia", "MessageType"].contains(&name.as_str()));
    let url = format!("{}{place}", two.twilio.uri());
    let more = [("AccountSid", SALES_ACCOUNT), ("To", SALES), ("NumMedia", "1"), ("MediaContentType0", media_type)];
    params.extend(form(&more).into_iter().chain(form(&[("MediaUrl0", &url)])));
    assert_eq!(two.post("/webhooks/twilio", &params, SALES_TOKEN).await, StatusCode::OK);
    // An album's wait, then that of a second message for the first.
    for seconds in [16, 4] {
        two.house.advance(seconds);
        two.house.drain().await;
    }
}

#[tokio::test]
async fn a_file_that_was_sent_to_a_number_is_fetched_by_its_account_shown_to_its_model_and_told_in_its_words() {
    let two = Two::with(&format!("twilio_whatsapp_from = '{SALES}'\ntext_media = 'Sales cannot open it.'"), &[]).await;
    two.sales_says("From sales.").await;
    let mut picture = Cursor::new(Vec::new());
    DynamicImage::new_rgb8(64, 32).write_to(&mut picture, ImageFormat::Png).unwrap();
    attach(&two, "ME1", "image/png", ResponseTemplate::new(200).set_body_bytes(picture.into_inner())).await;
    let asked: Value = requests(&two.model, "POST").await[0].body_json().unwrap();
    let shown = &asked["messages"].as_array().unwrap().last().unwrap()["content"];
    assert!(shown.to_string().contains("data:image/"), "{shown}");
    attach(&two, "ME2", "image/png", ResponseTemplate::new(404)).await;
    assert_eq!(two.texts_of_sales().await, ["From sales.", "Sales cannot open it."]);
    let fetched = requests(&two.twilio, "GET").await;
    assert_eq!(fetched.len(), 2);
    assert!(fetched.iter().all(|request| request.headers["authorization"] == *basic(SALES_TOKEN)), "{fetched:?}");
    assert_eq!(requests(&two.house.twilio, "GET").await.len() + requests(&two.house.model, "POST").await.len(), 0);
}

#[tokio::test]
async fn a_voice_note_to_a_number_with_a_model_of_its_own_is_not_sent_to_the_main_model() {
    // That of main is OpenAI's own, which would be called; nobody calls it here.
    let settings = [("OPENAI_BASE_URL", ""), ("OPENAI_API_KEY", "sk-main")];
    let file = format!("twilio_whatsapp_from = '{SALES}'\ntext_media = 'Sales hears nothing.'");
    let two = Two::with(&file, &settings).await;
    two.sales_says("From sales.").await;
    attach(&two, "ME1", "audio/ogg", ResponseTemplate::new(200).set_body_bytes(VOICE)).await;
    assert_eq!(two.texts_of_sales().await, ["Sales hears nothing."]);
    let why = "SELECT COUNT(*) FROM attachments WHERE error LIKE 'nothing is set that writes down%'";
    assert_eq!(two.house.count(why), 1);
}

#[tokio::test]
async fn the_main_models_server_hears_those_numbers_that_ask_it_and_one_that_is_set_hears_all() {
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
        let house = house(&folder, &format!("twilio_whatsapp_from = '{SALES}'\n{own}"), &settings).await;
        let heard = |at: usize| house.app.transcriber_of(&house.app.numbers[at]).is_some();
        assert_eq!((heard(0), heard(1)), (true, hears), "{own} {more:?}");
    }
}

#[tokio::test]
async fn what_may_have_been_sent_is_looked_for_by_the_numbers_account_and_its_owner_told_which_it_is() {
    let log = Log::listen();
    let two = Two::new().await;
    two.sales_says("From sales.").await;
    let place = format!("/2010-04-01/Accounts/{SALES_ACCOUNT}/Messages.json");
    let lost = ResponseTemplate::new(500);
    Mock::given(method("POST")).and(path(&place)).respond_with(lost).with_priority(1).mount(&two.twilio).await;
    let refused = ResponseTemplate::new(401).set_body_json(json!({ "code": 20003, "message": "Authenticate" }));
    Mock::given(method("GET")).and(path(&place)).respond_with(refused).mount(&two.twilio).await;
    two.say_to_sales(ANA, "hello").await;
    two.house.advance(2);
    two.house.drain().await;
    let looks = requests(&two.twilio, "GET").await;
    assert_eq!(looks.len(), 1);
    assert_eq!(looks[0].headers["authorization"], *basic(SALES_TOKEN));
    assert!(looks[0].url.query_pairs().any(|(name, value)| name == "From" && value == SALES));
    assert_eq!(requests(&two.house.twilio, "GET").await.len(), 0);
    let told = "the provider could not be asked; the operator must act";
    assert_eq!((log.count("ERROR", told), log.count("ERROR", "number=\"sales\"")), (1, 1));
}

#[tokio::test]
async fn what_is_not_delivered_for_a_fault_of_the_owners_is_told_of_the_number_that_sent_it() {
    // Both of one account, so that the account does not tell which it is.
    let folder = tempfile::tempdir().unwrap();
    let house = house(&folder, &format!("twilio_whatsapp_from = '{SALES}'"), &[]).await;
    let log = Log::listen();
    house.twilio_takes_everything().await;
    house.model_says("Hello!").await;
    let mut params = house.message(ANA, "hello");
    params.iter_mut().filter(|(name, _)| name == "To").for_each(|(_, to)| *to = SALES.into());
    assert_eq!(house.deliver(&params).await, StatusCode::OK);
    house.drain().await;
    let failed = form(&[
        ("MessageSid", "SM000000000000000000000000abc00001"),
        ("MessageStatus", "failed"),
        ("ErrorCode", "63007"),
        ("From", SALES),
        ("To", ANA),
    ]);
    let callback = house.callback().await;
    assert_eq!(house.post(&callback, &failed).await.status(), StatusCode::OK);
    let alerts = house.app.store.alerts(9).await.unwrap();
    assert_eq!((alerts.len(), alerts[0].subject.as_str()), (1, "63007 on sales"));
    assert_eq!(log.count("ERROR", "number=\"sales\""), 1);
}

#[tokio::test]
async fn a_token_that_was_rotated_is_told_with_its_account() {
    let log = Log::listen();
    let file = format!("twilio_whatsapp_from = '{SALES}'\ntwilio_auth_token_secondary = 'fedcba9876543210'");
    let two = Two::with(&file, &[]).await;
    two.sales_says("From sales.").await;
    let old = Mock::given(method("POST")).and(header("authorization", basic(SALES_TOKEN).as_str()));
    old.respond_with(ResponseTemplate::new(401)).with_priority(1).mount(&two.twilio).await;
    two.say_to_sales(BEN, "hello").await;
    assert_eq!(log.count("WARN", "takes the account's other auth token now"), 1);
    assert_eq!(log.count("WARN", &format!("account=\"{SALES_ACCOUNT}\"")), 1);
    assert_eq!(requests(&two.twilio, "POST").await.len(), 2);
}

#[tokio::test]
async fn a_number_without_a_model_is_told_at_the_start_where_another_has_one() {
    let started = async |house: &House| {
        let log = Log::listen();
        let (stop, listener) = (CancellationToken::new(), TcpListener::bind("127.0.0.1:0").await.unwrap());
        stop.cancel();
        daemon::run(house.app.clone(), listener, Router::new(), stop).await.unwrap();
        let told = "no model is configured for this number";
        (log.count("WARN", told), log.count("WARN", "number=\"main\""), log.count("WARN", "no model is configured:"))
    };
    let none = [("OPENAI_BASE_URL", ""), ("OPENAI_API_KEY", ""), ("MYNAH_AI_MODEL", "")];
    let nobody =
        ["TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TWILIO_WHATSAPP_FROM", "TWILIO_API_BASE_URL"].map(|key| (key, ""));
    let sales = format!("twilio_whatsapp_from = '{SALES}'");
    assert_eq!(started(&Two::with(&sales, &none).await.house).await, (1, 1, 0));
    assert_eq!(started(&Two::with(&sales, &[]).await.house).await, (0, 0, 0));
    let without = [&none[..], &nobody].concat();
    assert_eq!(started(&Two::with(&sales, &without).await.house).await, (0, 0, 0), "nobody can write to main");
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(started(&house(&folder, &sales, &none).await).await, (0, 0, 1), "told once of all");
}
