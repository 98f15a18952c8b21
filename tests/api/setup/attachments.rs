//! Files to attach: the stand-in that stores them, the message that brings them, the wait for them, and what the model
//! was shown.

use image::{DynamicImage, ImageFormat, RgbImage};
use serde_json::Value;
use wiremock::matchers::{header_exists, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::setup::test_app::{ACCOUNT, TestApp, form_params};

pub const UNREADABLE_TEXT: &str = "Sorry, I couldn't open what you sent. Could you describe it in words?";

/// A voice note as WhatsApp sends it.
pub const VOICE_NOTE: &[u8] = include_bytes!("../../../src/media/testdata/voice.ogg");

pub fn media_path(sid: &str) -> String {
    format!("/2010-04-01/Accounts/{ACCOUNT}/Messages/MM1/Media/{sid}")
}

/// A PDF of one page.
pub fn pdf(words: &str) -> Vec<u8> {
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
pub fn docx(words: &str) -> Vec<u8> {
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

/// A picture of one color, as a real file.
pub fn picture(format: ImageFormat, side: u32) -> Vec<u8> {
    let image = DynamicImage::ImageRgb8(RgbImage::from_pixel(side, side / 2, image::Rgb([200, 30, 40])));
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

pub fn decompression_bomb() -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image::GrayImage::new(7_000, 6_000).write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// Twilio redirects to where it stores the file.
pub async fn mount_media_file(test_app: &TestApp, storage: &MockServer, sid: &str, bytes: Vec<u8>) {
    let there = ResponseTemplate::new(307).insert_header("location", format!("{}/{sid}", storage.uri()));
    Mock::given(method("GET"))
        .and(path(media_path(sid)))
        .and(header_exists("authorization"))
        .respond_with(there)
        .mount(&test_app.twilio)
        .await;
    let file = ResponseTemplate::new(200).set_body_bytes(bytes);
    Mock::given(method("GET")).and(path(format!("/{sid}"))).respond_with(file).mount(storage).await;
}

pub async fn contact_attaches(test_app: &TestApp, from: &str, caption: &str, media_type: &str, sid: &str) {
    let mut message = test_app.message_params(from, caption);
    message.retain(|(name, _)| !["NumMedia", "MessageType"].contains(&name.as_str()));
    let url = format!("{}{}", test_app.twilio.uri(), media_path(sid));
    message.extend(form_params(&[("NumMedia", "1"), ("MediaContentType0", media_type), ("MediaUrl0", &url)]));
    assert_eq!(test_app.deliver_webhook(&message).await, 200);
}

/// Advances past the wait for an album, then past that of a second message for the first.
pub async fn drain_after_waits(test_app: &TestApp) {
    for seconds in [16, 4] {
        test_app.advance(seconds);
        test_app.drain().await;
    }
}

/// What the model was asked, call by call: the content of the last message by the contact.
pub async fn last_user_contents(test_app: &TestApp) -> Vec<Value> {
    let requests = test_app.model.received_requests().await.unwrap();
    let chats = requests.iter().filter(|request| request.url.path().ends_with("/chat/completions"));
    let bodies = chats.map(|request| serde_json::from_slice::<Value>(&request.body).unwrap());
    bodies.map(|body| body["messages"].as_array().unwrap().last().unwrap()["content"].clone()).collect()
}

pub fn count_images(content: &Value) -> usize {
    content.as_array().map_or(0, |parts| parts.iter().filter(|part| part["type"] == "image_url").count())
}

/// How many pictures the model was shown when it was last asked.
pub async fn images_in_last_prompt(test_app: &TestApp) -> usize {
    let requests = test_app.model.received_requests().await.unwrap();
    let body: Value = serde_json::from_slice(&requests.last().unwrap().body).unwrap();
    body["messages"].as_array().unwrap().iter().map(|message| count_images(&message["content"])).sum()
}
