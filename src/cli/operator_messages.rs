//! What an operator sends: text, a file or a template.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::channel::twilio::TEXT_LIMIT;
use crate::clock::Time;
use crate::config::{Config, is_local_address};
use crate::media::sendable_media_type;
use crate::model::{ContentSid, ConversationId, Media, Template, Variables};
use crate::store::{MAX_PARTS_PER_TEXT, OperatorMessageOutcome, Store};
use crate::{app, text};

/// The largest file and the largest picture that WhatsApp accepts through Twilio, in bytes. Source: Twilio, "Guidance
/// on WhatsApp media messages". It says 16 MB and 5 MB; these are the smallest values that can mean.
const MAX_FILE_BYTES: u64 = 16_000_000;
const MAX_PICTURE_BYTES: u64 = 5_000_000;

/// The longest file name, in characters.
const MAX_NAME_CHARS: usize = 120;

const ACCEPTED_TYPES: &str = "WhatsApp accepts JPEG and PNG pictures, PDF, Word (doc, docx), Excel (xlsx) and \
                              PowerPoint (pptx) files, MP4 videos, MP3, AAC, AMR and Ogg Opus sound, and vCards";

/// Checks that the text can be sent whole, together with `other_messages` further messages.
pub(super) fn check_sendable_text(text: &str, other_messages: usize) -> Result<()> {
    // In the form in which it is sent.
    let text = text::sanitize(text);
    if text.trim().is_empty() {
        bail!("there is nothing to send: the text is blank");
    }
    let max_messages = MAX_PARTS_PER_TEXT - other_messages;
    if text::split(&text, TEXT_LIMIT, max_messages + 1).len() > max_messages {
        bail!(
            "the text of {} characters is too long: mynah sends at most {max_messages} messages of {TEXT_LIMIT} \
             characters at once; send it in parts",
            text.chars().count()
        );
    }
    Ok(())
}

/// Queues a message with a file. The file is on the disk before the database refers to it.
pub(super) async fn queue_file(
    config: &Config,
    store: &Store,
    id: ConversationId,
    text: Option<String>,
    path: &Path,
    (until, now): (Option<Time>, Time),
) -> Result<OperatorMessageOutcome> {
    check_reachable_by_twilio(config)?;
    let (content, media_type) = read_sendable_file(path)?;
    if let Some(text) = &text {
        check_sendable_text(text, 1)?;
    }
    let files = app::media_files(config);
    let size = content.len() as u64;
    let hash = tokio::task::spawn_blocking(move || files.put(&content, now)).await??;
    let media = Media { hash, media_type: media_type.to_owned(), name: display_name(path), size };
    Ok(store.send_operator_file(id, text.unwrap_or_default(), media, until, now).await?)
}

/// Reads the file and recognizes its type. It is an error if WhatsApp does not accept the file.
fn read_sendable_file(path: &Path) -> Result<(Vec<u8>, &'static str)> {
    let shown = path.display();
    let file = File::open(path).with_context(|| format!("cannot read the file {shown}"))?;
    let known = file.metadata().with_context(|| format!("cannot read the file {shown}"))?;
    if !known.is_file() {
        bail!("{shown} is not a file");
    }
    let mut content = Vec::new();
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut content).with_context(|| format!("cannot read the file {shown}"))?;
    if content.is_empty() {
        bail!("the file {shown} is empty");
    }
    if content.len() as u64 > MAX_FILE_BYTES {
        bail!("the file {shown} is too large: it has {:.1} MB, and WhatsApp accepts 16 MB", megabytes(known.len()));
    }
    let Some(media_type) = sendable_media_type(&content) else {
        bail!(
            "the file {shown} is not of a type that WhatsApp accepts (judged by its content, not its name): \
             {ACCEPTED_TYPES}"
        );
    };
    if media_type.starts_with("image/") && content.len() as u64 > MAX_PICTURE_BYTES {
        bail!("the picture {shown} is too large: it has {:.1} MB, and WhatsApp accepts 5 MB", megabytes(known.len()));
    }
    Ok((content, media_type))
}

#[expect(clippy::cast_precision_loss, reason = "it is shown with one decimal")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// Returns the file's own name in a form that the contact may see.
fn display_name(path: &Path) -> String {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let name: String = text::sanitize(&name).chars().filter(|c| !c.is_control()).take(MAX_NAME_CHARS).collect();
    if name.trim().is_empty() { "file".into() } else { name }
}

/// Checks that Twilio can fetch a file from mynah.
fn check_reachable_by_twilio(config: &Config) -> Result<()> {
    let Some(url) = &config.server.public_url else {
        bail!(
            "Twilio fetches the file from mynah, but MYNAH_PUBLIC_URL is not set: set it to an https address that \
             Twilio can reach, such as https://bot.example.org"
        );
    };
    // A simulated Twilio on this machine can reach a local address.
    let is_simulated =
        config.twilio.as_ref().and_then(|twilio| twilio.api_base_url.as_ref()).is_some_and(is_local_address);
    if !is_simulated && (url.scheme() != "https" || is_local_address(url)) {
        bail!(
            "Twilio fetches the file from mynah, but cannot reach {url}: set MYNAH_PUBLIC_URL to an https address that \
             Twilio can reach"
        );
    }
    Ok(())
}

/// Parses a variable such as `1=Ana`.
pub(super) fn parse_variable(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE, such as 1=Ana")?;
    Ok((name.trim().to_owned(), value.to_owned()))
}

/// Parses a ContentSid (`HX…`).
pub(super) fn parse_content_sid(text: &str) -> Result<ContentSid, &'static str> {
    ContentSid::parse(text)
        .ok_or("expected a ContentSid: HX and 32 hexadecimal digits, as Twilio's Content Template Builder shows it")
}

/// Builds the template with the values of its variables.
pub(super) fn build_template(sid: ContentSid, variables: Vec<(String, String)>) -> Result<Template> {
    Ok(Template { sid, variables: Variables::new(variables)? })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::config::Sources;

    #[test]
    fn a_text_that_would_be_cut_is_refused_and_one_of_five_messages_is_not() {
        let five = format!("{}\n", "x".repeat(TEXT_LIMIT)).repeat(MAX_PARTS_PER_TEXT);
        assert!(
            check_sendable_text(&five, 0).is_ok() && check_sendable_text(&format!("{five}\u{202e}\u{200b}"), 0).is_ok()
        );
        let refused = check_sendable_text(&format!("{five}y"), 0).unwrap_err().to_string();
        assert!(refused.contains("at most 5 messages of 1500 characters"), "{refused}");
        assert!(check_sendable_text(&five, 1).unwrap_err().to_string().contains("at most 4 messages"));
        for blank in ["", " \n", "\u{202e}\u{200b}"] {
            assert!(check_sendable_text(blank, 0).unwrap_err().to_string().contains("blank"), "{blank:?}");
        }
    }

    #[test]
    fn a_file_that_whatsapp_does_not_take_is_refused_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let picture = |size: usize| [b"\xff\xd8\xff".as_slice(), &vec![0; size - 3]].concat();
        let document = |size: usize| [b"%PDF-".as_slice(), &vec![0; size - 5]].concat();
        for (name, content, why) in [
            ("empty.pdf", Vec::new(), "is empty"),
            (
                "notes.pdf",
                b"Dear Ana".to_vec(),
                "is not of a type that WhatsApp accepts (judged by its content, not its name): WhatsApp accepts JPEG",
            ),
            ("large.jpg", picture(5_000_001), "it has 5.0 MB, and WhatsApp accepts 5 MB"),
            ("large.pdf", document(16_000_001), "it has 16.0 MB, and WhatsApp accepts 16 MB"),
        ] {
            let path = folder.path().join(name);
            fs::write(&path, content).unwrap();
            let refused = read_sendable_file(&path).unwrap_err().to_string();
            assert!(refused.contains(why) && refused.contains(name), "{refused}");
        }
        let path = folder.path().join("fits");
        fs::write(&path, document(16_000_000)).unwrap();
        assert_eq!(read_sendable_file(&path).unwrap().1, "application/pdf");
        fs::write(&path, picture(5_000_000)).unwrap();
        assert_eq!(read_sendable_file(&path).unwrap().1, "image/jpeg");
        let missing = folder.path().join("none.pdf");
        assert_eq!(
            read_sendable_file(&missing).unwrap_err().to_string(),
            format!("cannot read the file {}", missing.display())
        );
        assert!(read_sendable_file(folder.path()).unwrap_err().to_string().contains("is not a file"));
    }

    #[test]
    fn a_file_is_called_by_its_own_name_without_what_hides_in_it() {
        assert_eq!(display_name(Path::new("/tmp/a folder/menu.pdf")), "menu.pdf");
        assert_eq!(display_name(Path::new("a\u{202e}\nb.pdf")), "ab.pdf");
        assert_eq!(display_name(Path::new(&"x".repeat(300))).len(), MAX_NAME_CHARS);
        assert_eq!(display_name(Path::new("/")), "file");
    }

    fn config(settings: &[(&str, &str)]) -> Config {
        let account = [
            ("TWILIO_ACCOUNT_SID", "AC00000000000000000000000000000001"),
            ("TWILIO_AUTH_TOKEN", "0123456789abcdef0123456789abcdef"),
            ("TWILIO_WHATSAPP_FROM", "+14155238886"),
        ];
        let all = account.iter().chain(settings);
        let env = all.map(|(key, value)| ((*key).to_owned(), (*value).into())).collect();
        Config::load(Sources { env, ..Sources::default() }).unwrap()
    }

    #[test]
    fn a_file_wants_an_address_that_twilio_can_reach() {
        let refused = |settings: &[_]| check_reachable_by_twilio(&config(settings)).unwrap_err().to_string();
        assert!(refused(&[]).contains("MYNAH_PUBLIC_URL is not set"));
        for url in ["http://bot.example.org", "https://localhost:8443", "https://192.168.1.4", "http://127.0.0.1:8080"]
        {
            let why = refused(&[("MYNAH_PUBLIC_URL", url)]);
            assert!(why.contains("cannot reach") && why.contains("MYNAH_PUBLIC_URL"), "{why}");
        }
        assert!(check_reachable_by_twilio(&config(&[("MYNAH_PUBLIC_URL", "https://bot.example.org")])).is_ok());
        let home = ("MYNAH_PUBLIC_URL", "http://127.0.0.1:8080");
        assert!(check_reachable_by_twilio(&config(&[home, ("TWILIO_API_BASE_URL", "http://127.0.0.1:4010")])).is_ok());
        assert!(
            check_reachable_by_twilio(&config(&[home, ("TWILIO_API_BASE_URL", "https://api.dublin.ie1.twilio.com")]))
                .is_err()
        );
    }

    #[test]
    fn a_template_and_its_variables_are_read_from_the_command_line() {
        assert_eq!(parse_variable("1=a=b"), Ok(("1".into(), "a=b".into())));
        assert!(parse_variable("Ana").is_err() && parse_content_sid("HX12").is_err());
        let sid = parse_content_sid("HX00000000000000000000000000000001").unwrap();
        let template = build_template(sid, vec![("1".into(), "Ana".into())]).unwrap();
        assert_eq!(template.variables.json().as_deref(), Some(r#"{"1":"Ana"}"#));
        assert!(build_template(sid, vec![("1".into(), String::new())]).is_err());
    }
}
