//! Files that an operator sends: posted as a link to mynah, fetched there, and removed with the conversation.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use mynah::app::App;
use mynah::model::Media;
use mynah::store::OperatorMessageOutcome;
use mynah::work::schedule;
use serde_json::json;
use tower::ServiceExt;
use wiremock::ResponseTemplate;

use crate::setup::captured_log::CapturedLog;
use crate::setup::test_app::{ANA, BEN, PUBLIC_URL, SECURITY_HEADERS, TestApp};

const HOUR: u64 = 3600;

/// A picture that is sent in several pieces.
fn picture() -> Vec<u8> {
    let rest = (0..300_000_u32).map(|number| number.to_be_bytes()[3] ^ number.to_be_bytes()[2]);
    b"\xff\xd8\xff\xe0".iter().copied().chain(rest).collect()
}

/// Ana was answered, and an operator sends her a file.
async fn operator_sends_file(test_app: &TestApp, text: &str, content: &[u8], media_type: &str, name: &str) {
    let now = test_app.app.clock.now();
    let hash = test_app.app.files.put(content, now).unwrap();
    let media = Media { hash, media_type: media_type.into(), name: name.into(), size: content.len() as u64 };
    let spoken = test_app
        .app
        .store
        .send_operator_file(test_app.latest_conversation(), text.into(), media, None, now)
        .await
        .unwrap();
    assert!(matches!(spoken, OperatorMessageOutcome::Queued(_)), "{spoken:?}");
}

async fn app_with_one_answer(from: &str) -> TestApp {
    let test_app = TestApp::new().await;
    test_app.contact_writes(from, "hello").await;
    test_app.drain().await;
    test_app
}

/// The same, with the answer accepted; the test decides what happens to the posts after it.
async fn app_with_one_accepted_send(settings: &[(&str, &str)]) -> TestApp {
    let test_app = TestApp::with_settings(settings).await;
    test_app.model_answers("Hello!").await;
    test_app.contact_writes(ANA, "hello").await;
    test_app
        .mock_send_message()
        .respond_with(ResponseTemplate::new(201).set_body_json(json!({ "sid": "SM1" })))
        .up_to_n_times(1)
        .mount(&test_app.twilio)
        .await;
    test_app.drain().await;
    test_app
}

/// The fields of the last post.
async fn last_post(test_app: &TestApp) -> BTreeMap<String, String> {
    let requests = test_app.twilio.received_requests().await.unwrap();
    let last = requests.iter().rfind(|request| request.method.as_str() == "POST").unwrap();
    url::form_urlencoded::parse(&last.body).into_owned().collect()
}

/// The path of the address that was given with the last post.
async fn last_media_path(test_app: &TestApp) -> String {
    last_post(test_app).await["MediaUrl"].strip_prefix(PUBLIC_URL).unwrap().to_owned()
}

async fn body_bytes(response: Response<Body>) -> Vec<u8> {
    response.into_body().collect().await.unwrap().to_bytes().to_vec()
}

#[tokio::test]
async fn a_file_is_posted_by_an_address_of_ours_and_fetched_there() {
    let test_app = app_with_one_answer(ANA).await;
    operator_sends_file(&test_app, "Our menu", &picture(), "image/jpeg", "menu für Ana.jpg").await;
    test_app.drain().await;
    let fields = last_post(&test_app).await;
    assert_eq!((fields["To"].as_str(), fields["Body"].as_str()), (ANA, "Our menu"));
    let path = last_media_path(&test_app).await;
    assert!(path.starts_with("/media/2.1?e="), "{path}");

    let fetched = test_app.get(&path).await;
    assert_eq!(fetched.status(), StatusCode::OK);
    let header = |name: &str| fetched.headers()[name].to_str().unwrap();
    assert_eq!(header("content-type"), "image/jpeg");
    assert_eq!(header("content-length"), picture().len().to_string());
    let named = "inline; filename=\"menu_f_r_Ana.jpg\"; filename*=UTF-8''menu%20f%C3%BCr%20Ana.jpg";
    assert_eq!(header("content-disposition"), named);
    assert_eq!((header("x-content-type-options"), header("cache-control")), ("nosniff", "private, no-store"));
    for name in SECURITY_HEADERS {
        assert!(fetched.headers().contains_key(name), "{name}");
    }
    assert_eq!(body_bytes(fetched).await, picture());
    // WhatsApp may fetch it again, and Twilio asks for the head first.
    assert_eq!(body_bytes(test_app.get(&path).await).await, picture());
    let head = Request::head(&path).body(Body::empty()).unwrap();
    let head = test_app.routes().oneshot(head).await.unwrap();
    assert_eq!((head.status(), head.headers()["content-type"].to_str().unwrap()), (StatusCode::OK, "image/jpeg"));
    assert_eq!(head.headers()["content-length"].to_str().unwrap(), picture().len().to_string());
    assert!(body_bytes(head).await.is_empty());
}

#[tokio::test]
async fn an_address_that_is_not_ours_or_whose_time_is_over_leads_to_nothing() {
    let test_app = app_with_one_answer(ANA).await;
    operator_sends_file(&test_app, "", b"%PDF-1.7", "application/pdf", "menu.pdf").await;
    test_app.drain().await;
    assert!(!last_post(&test_app).await.contains_key("Body"));
    let path = last_media_path(&test_app).await;
    let (name, query) = path.split_once('?').unwrap();
    let (until, code) = query.split_once("&m=").unwrap();
    let forged = if code.starts_with('0') { code.replacen('0', "1", 1) } else { format!("0{}", &code[1..]) };
    for wrong in [
        name.to_owned(),
        format!("{name}?{until}"),
        format!("{name}?{until}&m={forged}"),
        format!("{name}?{until}9&m={code}"),
        format!("/media/1.1?{query}"),
        format!("/media/2.1%2F..?{query}"),
        format!("/media/..%2Fmynah.db?{query}"),
        "/media/".into(),
    ] {
        let answer = test_app.get(&wrong).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{wrong}");
        assert!(!body_bytes(answer).await.starts_with(b"%PDF"));
    }
    test_app.advance(24 * HOUR - 1);
    assert_eq!(test_app.get(&path).await.status(), StatusCode::OK);
    test_app.advance(1);
    assert_eq!(test_app.get(&path).await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn each_try_gives_an_address_with_its_whole_time() {
    let test_app = app_with_one_accepted_send(&[]).await;
    operator_sends_file(&test_app, "", b"%PDF-1.7", "application/pdf", "menu.pdf").await;
    test_app
        .mock_send_message()
        .respond_with(ResponseTemplate::new(429).set_body_json(json!({ "code": 20429 })))
        .up_to_n_times(1)
        .mount(&test_app.twilio)
        .await;
    test_app.drain().await;
    let first = last_media_path(&test_app).await;
    test_app.twilio_accepts_everything().await;
    test_app.advance(HOUR);
    test_app.drain().await;
    let second = last_media_path(&test_app).await;
    assert_ne!(first, second);
    test_app.advance(24 * HOUR - 1);
    assert_eq!(test_app.get(&first).await.status(), StatusCode::NOT_FOUND);
    assert_eq!(test_app.get(&second).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_file_that_nobody_could_fetch_is_not_posted() {
    let mut test_app = app_with_one_answer(ANA).await;
    operator_sends_file(&test_app, "", b"%PDF-1.7", "application/pdf", "menu.pdf").await;
    test_app.app = Arc::new(App { media_links: None, ..Arc::into_inner(test_app.app).unwrap() });
    let log = CapturedLog::start();
    test_app.drain().await;
    assert_eq!(
        (test_app.sent_texts().await, test_app.turn_states().await[1].as_str()),
        (vec!["Hello!".to_owned()], "dead")
    );
    assert!(test_app.turns().await[1].error.as_ref().unwrap().contains("MYNAH_PUBLIC_URL"));
    assert_eq!(log.count_lines("ERROR", "the operator must act"), 1);
}

#[tokio::test]
async fn a_file_whose_post_was_lost_is_found_in_twilios_list() {
    let test_app = app_with_one_accepted_send(&[("MYNAH_UNKNOWN_SENDS", "hold")]).await;
    operator_sends_file(&test_app, "Our menu", &picture(), "image/jpeg", "menu.jpg").await;
    test_app.mock_send_message().respond_with(ResponseTemplate::new(500)).mount(&test_app.twilio).await;
    let row = json!({
        "sid": "MM1", "direction": "outbound-api", "body": "Our menu", "num_media": "1", "to": ANA,
        "date_created": "Sun, 01 Nov 2026 10:00:00 +0000",
    });
    test_app
        .mock_list_messages()
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({ "messages": [row] })))
        .mount(&test_app.twilio)
        .await;
    test_app.drain().await;
    test_app.advance(2);
    test_app.drain().await;
    assert_eq!(test_app.turn_states().await, ["done", "done"]);
    assert_eq!(test_app.query_integer("SELECT COUNT(*) FROM parts WHERE provider_id = 'MM1'"), 1);
}

#[tokio::test]
async fn the_model_sees_what_an_operator_sent() {
    let test_app = app_with_one_answer(ANA).await;
    operator_sends_file(&test_app, "Our menu", &picture(), "image/jpeg", "menu.jpg").await;
    test_app.drain().await;
    test_app.app.store.return_to_assistant(test_app.latest_conversation()).await.unwrap();
    test_app.contact_writes(ANA, "thanks").await;
    test_app.drain().await;
    let prompt = test_app.prompts().await.pop().unwrap();
    let line = ("assistant".to_owned(), "Our menu\n[sent an image: menu.jpg]".to_owned());
    assert!(prompt.contains(&line), "{prompt:?}");
}

#[tokio::test]
async fn files_are_removed_with_the_last_conversation_that_holds_them() {
    let test_app = app_with_one_answer(ANA).await;
    operator_sends_file(&test_app, "", &picture(), "image/jpeg", "menu.jpg").await;
    operator_sends_file(&test_app, "", b"%PDF-1.7", "application/pdf", "menu.pdf").await;
    test_app.drain().await;
    test_app.advance(3);
    test_app.drain().await;
    let path = last_media_path(&test_app).await;
    let ana = test_app.latest_conversation();
    test_app.contact_writes(BEN, "hello").await;
    test_app.drain().await;
    operator_sends_file(&test_app, "", &picture(), "image/jpeg", "menu.jpg").await;
    test_app.drain().await;
    let kept = || {
        let shelves = std::fs::read_dir(test_app.folder.path().join("media")).unwrap();
        shelves.map(|shelf| std::fs::read_dir(shelf.unwrap().path()).unwrap().count()).sum::<usize>()
    };
    let sweep = async || {
        let runs = schedule::run(&test_app.app, true).await.unwrap();
        let run = runs.into_iter().find(|run| run.job == "remove_unused_files").unwrap();
        assert!(!run.failed, "{}", run.result);
        run.result
    };
    // It has just been written; the row that refers to it comes next.
    test_app.app.files.put(b"%PDF-1.4", test_app.app.clock.now()).unwrap();
    assert_eq!((sweep().await.as_str(), kept()), ("0 files removed", 3));
    test_app.advance(HOUR + 1);
    assert_eq!((sweep().await.as_str(), kept()), ("1 files removed", 2));
    test_app.app.store.end_conversation(ana, test_app.app.clock.now()).await.unwrap();
    test_app.advance(1);
    assert_eq!(test_app.app.store.delete_ended_conversations(test_app.app.clock.now()).await.unwrap(), 1);
    assert_eq!(test_app.get(&path).await.status(), StatusCode::NOT_FOUND, "its conversation is gone");
    assert_eq!((sweep().await.as_str(), kept()), ("1 files removed", 1));
    assert_eq!((sweep().await.as_str(), kept()), ("0 files removed", 1), "Ben's conversation has the picture still");
}

#[tokio::test]
async fn a_lost_file_is_reported_to_the_operator_only() {
    let test_app = app_with_one_answer(ANA).await;
    operator_sends_file(&test_app, "", b"%PDF-1.7", "application/pdf", "menu.pdf").await;
    test_app.drain().await;
    std::fs::remove_dir_all(test_app.folder.path().join("media")).unwrap();
    let log = CapturedLog::start();
    let answer = test_app.get(&last_media_path(&test_app).await).await;
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    assert_eq!(body_bytes(answer).await, b"there is nothing here\n");
    assert_eq!(log.count_lines("ERROR", "cannot read the file of a media link"), 1);
}
