//! Attachments, from the webhook to the prompt and the reply: pictures, documents, contact cards, and which files are
//! fetched.

use image::ImageFormat;
use serde_json::{Value, json};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::setup::attachments::{
    UNREADABLE_TEXT, contact_attaches, count_images, decompression_bomb, docx, drain_after_waits,
    images_in_last_prompt, last_user_contents, media_path, mount_media_file, pdf, picture,
};
use crate::setup::captured_log::CapturedLog;
use crate::setup::test_app::{ACCOUNT, ANA, BEN, OUR_NUMBER, TestApp, form_params};

#[tokio::test]
async fn pictures_reach_the_model_with_their_captions_and_stay_in_the_history() {
    let (test_app, storage) = (TestApp::new().await, MockServer::start().await);
    for (sid, format, media_type) in [
        ("ME1", ImageFormat::Jpeg, "image/jpeg"),
        ("ME2", ImageFormat::Png, "image/png"),
        ("ME3", ImageFormat::WebP, "image/webp"),
    ] {
        mount_media_file(&test_app, &storage, sid, picture(format, 64)).await;
        contact_attaches(&test_app, ANA, "what is this?", media_type, sid).await;
        drain_after_waits(&test_app).await;
        let content = last_user_contents(&test_app).await.pop().unwrap();
        assert_eq!(count_images(&content), 1, "{content}");
        let text = content[0]["text"].as_str().unwrap();
        assert_eq!(text, "what is this?\n[image]");
        assert!(content[1]["image_url"]["url"].as_str().unwrap().starts_with("data:image/"), "{content}");
    }
    test_app.contact_writes(ANA, "and the first one?").await;
    drain_after_waits(&test_app).await;
    assert_eq!(
        (images_in_last_prompt(&test_app).await, test_app.sent_texts().await),
        (3, vec!["Hello!".to_owned(); 4])
    );
    // Each is fetched once, and the storage gets no credentials.
    let asked = storage.received_requests().await.unwrap();
    assert!(asked.len() == 3 && asked.iter().all(|request| !request.headers.contains_key("authorization")));
}

#[tokio::test]
async fn a_large_picture_is_scaled_before_the_model_sees_it() {
    let (test_app, storage) = (TestApp::new().await, MockServer::start().await);
    mount_media_file(&test_app, &storage, "ME1", picture(ImageFormat::Png, 4_000)).await;
    contact_attaches(&test_app, ANA, "", "image/png", "ME1").await;
    drain_after_waits(&test_app).await;
    let content = last_user_contents(&test_app).await.pop().unwrap();
    let url = content.as_array().unwrap().last().unwrap()["image_url"]["url"].as_str().unwrap().to_owned();
    let (_, data) = url.split_once("base64,").unwrap();
    let bytes = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, data).unwrap();
    let seen = image::load_from_memory(&bytes).unwrap();
    assert_eq!(test_app.query_integer("SELECT COUNT(*) FROM attachments WHERE shown <> hash"), 1, "and scaled once");
    assert!(seen.width() <= 1_568 && seen.height() * 2 <= seen.width() + 2, "{}x{}", seen.width(), seen.height());
}

#[tokio::test]
async fn an_album_is_one_turn() {
    let (test_app, storage) = (TestApp::new().await, MockServer::start().await);
    for sid in ["ME1", "ME2", "ME3"] {
        mount_media_file(&test_app, &storage, sid, picture(ImageFormat::Jpeg, 64)).await;
        contact_attaches(&test_app, ANA, "", "image/jpeg", sid).await;
        test_app.drain().await;
        test_app.advance(2);
        test_app.drain().await;
    }
    drain_after_waits(&test_app).await;
    assert_eq!(
        (
            last_user_contents(&test_app).await.len(),
            images_in_last_prompt(&test_app).await,
            test_app.sent_texts().await.len()
        ),
        (1, 3, 1)
    );
}

#[tokio::test]
async fn at_most_ten_pictures_of_a_turn_are_read() {
    let (test_app, storage) = (TestApp::new().await, MockServer::start().await);
    mount_media_file(&test_app, &storage, "ME1", picture(ImageFormat::Jpeg, 64)).await;
    for _ in 0..11 {
        contact_attaches(&test_app, ANA, "", "image/jpeg", "ME1").await;
    }
    drain_after_waits(&test_app).await;
    let read = "SELECT COUNT(*) FROM attachments WHERE state = 'read'";
    assert_eq!(
        (test_app.query_integer(read), test_app.sent_texts().await),
        (10, vec![UNREADABLE_TEXT.to_owned(), "Hello!".to_owned()])
    );
}

#[tokio::test]
async fn no_picture_is_shown_where_the_owner_says_so() {
    let (test_app, storage) = (TestApp::new().await, MockServer::start().await);
    mount_media_file(&test_app, &storage, "ME1", picture(ImageFormat::Jpeg, 64)).await;
    contact_attaches(&test_app, ANA, "", "image/jpeg", "ME1").await;
    drain_after_waits(&test_app).await;
    assert_eq!(images_in_last_prompt(&test_app).await, 1);
    let test_app = test_app.restarted_with(&[("MYNAH_AI_VISION", "false")]).await;
    test_app.contact_writes(ANA, "and now?").await;
    drain_after_waits(&test_app).await;
    assert_eq!(images_in_last_prompt(&test_app).await, 0, "nor one from before");
    contact_attaches(&test_app, ANA, "", "image/jpeg", "ME1").await;
    drain_after_waits(&test_app).await;
    assert_eq!(test_app.sent_texts().await, ["Hello!", "Hello!", UNREADABLE_TEXT]);
}

#[tokio::test]
async fn a_video_is_not_even_fetched() {
    let test_app = TestApp::new().await;
    contact_attaches(&test_app, ANA, "", "video/mp4", "ME1").await;
    drain_after_waits(&test_app).await;
    let requests = test_app.twilio.received_requests().await.unwrap();
    assert!(requests.iter().all(|request| !request.url.path().contains("/Media/")));
    assert_eq!(test_app.sent_texts().await, [UNREADABLE_TEXT]);
}

#[tokio::test]
async fn nothing_is_fetched_from_unknown_senders_or_blocked_or_opted_out_contacts() {
    let test_app = TestApp::with_settings(&[("MYNAH_WHO", "listed"), ("MYNAH_ALLOWED", "+12025550102")]).await;
    test_app.twilio_accepts_everything().await;
    contact_attaches(&test_app, ANA, "", "image/jpeg", "ME1").await;
    test_app.contact_writes(BEN, "STOP").await;
    contact_attaches(&test_app, BEN, "", "image/jpeg", "ME1").await;
    drain_after_waits(&test_app).await;
    test_app.execute_sql("UPDATE contacts SET blocked_at = 1, opted_out_at = NULL");
    contact_attaches(&test_app, BEN, "", "image/jpeg", "ME1").await;
    drain_after_waits(&test_app).await;
    assert_eq!(mynah::work::unread_attachments::read_batch(&test_app.app).await.unwrap(), 0);
    let never = "SELECT COUNT(*) FROM attachments WHERE state = 'unreadable' AND error LIKE 'not fetched%'";
    assert_eq!(test_app.query_integer(never), 3);
}

#[tokio::test]
async fn the_owner_gets_an_alert_when_credentials_fetch_no_file() {
    for (status, told) in [(401, true), (403, true), (404, false)] {
        let test_app = TestApp::new().await;
        Mock::given(method("GET"))
            .and(path(media_path("ME1")))
            .respond_with(ResponseTemplate::new(status))
            .mount(&test_app.twilio)
            .await;
        contact_attaches(&test_app, ANA, "", "image/png", "ME1").await;
        drain_after_waits(&test_app).await;
        assert_eq!(test_app.sent_texts().await, [UNREADABLE_TEXT]);
        let alerts = test_app.app.store.alerts(9).await.unwrap();
        let alerts: Vec<_> = alerts.iter().map(|alert| (alert.cause.as_str(), alert.subject.as_str())).collect();
        assert_eq!(alerts, if told { vec![("media", "attachments")] } else { vec![] }, "{status}");
        let gone = "SELECT COUNT(*) FROM attachments WHERE error LIKE 'the file is gone at Twilio%'";
        assert_eq!(test_app.query_integer(gone), i64::from(!told), "{status}");
    }
}

#[tokio::test]
async fn documents_and_contact_cards_are_shown_as_text() {
    let (test_app, storage) = (TestApp::new().await, MockServer::start().await);
    for (sid, media_type, bytes, words) in [
        ("ME1", "application/pdf", pdf("Rye bread 4.50"), "Rye bread"),
        (
            "ME2",
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            docx("Rye bread 4.50"),
            "Rye bread",
        ),
        ("ME3", "text/plain", b"Rye bread: 4.50".to_vec(), "Rye bread: 4.50"),
        (
            "ME4",
            "text/vcard",
            b"BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Ana Lopez\r\nTEL;TYPE=CELL:+1 555 0100\r\nEND:VCARD\r\n".to_vec(),
            "Ana Lopez",
        ),
    ] {
        mount_media_file(&test_app, &storage, sid, bytes).await;
        contact_attaches(&test_app, ANA, "see this", media_type, sid).await;
        drain_after_waits(&test_app).await;
        let content = last_user_contents(&test_app).await.pop().unwrap();
        let text = content.as_str().unwrap();
        assert!(text.starts_with("see this\n[") && text.contains(words), "{sid}: {text}");
    }
    assert_eq!(test_app.sent_texts().await, ["Hello!"; 4]);
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_reported_and_holds_up_nothing() {
    let (test_app, storage) = (TestApp::new().await, MockServer::start().await);
    let jpeg = picture(ImageFormat::Jpeg, 64);
    mount_media_file(&test_app, &storage, "ME1", b"<html>no picture</html>\0\x01".to_vec()).await;
    mount_media_file(&test_app, &storage, "ME2", jpeg[..jpeg.len() / 3].to_vec()).await;
    mount_media_file(&test_app, &storage, "ME3", [jpeg.as_slice(), &[0; 16 * 1024 * 1024]].concat()).await;
    mount_media_file(&test_app, &storage, "ME4", Vec::new()).await;
    // 42 million pixels, packed into a few kilobytes.
    mount_media_file(&test_app, &storage, "ME5", decompression_bomb()).await;
    for (number, sid) in ["ME1", "ME2", "ME3", "ME4", "ME5", "ME-gone"].into_iter().enumerate() {
        contact_attaches(&test_app, ANA, "", "image/png", sid).await;
        drain_after_waits(&test_app).await;
        assert_eq!(test_app.sent_texts().await, vec![UNREADABLE_TEXT; number + 1], "{sid}");
    }
    assert_eq!(last_user_contents(&test_app).await.len(), 0, "nobody is asked about nothing");
    assert_eq!(test_app.turn_states().await, ["done"; 6]);
    // A text beside it is answered, and the model is told about the file.
    contact_attaches(&test_app, BEN, "is it this one?", "image/png", "ME2").await;
    drain_after_waits(&test_app).await;
    assert_eq!(last_user_contents(&test_app).await, ["is it this one?\n[image, which cannot be read]"]);
    assert_eq!(test_app.sent_texts().await[6..], [UNREADABLE_TEXT, "Hello!"]);
}

#[tokio::test]
async fn a_file_at_another_address_is_not_fetched() {
    let (test_app, log) = (TestApp::new().await, CapturedLog::start());
    let elsewhere = MockServer::start().await;
    let mut message = test_app.message_params(ANA, "look");
    message.retain(|(name, _)| name != "NumMedia");
    let url = format!("{}{}", elsewhere.uri(), media_path("ME1"));
    message.extend(form_params(&[("NumMedia", "1"), ("MediaContentType0", "image/png"), ("MediaUrl0", &url)]));
    assert_eq!(test_app.deliver_webhook(&message).await, 200);
    drain_after_waits(&test_app).await;
    assert_eq!(elsewhere.received_requests().await.unwrap().len(), 0);
    assert_eq!(test_app.sent_texts().await, [UNREADABLE_TEXT, "Hello!"]);
    let why = "SELECT COUNT(*) FROM attachments WHERE state = 'unreadable' AND error LIKE '%own address%'";
    assert_eq!(
        (test_app.query_integer(why), log.count_lines("WARN", "not one of our account at Twilio's own address")),
        (1, 1)
    );
}

#[tokio::test]
async fn a_file_that_cannot_be_had_at_once_is_tried_again() {
    let (test_app, storage) = (TestApp::new().await, MockServer::start().await);
    Mock::given(method("GET"))
        .and(path(media_path("ME1")))
        .respond_with(ResponseTemplate::new(503))
        .up_to_n_times(1)
        .mount(&test_app.twilio)
        .await;
    mount_media_file(&test_app, &storage, "ME1", picture(ImageFormat::Jpeg, 64)).await;
    contact_attaches(&test_app, ANA, "", "image/jpeg", "ME1").await;
    drain_after_waits(&test_app).await;
    assert_eq!(
        (count_images(&last_user_contents(&test_app).await[0]), test_app.sent_texts().await),
        (1, vec!["Hello!".to_owned()])
    );
}

#[tokio::test]
async fn an_attachment_is_read_once_however_often_the_model_is_asked() {
    let (test_app, storage) = (TestApp::with_settings(&[]).await, MockServer::start().await);
    test_app.twilio_accepts_everything().await;
    test_app.mock_completion().respond_with(ResponseTemplate::new(500)).up_to_n_times(2).mount(&test_app.model).await;
    test_app.model_answers("Hello!").await;
    mount_media_file(&test_app, &storage, "ME1", picture(ImageFormat::Jpeg, 64)).await;
    contact_attaches(&test_app, ANA, "", "image/jpeg", "ME1").await;
    for _ in 0..4 {
        test_app.advance(60);
        test_app.drain().await;
    }
    assert_eq!(test_app.sent_texts().await, ["Hello!"]);
    assert_eq!(storage.received_requests().await.unwrap().len(), 1);
    assert_eq!(count_images(last_user_contents(&test_app).await.last().unwrap()), 1);
}

#[tokio::test]
async fn files_go_with_their_conversation() {
    let (test_app, storage) = (TestApp::new().await, MockServer::start().await);
    mount_media_file(&test_app, &storage, "ME1", picture(ImageFormat::Jpeg, 64)).await;
    contact_attaches(&test_app, ANA, "", "image/jpeg", "ME1").await;
    drain_after_waits(&test_app).await;
    let files = || files_below(&test_app.folder.path().join("media"));
    assert!(!files().is_empty());
    test_app.app.store.end_conversation(test_app.latest_conversation(), test_app.app.clock.now()).await.unwrap();
    test_app.advance(91 * 86_400);
    mynah::work::schedule::run(&test_app.app, true).await.unwrap();
    assert_eq!(files(), Vec::<std::path::PathBuf>::new());
}

fn files_below(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

#[tokio::test]
async fn a_picture_whose_webhook_never_came_is_found_by_catch_up() {
    let (test_app, storage) = (TestApp::new().await, MockServer::start().await);
    let list =
        |rows: Value| ResponseTemplate::new(200).set_body_json(json!({ "messages": rows, "next_page_uri": null }));
    test_app.mock_list_messages().respond_with(list(json!([]))).up_to_n_times(1).mount(&test_app.twilio).await;
    mynah::work::schedule::catch_up(&test_app.app).await.unwrap();
    test_app.advance(60);
    let at = mynah::clock::Clock::now(&test_app.clock).to_string();
    let row = json!({
        "sid": "MM1", "direction": "inbound", "status": "received", "from": ANA, "to": OUR_NUMBER,
        "body": "", "num_media": "1", "date_created": at, "date_sent": at,
    });
    test_app.mock_list_messages().respond_with(list(json!([row]))).mount(&test_app.twilio).await;
    let files = json!({ "media_list": [{ "uri": format!("{}.json", media_path("ME1")) }] });
    Mock::given(method("GET"))
        .and(path(format!("/2010-04-01/Accounts/{ACCOUNT}/Messages/MM1/Media.json")))
        .respond_with(ResponseTemplate::new(200).set_body_json(files))
        .mount(&test_app.twilio)
        .await;
    mount_media_file(&test_app, &storage, "ME1", picture(ImageFormat::Jpeg, 64)).await;
    test_app.advance(60);
    let run = mynah::work::schedule::catch_up(&test_app.app).await.unwrap();
    assert_eq!(run.result, "missed messages found: 1 to be answered");
    drain_after_waits(&test_app).await;
    assert_eq!((images_in_last_prompt(&test_app).await, test_app.sent_texts().await), (1, vec!["Hello!".to_owned()]));
}
