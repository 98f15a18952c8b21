//! Files that an operator sends: posted by an address of ours, fetched there, and removed with the conversation.

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

use crate::house::{ANA, BEN, House, Log, PUBLIC, SECURITY_HEADERS};

const HOUR: u64 = 3600;

/// A picture that is sent in several pieces.
fn picture() -> Vec<u8> {
    let rest = (0..300_000_u32).map(|number| number.to_be_bytes()[3] ^ number.to_be_bytes()[2]);
    b"\xff\xd8\xff\xe0".iter().copied().chain(rest).collect()
}

/// Ana was answered, and an operator sends her a file.
async fn sent(house: &House, text: &str, content: &[u8], media_type: &str, name: &str) {
    let now = house.app.clock.now();
    let hash = house.app.files.put(content, now).unwrap();
    let media = Media { hash, media_type: media_type.into(), name: name.into(), size: content.len() as u64 };
    let spoken = house.app.store.send_operator_file(house.conversation(), text.into(), media, None, now).await.unwrap();
    assert!(matches!(spoken, OperatorMessageOutcome::Queued(_)), "{spoken:?}");
}

async fn answered(from: &str) -> House {
    let house = House::new().await;
    house.say(from, "hello").await;
    house.drain().await;
    house
}

/// The same where Twilio takes that answer, and the test says what becomes of what follows.
async fn answered_once(settings: &[(&str, &str)]) -> House {
    let house = House::with(settings).await;
    house.model_says("Hello!").await;
    house.say(ANA, "hello").await;
    house
        .post_messages()
        .respond_with(ResponseTemplate::new(201).set_body_json(json!({ "sid": "SM1" })))
        .up_to_n_times(1)
        .mount(&house.twilio)
        .await;
    house.drain().await;
    house
}

/// The fields of the last post.
async fn posted(house: &House) -> BTreeMap<String, String> {
    let requests = house.twilio.received_requests().await.unwrap();
    let last = requests.iter().rfind(|request| request.method.as_str() == "POST").unwrap();
    url::form_urlencoded::parse(&last.body).into_owned().collect()
}

/// The path of the address that was given with the last post.
async fn path(house: &House) -> String {
    posted(house).await["MediaUrl"].strip_prefix(PUBLIC).unwrap().to_owned()
}

async fn whole(response: Response<Body>) -> Vec<u8> {
    response.into_body().collect().await.unwrap().to_bytes().to_vec()
}

#[tokio::test]
async fn a_file_is_posted_by_an_address_of_ours_and_fetched_there() {
    let house = answered(ANA).await;
    sent(&house, "Our menu", &picture(), "image/jpeg", "menu für Ana.jpg").await;
    house.drain().await;
    let fields = posted(&house).await;
    assert_eq!((fields["To"].as_str(), fields["Body"].as_str()), (ANA, "Our menu"));
    let path = path(&house).await;
    assert!(path.starts_with("/media/2.1?e="), "{path}");

    let fetched = house.get(&path).await;
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
    assert_eq!(whole(fetched).await, picture());
    // WhatsApp may fetch it again, and Twilio asks for the head first.
    assert_eq!(whole(house.get(&path).await).await, picture());
    let head = Request::head(&path).body(Body::empty()).unwrap();
    let head = house.routes().oneshot(head).await.unwrap();
    assert_eq!((head.status(), head.headers()["content-type"].to_str().unwrap()), (StatusCode::OK, "image/jpeg"));
    assert_eq!(head.headers()["content-length"].to_str().unwrap(), picture().len().to_string());
    assert!(whole(head).await.is_empty());
}

#[tokio::test]
async fn an_address_that_is_not_ours_or_whose_time_is_over_leads_to_nothing() {
    let house = answered(ANA).await;
    sent(&house, "", b"%PDF-1.7", "application/pdf", "menu.pdf").await;
    house.drain().await;
    assert!(!posted(&house).await.contains_key("Body"));
    let path = path(&house).await;
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
        let answer = house.get(&wrong).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{wrong}");
        assert!(!whole(answer).await.starts_with(b"%PDF"));
    }
    house.advance(24 * HOUR - 1);
    assert_eq!(house.get(&path).await.status(), StatusCode::OK);
    house.advance(1);
    assert_eq!(house.get(&path).await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn each_try_gives_an_address_with_its_whole_time() {
    let house = answered_once(&[]).await;
    sent(&house, "", b"%PDF-1.7", "application/pdf", "menu.pdf").await;
    house
        .post_messages()
        .respond_with(ResponseTemplate::new(429).set_body_json(json!({ "code": 20429 })))
        .up_to_n_times(1)
        .mount(&house.twilio)
        .await;
    house.drain().await;
    let first = path(&house).await;
    house.twilio_takes_everything().await;
    house.advance(HOUR);
    house.drain().await;
    let second = path(&house).await;
    assert_ne!(first, second);
    house.advance(24 * HOUR - 1);
    assert_eq!(house.get(&first).await.status(), StatusCode::NOT_FOUND);
    assert_eq!(house.get(&second).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_file_that_nobody_could_fetch_is_not_posted() {
    let mut house = answered(ANA).await;
    sent(&house, "", b"%PDF-1.7", "application/pdf", "menu.pdf").await;
    house.app = Arc::new(App { media_links: None, ..Arc::into_inner(house.app).unwrap() });
    let log = Log::listen();
    house.drain().await;
    assert_eq!((house.texts().await, house.states().await[1].as_str()), (vec!["Hello!".to_owned()], "dead"));
    assert!(house.turns().await[1].error.as_ref().unwrap().contains("MYNAH_PUBLIC_URL"));
    assert_eq!(log.count("ERROR", "the operator must act"), 1);
}

#[tokio::test]
async fn a_file_whose_post_was_lost_is_found_in_twilios_list() {
    let house = answered_once(&[("MYNAH_UNKNOWN_SENDS", "hold")]).await;
    sent(&house, "Our menu", &picture(), "image/jpeg", "menu.jpg").await;
    house.post_messages().respond_with(ResponseTemplate::new(500)).mount(&house.twilio).await;
    let row = json!({
        "sid": "MM1", "direction": "outbound-api", "body": "Our menu", "num_media": "1", "to": ANA,
        "date_created": "Sun, 01 Nov 2026 10:00:00 +0000",
    });
    house
        .list_messages()
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({ "messages": [row] })))
        .mount(&house.twilio)
        .await;
    house.drain().await;
    house.advance(2);
    house.drain().await;
    assert_eq!(house.states().await, ["done", "done"]);
    assert_eq!(house.count("SELECT COUNT(*) FROM parts WHERE provider_id = 'MM1'"), 1);
}

#[tokio::test]
async fn the_model_is_told_what_an_operator_sent() {
    let house = answered(ANA).await;
    sent(&house, "Our menu", &picture(), "image/jpeg", "menu.jpg").await;
    house.drain().await;
    house.app.store.return_to_assistant(house.conversation()).await.unwrap();
    house.say(ANA, "thanks").await;
    house.drain().await;
    let prompt = house.prompts().await.pop().unwrap();
    let line = ("assistant".to_owned(), "Our menu\n[sent an image: menu.jpg]".to_owned());
    assert!(prompt.contains(&line), "{prompt:?}");
}

#[tokio::test]
async fn files_are_removed_with_the_last_conversation_that_holds_them() {
    let house = answered(ANA).await;
    sent(&house, "", &picture(), "image/jpeg", "menu.jpg").await;
    sent(&house, "", b"%PDF-1.7", "application/pdf", "menu.pdf").await;
    house.drain().await;
    house.advance(3);
    house.drain().await;
    let path = path(&house).await;
    let ana = house.conversation();
    house.say(BEN, "hello").await;
    house.drain().await;
    sent(&house, "", &picture(), "image/jpeg", "menu.jpg").await;
    house.drain().await;
    let kept = || {
        let shelves = std::fs::read_dir(house.folder.path().join("media")).unwrap();
        shelves.map(|shelf| std::fs::read_dir(shelf.unwrap().path()).unwrap().count()).sum::<usize>()
    };
    let sweep = async || {
        let runs = schedule::run(&house.app, true).await.unwrap();
        let run = runs.into_iter().find(|run| run.job == "remove_unused_files").unwrap();
        assert!(!run.failed, "{}", run.result);
        run.result
    };
    // Somebody has just put it there, and is about to say whose it is.
    house.app.files.put(b"%PDF-1.4", house.app.clock.now()).unwrap();
    assert_eq!((sweep().await.as_str(), kept()), ("0 files removed", 3));
    house.advance(HOUR + 1);
    assert_eq!((sweep().await.as_str(), kept()), ("1 files removed", 2));
    house.app.store.end_conversation(ana, house.app.clock.now()).await.unwrap();
    house.advance(1);
    assert_eq!(house.app.store.delete_ended_conversations(house.app.clock.now()).await.unwrap(), 1);
    assert_eq!(house.get(&path).await.status(), StatusCode::NOT_FOUND, "its conversation is gone");
    assert_eq!((sweep().await.as_str(), kept()), ("1 files removed", 1));
    assert_eq!((sweep().await.as_str(), kept()), ("0 files removed", 1), "Ben's conversation has the picture still");
}

#[tokio::test]
async fn a_file_that_is_lost_is_told_to_the_operator_and_to_nobody_else() {
    let house = answered(ANA).await;
    sent(&house, "", b"%PDF-1.7", "application/pdf", "menu.pdf").await;
    house.drain().await;
    std::fs::remove_dir_all(house.folder.path().join("media")).unwrap();
    let log = Log::listen();
    let answer = house.get(&path(&house).await).await;
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    assert_eq!(whole(answer).await, b"there is nothing here\n");
    assert_eq!(log.count("ERROR", "cannot be read"), 1);
}
