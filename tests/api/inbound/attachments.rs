//! What contacts attach, from the webhook to what the model is asked and the contact is told.

use std::sync::Arc;
use std::time::Duration;

use image::{DynamicImage, ImageFormat, RgbImage};
use serde_json::{Value, json};
use wiremock::matchers::{header_exists, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::setup::test_app::{ACCOUNT, ANA, BEN, CapturedLog, TestApp, form_params};

pub const UNREADABLE_TEXT: &str = "Sorry, I couldn't open what you sent. Could you describe it in words?";

fn media_path(sid: &str) -> String {
    format!("/2010-04-01/Accounts/{ACCOUNT}/Messages/MM1/Media/{sid}")
}

/// A PDF of one page.
fn pdf(words: &str) -> Vec<u8> {
    pdf_bytes(&mut one_page_pdf(words))
}

pub fn pdf_bytes(document: &mut lopdf::Document) -> Vec<u8> {
    let mut bytes = Vec::new();
    document.save_to(&mut bytes).unwrap();
    bytes
}

pub fn one_page_pdf(words: &str) -> lopdf::Document {
    use lopdf::content::{Content, Operation};
    use lopdf::{Document, Object, Stream, dictionary};
    let mut document = Document::with_version("1.5");
    let pages = document.new_object_id();
    let font = document.add_object(dictionary! { "Type" => "Font", "Subtype" => "Type1", "BaseFont" => "Helvetica" });
    let resources = document.add_object(dictionary! { "Font" => dictionary! { "F1" => font } });
    let operations = vec![
        Operation::new("BT", vec![]),
        Operation::new("Tf", vec!["F1".into(), 12.into()]),
        Operation::new("Td", vec![50.into(), 700.into()]),
        Operation::new("Tj", vec![Object::string_literal(words)]),
        Operation::new("ET", vec![]),
    ];
    let content = document.add_object(Stream::new(dictionary! {}, Content { operations }.encode().unwrap()));
    let page = document.add_object(dictionary! { "Type" => "Page", "Parent" => pages, "Contents" => content });
    let sheet = vec![0.into(), 0.into(), 595.into(), 842.into()];
    let all = dictionary! {
        "Type" => "Pages", "Kids" => vec![page.into()], "Count" => 1, "Resources" => resources, "MediaBox" => sheet,
    };
    document.objects.insert(pages, all.into());
    let catalog = document.add_object(dictionary! { "Type" => "Catalog", "Pages" => pages });
    document.trailer.set("Root", catalog);
    document
}

/// A Word document of one paragraph.
fn docx(words: &str) -> Vec<u8> {
    use std::io::Write;
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let namespace = "http://schemas.openxmlformats.org/wordprocessingml/2006/main";
    let document = format!(
        "<w:document xmlns:w=\"{namespace}\"><w:body><w:p><w:r><w:t>{words}</w:t></w:r></w:p></w:body></w:document>"
    );
    zip.start_file("word/document.xml", zip::write::SimpleFileOptions::default()).unwrap();
    zip.write_all(document.as_bytes()).unwrap();
    zip.finish().unwrap().into_inner()
}

/// A picture of one colour as a real file.
fn picture(format: ImageFormat, side: u32) -> Vec<u8> {
    let image = DynamicImage::ImageRgb8(RgbImage::from_pixel(side, side / 2, image::Rgb([200, 30, 40])));
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn decompression_bomb() -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image::GrayImage::new(7_000, 6_000).write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// Twilio sends on to where it keeps the file.
pub async fn mount_media_file(house: &TestApp, storage: &MockServer, sid: &str, bytes: Vec<u8>) {
    let there = ResponseTemplate::new(307).insert_header("location", format!("{}/{sid}", storage.uri()));
    Mock::given(method("GET"))
        .and(path(media_path(sid)))
        .and(header_exists("authorization"))
        .respond_with(there)
        .mount(&house.twilio)
        .await;
    let file = ResponseTemplate::new(200).set_body_bytes(bytes);
    Mock::given(method("GET")).and(path(format!("/{sid}"))).respond_with(file).mount(storage).await;
}

pub async fn contact_attaches(house: &TestApp, from: &str, caption: &str, media_type: &str, sid: &str) {
    let mut message = house.message_params(from, caption);
    message.retain(|(name, _)| !["NumMedia", "MessageType"].contains(&name.as_str()));
    let url = format!("{}{}", house.twilio.uri(), media_path(sid));
    message.extend(form_params(&[("NumMedia", "1"), ("MediaContentType0", media_type), ("MediaUrl0", &url)]));
    assert_eq!(house.deliver_webhook(&message).await, 200);
}

/// An album's wait, then that of a second message for the first.
pub async fn drain_after_waits(house: &TestApp) {
    for seconds in [16, 4] {
        house.advance(seconds);
        house.drain().await;
    }
}

/// What the model was asked, call by call: the content of the last message by the contact.
pub async fn last_user_contents(house: &TestApp) -> Vec<Value> {
    let requests = house.model.received_requests().await.unwrap();
    let chats = requests.iter().filter(|request| request.url.path().ends_with("/chat/completions"));
    let bodies = chats.map(|request| serde_json::from_slice::<Value>(&request.body).unwrap());
    bodies.map(|body| body["messages"].as_array().unwrap().last().unwrap()["content"].clone()).collect()
}

fn count_images(content: &Value) -> usize {
    content.as_array().map_or(0, |parts| parts.iter().filter(|part| part["type"] == "image_url").count())
}

/// How many pictures the model was shown when it was last asked.
async fn images_in_last_prompt(house: &TestApp) -> usize {
    let requests = house.model.received_requests().await.unwrap();
    let body: Value = serde_json::from_slice(&requests.last().unwrap().body).unwrap();
    body["messages"].as_array().unwrap().iter().map(|message| count_images(&message["content"])).sum()
}

#[tokio::test]
async fn pictures_reach_the_model_with_their_captions_and_stay_in_the_history() {
    let (house, storage) = (TestApp::new().await, MockServer::start().await);
    for (sid, format, media_type) in [
        ("ME1", ImageFormat::Jpeg, "image/jpeg"),
        ("ME2", ImageFormat::Png, "image/png"),
        ("ME3", ImageFormat::WebP, "image/webp"),
    ] {
        mount_media_file(&house, &storage, sid, picture(format, 64)).await;
        contact_attaches(&house, ANA, "what is this?", media_type, sid).await;
        drain_after_waits(&house).await;
        let content = last_user_contents(&house).await.pop().unwrap();
        assert_eq!(count_images(&content), 1, "{content}");
        let text = content[0]["text"].as_str().unwrap();
        assert_eq!(text, "what is this?\n[image]");
        assert!(content[1]["image_url"]["url"].as_str().unwrap().starts_with("data:image/"), "{content}");
    }
    house.contact_writes(ANA, "and the first one?").await;
    drain_after_waits(&house).await;
    assert_eq!((images_in_last_prompt(&house).await, house.sent_texts().await), (3, vec!["Hello!".to_owned(); 4]));
    // Fetched once each, and not told who we are where they are kept.
    let asked = storage.received_requests().await.unwrap();
    assert!(asked.len() == 3 && asked.iter().all(|request| !request.headers.contains_key("authorization")));
}

#[tokio::test]
async fn a_large_picture_is_scaled_before_the_model_sees_it() {
    let (house, storage) = (TestApp::new().await, MockServer::start().await);
    mount_media_file(&house, &storage, "ME1", picture(ImageFormat::Png, 4_000)).await;
    contact_attaches(&house, ANA, "", "image/png", "ME1").await;
    drain_after_waits(&house).await;
    let content = last_user_contents(&house).await.pop().unwrap();
    let url = content.as_array().unwrap().last().unwrap()["image_url"]["url"].as_str().unwrap().to_owned();
    let (_, data) = url.split_once("base64,").unwrap();
    let bytes = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, data).unwrap();
    let seen = image::load_from_memory(&bytes).unwrap();
    assert_eq!(house.query_integer("SELECT COUNT(*) FROM attachments WHERE shown <> hash"), 1, "and scaled once");
    assert!(seen.width() <= 1_568 && seen.height() * 2 <= seen.width() + 2, "{}x{}", seen.width(), seen.height());
}

#[tokio::test]
async fn an_album_is_one_turn() {
    let (house, storage) = (TestApp::new().await, MockServer::start().await);
    for sid in ["ME1", "ME2", "ME3"] {
        mount_media_file(&house, &storage, sid, picture(ImageFormat::Jpeg, 64)).await;
        contact_attaches(&house, ANA, "", "image/jpeg", sid).await;
        house.drain().await;
        house.advance(2);
        house.drain().await;
    }
    drain_after_waits(&house).await;
    assert_eq!(
        (last_user_contents(&house).await.len(), images_in_last_prompt(&house).await, house.sent_texts().await.len()),
        (1, 3, 1)
    );
}

#[tokio::test]
async fn at_most_ten_pictures_of_a_turn_are_read() {
    let (house, storage) = (TestApp::new().await, MockServer::start().await);
    mount_media_file(&house, &storage, "ME1", picture(ImageFormat::Jpeg, 64)).await;
    for _ in 0..11 {
        contact_attaches(&house, ANA, "", "image/jpeg", "ME1").await;
    }
    drain_after_waits(&house).await;
    let read = "SELECT COUNT(*) FROM attachments WHERE state = 'read'";
    assert_eq!(
        (house.query_integer(read), house.sent_texts().await),
        (10, vec![UNREADABLE_TEXT.to_owned(), "Hello!".to_owned()])
    );
}

#[tokio::test]
async fn no_picture_is_shown_where_the_owner_says_so() {
    let (house, storage) = (TestApp::new().await, MockServer::start().await);
    mount_media_file(&house, &storage, "ME1", picture(ImageFormat::Jpeg, 64)).await;
    contact_attaches(&house, ANA, "", "image/jpeg", "ME1").await;
    drain_after_waits(&house).await;
    assert_eq!(images_in_last_prompt(&house).await, 1);
    let house = house.restarted_with(&[("MYNAH_AI_VISION", "false")]).await;
    house.contact_writes(ANA, "and now?").await;
    drain_after_waits(&house).await;
    assert_eq!(images_in_last_prompt(&house).await, 0, "nor one from before");
    contact_attaches(&house, ANA, "", "image/jpeg", "ME1").await;
    drain_after_waits(&house).await;
    assert_eq!(house.sent_texts().await, ["Hello!", "Hello!", UNREADABLE_TEXT]);
}

#[tokio::test]
async fn a_video_is_not_even_fetched() {
    let house = TestApp::new().await;
    contact_attaches(&house, ANA, "", "video/mp4", "ME1").await;
    drain_after_waits(&house).await;
    let requests = house.twilio.received_requests().await.unwrap();
    assert!(requests.iter().all(|request| !request.url.path().contains("/Media/")));
    assert_eq!(house.sent_texts().await, [UNREADABLE_TEXT]);
}

/// A house that can write down what is said.
async fn app_with_transcription(said: &str) -> TestApp {
    let house = TestApp::with_settings(&[("MYNAH_TRANSCRIPTION_MODEL", "whisper-1")]).await;
    let base = format!("{}/v1", house.model.uri());
    let house = house.restarted_with(&[("MYNAH_TRANSCRIPTION_BASE_URL", &base)]).await;
    house.twilio_accepts_everything().await;
    house.model_answers("Hello!").await;
    Mock::given(method("POST"))
        .and(path("/v1/audio/transcriptions"))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({ "text": said })))
        .mount(&house.model)
        .await;
    house
}

const VOICE_NOTE: &[u8] = include_bytes!("../../../src/media/testdata/voice.ogg");

#[tokio::test]
async fn the_transcript_of_a_voice_note_is_the_message() {
    let (house, storage) = (app_with_transcription(" Do you have rye bread? ").await, MockServer::start().await);
    mount_media_file(&house, &storage, "ME1", VOICE_NOTE.to_vec()).await;
    contact_attaches(&house, ANA, "", "audio/ogg", "ME1").await;
    drain_after_waits(&house).await;
    assert_eq!(last_user_contents(&house).await, ["[voice message]\nDo you have rye bread?"]);
    let (_, said) = house.app.store.conversation(house.latest_conversation(), 9).await.unwrap().unwrap();
    assert_eq!(said[0].content, "[voice message]\nDo you have rye bread?");
    let heard = house.model.received_requests().await.unwrap();
    let upload = heard.iter().find(|request| request.url.path().ends_with("/transcriptions")).unwrap();
    assert!(upload.body.windows(VOICE_NOTE.len()).any(|window| window == VOICE_NOTE), "the file as it came");
    // A spoken word is no command.
    assert_eq!(house.sent_texts().await, ["Hello!"]);
}

#[tokio::test]
async fn transcribing_a_voice_note_counts_against_the_budget() {
    let budget = [("MYNAH_BUDGET_DAY", "3 calls"), ("MYNAH_TEXT_BUDGET", "No more today.")];
    let (house, storage) =
        (app_with_transcription("Rye?").await.restarted_with(&budget).await, MockServer::start().await);
    mount_media_file(&house, &storage, "ME1", VOICE_NOTE.to_vec()).await;
    contact_attaches(&house, ANA, "", "audio/ogg", "ME1").await;
    for from in [BEN, ANA] {
        drain_after_waits(&house).await;
        house.contact_writes(from, "hello").await;
    }
    drain_after_waits(&house).await;
    assert_eq!(house.sent_texts().await, ["Hello!", "Hello!", "No more today."]);
    // Where it is the last one, the model is not asked.
    house.advance(86_400);
    house.execute_sql("INSERT INTO spent (scope, period, calls, tokens, micros) VALUES ('all', '2026-11-02', 2, 0, 0)");
    contact_attaches(&house, BEN, "", "audio/ogg", "ME1").await;
    drain_after_waits(&house).await;
    assert_eq!(house.sent_texts().await[3..], ["No more today."]);
    let spent = "SELECT calls FROM spent WHERE scope = 'all' AND period = '2026-11-02'";
    assert_eq!(house.query_integer(spent), 3);
}

#[tokio::test]
async fn attachments_that_come_while_a_person_answers_are_read_too() {
    let (house, storage) = (app_with_transcription("Rye?").await, MockServer::start().await);
    mount_media_file(&house, &storage, "ME1", VOICE_NOTE.to_vec()).await;
    mount_media_file(&house, &storage, "ME2", picture(ImageFormat::Jpeg, 64)).await;
    house.contact_writes(ANA, "/human").await;
    drain_after_waits(&house).await;
    contact_attaches(&house, ANA, "", "audio/ogg", "ME1").await;
    contact_attaches(&house, ANA, "this one", "image/jpeg", "ME2").await;
    contact_attaches(&house, ANA, "", "image/png", "ME-gone").await;
    drain_after_waits(&house).await;
    assert_eq!(mynah::work::unread_attachments::read_batch(&house.app).await.unwrap(), 3);
    assert_eq!(mynah::work::unread_attachments::read_batch(&house.app).await.unwrap(), 0);
    let (_, said) = house.app.store.conversation(house.latest_conversation(), 9).await.unwrap().unwrap();
    let told: Vec<_> =
        said.iter().filter(|said| said.turn_state == "skipped").map(|said| said.content.as_str()).collect();
    assert_eq!(told, ["[voice message]\nRye?", "this one\n[image]", "[image, which cannot be read]"]);
    assert_eq!((house.sent_texts().await.len(), last_user_contents(&house).await.len()), (1, 0), "nobody is answered");
    house.advance(5 * 3_600);
    house.contact_writes(ANA, "and now?").await;
    drain_after_waits(&house).await;
    assert_eq!((images_in_last_prompt(&house).await, house.sent_texts().await.len()), (1, 2));
}

#[tokio::test]
async fn a_voice_note_that_no_budget_is_left_to_answer_is_not_transcribed() {
    let (house, storage) = (app_with_transcription("Rye?").await, MockServer::start().await);
    let house = house.restarted_with(&[("MYNAH_BUDGET_DAY", "1 calls"), ("MYNAH_TEXT_BUDGET", "No more.")]).await;
    mount_media_file(&house, &storage, "ME1", VOICE_NOTE.to_vec()).await;
    mount_media_file(&house, &storage, "ME2", b"Rye bread: 4.50".to_vec()).await;
    house.contact_writes(BEN, "hello").await;
    drain_after_waits(&house).await;
    contact_attaches(&house, ANA, "", "audio/ogg", "ME1").await;
    contact_attaches(&house, ANA, "", "text/plain", "ME2").await;
    drain_after_waits(&house).await;
    assert_eq!(mynah::work::unread_attachments::read_batch(&house.app).await.unwrap(), 2);
    let (_, said) = house.app.store.conversation(house.latest_conversation(), 9).await.unwrap().unwrap();
    let told: Vec<_> = said.iter().take(2).map(|said| said.content.as_str()).collect();
    assert_eq!(told, ["[voice message, which cannot be read]", "[document: text/plain]\nRye bread: 4.50"]);
    let heard = house.model.received_requests().await.unwrap();
    assert!(heard.iter().all(|request| !request.url.path().ends_with("/transcriptions")));
}

#[tokio::test]
async fn nothing_is_fetched_from_unknown_senders_or_blocked_or_opted_out_contacts() {
    let house = TestApp::with_settings(&[("MYNAH_WHO", "listed"), ("MYNAH_ALLOWED", "+12025550102")]).await;
    house.twilio_accepts_everything().await;
    contact_attaches(&house, ANA, "", "image/jpeg", "ME1").await;
    house.contact_writes(BEN, "STOP").await;
    contact_attaches(&house, BEN, "", "image/jpeg", "ME1").await;
    drain_after_waits(&house).await;
    house.execute_sql("UPDATE contacts SET blocked_at = 1, opted_out_at = NULL");
    contact_attaches(&house, BEN, "", "image/jpeg", "ME1").await;
    drain_after_waits(&house).await;
    assert_eq!(mynah::work::unread_attachments::read_batch(&house.app).await.unwrap(), 0);
    let never = "SELECT COUNT(*) FROM attachments WHERE state = 'unreadable' AND error LIKE 'not fetched%'";
    assert_eq!(house.query_integer(never), 3);
}

#[tokio::test]
async fn an_empty_voice_note_and_one_that_cannot_be_transcribed_are_reported_to_the_contact() {
    let (house, storage) = (app_with_transcription("  ").await, MockServer::start().await);
    mount_media_file(&house, &storage, "ME1", VOICE_NOTE.to_vec()).await;
    contact_attaches(&house, ANA, "", "audio/ogg", "ME1").await;
    drain_after_waits(&house).await;
    assert_eq!(
        (house.sent_texts().await, last_user_contents(&house).await.len()),
        (vec![UNREADABLE_TEXT.to_owned()], 0)
    );

    let (house, storage) = (TestApp::new().await, MockServer::start().await);
    mount_media_file(&house, &storage, "ME1", VOICE_NOTE.to_vec()).await;
    contact_attaches(&house, ANA, "", "audio/ogg", "ME1").await;
    drain_after_waits(&house).await;
    assert_eq!(
        (house.sent_texts().await, last_user_contents(&house).await.len()),
        (vec![UNREADABLE_TEXT.to_owned()], 0)
    );
    assert_eq!(house.turn_states().await, ["done"]);
}

/// A house whose voice notes are taken and never written down.
async fn app_with_hanging_transcription() -> TestApp {
    let house = TestApp::with_settings(&[("MYNAH_TRANSCRIPTION_MODEL", "whisper-1")]).await;
    let base = format!("{}/v1", house.model.uri());
    let house = house.restarted_with(&[("MYNAH_TRANSCRIPTION_BASE_URL", &base)]).await;
    house.twilio_accepts_everything().await;
    house.model_answers("Hello!").await;
    Mock::given(method("POST"))
        .and(path("/v1/audio/transcriptions"))
        .respond_with(ResponseTemplate::new(200).set_delay(LONGER_THAN_ANY_TEST))
        .mount(&house.model)
        .await;
    house
}

const LONGER_THAN_ANY_TEST: Duration = Duration::from_secs(3_600);

#[tokio::test]
async fn an_attachment_that_takes_too_long_does_not_hold_up_its_turn() {
    let (house, storage) = (
        app_with_hanging_transcription().await.with_attachment_timeout(Duration::from_millis(300)),
        MockServer::start().await,
    );
    mount_media_file(&house, &storage, "ME1", VOICE_NOTE.to_vec()).await;
    contact_attaches(&house, ANA, "and what about this?", "audio/ogg", "ME1").await;
    drain_after_waits(&house).await;
    assert_eq!(last_user_contents(&house).await, ["and what about this?\n[voice message, which cannot be read]"]);
    Mock::given(method("GET"))
        .and(path(media_path("ME2")))
        .respond_with(ResponseTemplate::new(200).set_delay(LONGER_THAN_ANY_TEST))
        .mount(&house.twilio)
        .await;
    contact_attaches(&house, BEN, "and this?", "image/png", "ME2").await;
    drain_after_waits(&house).await;
    assert_eq!(last_user_contents(&house).await[1], "and this?\n[image, which cannot be read]");
    assert_eq!(house.sent_texts().await, [UNREADABLE_TEXT, "Hello!", UNREADABLE_TEXT, "Hello!"]);
    let why = "SELECT COUNT(*) FROM attachments WHERE state = 'unreadable' AND error LIKE 'it took too long%'";
    assert_eq!(house.query_integer(why), 2);
}

#[tokio::test]
async fn voice_notes_that_hang_hold_up_no_other_attachment() {
    let (house, storage) = (app_with_hanging_transcription().await, MockServer::start().await);
    mount_media_file(&house, &storage, "ME1", VOICE_NOTE.to_vec()).await;
    mount_media_file(&house, &storage, "ME2", picture(ImageFormat::Jpeg, 64)).await;
    for _ in 0..8 {
        contact_attaches(&house, ANA, "", "audio/ogg", "ME1").await;
    }
    house.advance(16);
    let app = Arc::clone(&house.app);
    let hung = tokio::spawn(async move { mynah::work::run_until_idle(&app).await });
    let all = async {
        loop {
            let requests = house.model.received_requests().await.unwrap();
            if requests.iter().filter(|request| request.url.path().ends_with("/transcriptions")).count() == 8 {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), all).await.expect("all are being listened to at once");
    contact_attaches(&house, BEN, "", "image/jpeg", "ME2").await;
    drain_after_waits(&house).await;
    assert_eq!((images_in_last_prompt(&house).await, house.sent_texts().await), (1, vec!["Hello!".to_owned()]));
    hung.abort();
}

#[tokio::test]
async fn the_owner_gets_an_alert_when_credentials_fetch_no_file() {
    for (status, told) in [(401, true), (403, true), (404, false)] {
        let house = TestApp::new().await;
        Mock::given(method("GET"))
            .and(path(media_path("ME1")))
            .respond_with(ResponseTemplate::new(status))
            .mount(&house.twilio)
            .await;
        contact_attaches(&house, ANA, "", "image/png", "ME1").await;
        drain_after_waits(&house).await;
        assert_eq!(house.sent_texts().await, [UNREADABLE_TEXT]);
        let alerts = house.app.store.alerts(9).await.unwrap();
        let alerts: Vec<_> = alerts.iter().map(|alert| (alert.cause.as_str(), alert.subject.as_str())).collect();
        assert_eq!(alerts, if told { vec![("media", "attachments")] } else { vec![] }, "{status}");
        let gone = "SELECT COUNT(*) FROM attachments WHERE error LIKE 'the file is gone at Twilio%'";
        assert_eq!(house.query_integer(gone), i64::from(!told), "{status}");
    }
}

#[tokio::test]
async fn the_owner_gets_an_alert_when_the_transcription_key_is_refused() {
    let (house, storage) = (TestApp::with_settings(&[]).await, MockServer::start().await);
    let base = format!("{}/v1", house.model.uri());
    let house = house.restarted_with(&[("MYNAH_TRANSCRIPTION_BASE_URL", &base)]).await;
    house.twilio_accepts_everything().await;
    let refused = json!({ "error": { "message": "no such key", "code": "invalid_api_key" } });
    Mock::given(method("POST"))
        .and(path("/v1/audio/transcriptions"))
        .respond_with(ResponseTemplate::new(401).set_body_json(refused))
        .mount(&house.model)
        .await;
    mount_media_file(&house, &storage, "ME1", VOICE_NOTE.to_vec()).await;
    contact_attaches(&house, ANA, "", "audio/ogg", "ME1").await;
    drain_after_waits(&house).await;
    assert_eq!(house.sent_texts().await, [UNREADABLE_TEXT]);
    let alerts = house.app.store.alerts(9).await.unwrap();
    let told: Vec<_> = alerts.iter().map(|alert| (alert.cause.as_str(), alert.subject.as_str())).collect();
    assert_eq!(told, [("model", "voice notes")]);
}

#[tokio::test]
async fn documents_and_contact_cards_are_shown_as_text() {
    let (house, storage) = (TestApp::new().await, MockServer::start().await);
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
        mount_media_file(&house, &storage, sid, bytes).await;
        contact_attaches(&house, ANA, "see this", media_type, sid).await;
        drain_after_waits(&house).await;
        let content = last_user_contents(&house).await.pop().unwrap();
        let text = content.as_str().unwrap();
        assert!(text.starts_with("see this\n[") && text.contains(words), "{sid}: {text}");
    }
    assert_eq!(house.sent_texts().await, ["Hello!"; 4]);
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_reported_and_holds_up_nothing() {
    let (house, storage) = (TestApp::new().await, MockServer::start().await);
    let jpeg = picture(ImageFormat::Jpeg, 64);
    mount_media_file(&house, &storage, "ME1", b"<html>no picture</html>\0\x01".to_vec()).await;
    mount_media_file(&house, &storage, "ME2", jpeg[..jpeg.len() / 3].to_vec()).await;
    mount_media_file(&house, &storage, "ME3", [jpeg.as_slice(), &[0; 16 * 1024 * 1024]].concat()).await;
    mount_media_file(&house, &storage, "ME4", Vec::new()).await;
    // 42 million pixels, packed into a few kilobytes.
    mount_media_file(&house, &storage, "ME5", decompression_bomb()).await;
    for (number, sid) in ["ME1", "ME2", "ME3", "ME4", "ME5", "ME-gone"].into_iter().enumerate() {
        contact_attaches(&house, ANA, "", "image/png", sid).await;
        drain_after_waits(&house).await;
        assert_eq!(house.sent_texts().await, vec![UNREADABLE_TEXT; number + 1], "{sid}");
    }
    assert_eq!(last_user_contents(&house).await.len(), 0, "nobody is asked about nothing");
    assert_eq!(house.turn_states().await, ["done"; 6]);
    // With words beside it, those are answered, and the model knows.
    contact_attaches(&house, BEN, "is it this one?", "image/png", "ME2").await;
    drain_after_waits(&house).await;
    assert_eq!(last_user_contents(&house).await, ["is it this one?\n[image, which cannot be read]"]);
    assert_eq!(house.sent_texts().await[6..], [UNREADABLE_TEXT, "Hello!"]);
}

#[tokio::test]
async fn a_file_at_another_address_is_not_fetched() {
    let (house, log) = (TestApp::new().await, CapturedLog::start());
    let elsewhere = MockServer::start().await;
    let mut message = house.message_params(ANA, "look");
    message.retain(|(name, _)| name != "NumMedia");
    let url = format!("{}{}", elsewhere.uri(), media_path("ME1"));
    message.extend(form_params(&[("NumMedia", "1"), ("MediaContentType0", "image/png"), ("MediaUrl0", &url)]));
    assert_eq!(house.deliver_webhook(&message).await, 200);
    drain_after_waits(&house).await;
    assert_eq!(elsewhere.received_requests().await.unwrap().len(), 0);
    assert_eq!(house.sent_texts().await, [UNREADABLE_TEXT, "Hello!"]);
    let why = "SELECT COUNT(*) FROM attachments WHERE state = 'unreadable' AND error LIKE '%own address%'";
    assert_eq!((house.query_integer(why), log.count_lines("WARN", "not at Twilio's own address")), (1, 1));
}

#[tokio::test]
async fn a_file_that_cannot_be_had_at_once_is_tried_again() {
    let (house, storage) = (TestApp::new().await, MockServer::start().await);
    Mock::given(method("GET"))
        .and(path(media_path("ME1")))
        .respond_with(ResponseTemplate::new(503))
        .up_to_n_times(1)
        .mount(&house.twilio)
        .await;
    mount_media_file(&house, &storage, "ME1", picture(ImageFormat::Jpeg, 64)).await;
    contact_attaches(&house, ANA, "", "image/jpeg", "ME1").await;
    drain_after_waits(&house).await;
    assert_eq!(
        (count_images(&last_user_contents(&house).await[0]), house.sent_texts().await),
        (1, vec!["Hello!".to_owned()])
    );
}

#[tokio::test]
async fn an_attachment_is_read_once_however_often_the_model_is_asked() {
    let (house, storage) = (TestApp::with_settings(&[]).await, MockServer::start().await);
    house.twilio_accepts_everything().await;
    house.mock_completion().respond_with(ResponseTemplate::new(500)).up_to_n_times(2).mount(&house.model).await;
    house.model_answers("Hello!").await;
    mount_media_file(&house, &storage, "ME1", picture(ImageFormat::Jpeg, 64)).await;
    contact_attaches(&house, ANA, "", "image/jpeg", "ME1").await;
    for _ in 0..4 {
        house.advance(60);
        house.drain().await;
    }
    assert_eq!(house.sent_texts().await, ["Hello!"]);
    assert_eq!(storage.received_requests().await.unwrap().len(), 1);
    assert_eq!(count_images(last_user_contents(&house).await.last().unwrap()), 1);
}

#[tokio::test]
async fn files_go_with_their_conversation() {
    let (house, storage) = (TestApp::new().await, MockServer::start().await);
    mount_media_file(&house, &storage, "ME1", picture(ImageFormat::Jpeg, 64)).await;
    contact_attaches(&house, ANA, "", "image/jpeg", "ME1").await;
    drain_after_waits(&house).await;
    let files = || files_below(&house.folder.path().join("media"));
    assert!(!files().is_empty());
    house.app.store.end_conversation(house.latest_conversation(), house.app.clock.now()).await.unwrap();
    house.advance(91 * 86_400);
    mynah::work::schedule::run(&house.app, true).await.unwrap();
    assert_eq!(files(), Vec::<std::path::PathBuf>::new());
}

fn files_below(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

#[tokio::test]
async fn a_picture_whose_webhook_never_came_is_found_by_catch_up() {
    let (house, storage) = (TestApp::new().await, MockServer::start().await);
    let list =
        |rows: Value| ResponseTemplate::new(200).set_body_json(json!({ "messages": rows, "next_page_uri": null }));
    house.mock_list_messages().respond_with(list(json!([]))).up_to_n_times(1).mount(&house.twilio).await;
    mynah::work::schedule::catch_up(&house.app).await.unwrap();
    house.advance(60);
    let at = mynah::clock::Clock::now(&house.clock).to_string();
    let row = json!({
        "sid": "MM1", "direction": "inbound", "status": "received", "from": ANA, "to": crate::setup::test_app::OUR_NUMBER,
        "body": "", "num_media": "1", "date_created": at, "date_sent": at,
    });
    house.mock_list_messages().respond_with(list(json!([row]))).mount(&house.twilio).await;
    let files = json!({ "media_list": [{ "uri": format!("{}.json", media_path("ME1")) }] });
    Mock::given(method("GET"))
        .and(path(format!("/2010-04-01/Accounts/{ACCOUNT}/Messages/MM1/Media.json")))
        .respond_with(ResponseTemplate::new(200).set_body_json(files))
        .mount(&house.twilio)
        .await;
    mount_media_file(&house, &storage, "ME1", picture(ImageFormat::Jpeg, 64)).await;
    house.advance(60);
    let run = mynah::work::schedule::catch_up(&house.app).await.unwrap();
    assert_eq!(run.result, "missed messages found: 1 to be answered");
    drain_after_waits(&house).await;
    assert_eq!((images_in_last_prompt(&house).await, house.sent_texts().await), (1, vec!["Hello!".to_owned()]));
}
