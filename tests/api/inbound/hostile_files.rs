//! Files made to break their reader: each is reported as unreadable or read in part, and the next contact is answered.

use std::io::{Cursor, Write};

use lopdf::{Object, Stream, dictionary};
use wiremock::MockServer;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::setup::attachments::{
    UNREADABLE_TEXT, contact_attaches, drain_after_waits, last_user_contents, mount_media_file, one_page_pdf, pdf_bytes,
};
use crate::setup::test_app::{ANA, BEN, TestApp};

/// What the model is shown of that file; the test app goes on answering.
async fn prompt_text_for_file(media_type: &str, bomb: Vec<u8>) -> String {
    let (test_app, storage) = (TestApp::new().await, MockServer::start().await);
    assert!(bomb.len() < 16 << 20, "{}", bomb.len());
    mount_media_file(&test_app, &storage, "ME1", bomb).await;
    contact_attaches(&test_app, ANA, "see this", media_type, "ME1").await;
    drain_after_waits(&test_app).await;
    test_app.contact_writes(BEN, "and you?").await;
    drain_after_waits(&test_app).await;
    let asked = last_user_contents(&test_app).await;
    assert_eq!((asked.len(), &asked[1]), (2, &"and you?".into()));
    let text = asked[0].as_str().unwrap().to_owned();
    let sorry = text.contains("which cannot be read");
    let texts = test_app.sent_texts().await;
    assert_eq!(texts.len(), if sorry { 3 } else { 2 });
    assert_eq!(texts[0] == UNREADABLE_TEXT, sorry);
    text
}

const UNREADABLE: &str = "see this\n[document: application/pdf, which cannot be read]";

/// Thirty objects, all of them the same array of a million zeros, which a stream of four megabytes holds once.
#[tokio::test]
async fn a_pdf_whose_objects_share_one_huge_array_crashes_nothing() {
    let mut document = one_page_pdf("Rye bread 4.50");
    let index: String = (100..130).map(|number| format!("{number} 0 ")).collect();
    let content = format!("{index}[{}]", "0 ".repeat(1_000_000));
    let about = dictionary! { "Type" => "ObjSt_", "N" => 30, "First" => i64::try_from(index.len()).unwrap() };
    let mut stream = Stream::new(about, content.into_bytes());
    stream.compress().unwrap();
    document.add_object(stream);
    let mut bomb = pdf_bytes(&mut document);
    // The library skips entries of that name, and still reads them.
    let name = bomb.windows(6).position(|window| window == b"ObjSt_").unwrap();
    bomb[name + 5] = b'm';
    assert!(bomb.len() < 20_000, "{}", bomb.len());
    assert_eq!(prompt_text_for_file("application/pdf", bomb).await, UNREADABLE);
}

#[tokio::test]
async fn a_pdf_array_of_millions_crashes_nothing() {
    let mut document = one_page_pdf("Rye bread 4.50");
    document.add_object(vec![Object::Integer(0); 8_000_000]);
    assert_eq!(prompt_text_for_file("application/pdf", pdf_bytes(&mut document)).await, UNREADABLE);
}

/// Half a million cells, each with the same million lines.
#[tokio::test]
async fn a_spreadsheet_with_a_long_string_in_every_cell_crashes_nothing() {
    let strings = format!("<sst><si><t>{}</t></si></sst>", "\n".repeat(18 << 20));
    let sheet = format!("<worksheet><row>{}</row></worksheet>", "<c t=\"s\"><v>0</v></c>".repeat(600_000));
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in [
        ("xl/workbook.xml", "<workbook><sheet name=\" \" id=\"1\"/></workbook>"),
        ("xl/_rels/workbook.xml.rels", "<r><Relationship Id=\"1\" Target=\"sheet.xml\"/></r>"),
        ("xl/sharedStrings.xml", &strings),
        ("xl/sheet.xml", &sheet),
    ] {
        zip.start_file(name, SimpleFileOptions::default()).unwrap();
        zip.write_all(content.as_bytes()).unwrap();
    }
    let bomb = zip.finish().unwrap().into_inner();
    assert!(bomb.len() < 100_000, "{}", bomb.len());
    let media_type = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
    assert_eq!(
        prompt_text_for_file(media_type, bomb).await,
        format!("see this\n[document: {media_type}, which cannot be read]")
    );
}

#[tokio::test]
async fn a_contact_card_with_a_million_numbers_is_read_in_part() {
    let numbers: String = (0..1_300_000).map(|number| format!("TEL:{number}\n")).collect();
    let card = format!("BEGIN:VCARD\nFN:Ana\n{numbers}END:VCARD\n").into_bytes();
    let prompt = prompt_text_for_file("text/vcard", card).await;
    assert!(prompt.starts_with("see this\n[contact: Ana, 0, 1, ") && prompt.len() < 200, "{prompt}");
}
