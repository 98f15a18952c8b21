//! Extracts the text of documents, up to a limit.

use super::charset::decode_text;
use super::file_kind::FileKind;
use super::text_collector::TextCollector;
use super::unreadable::{Unreadable, catch_panic};
use super::{office, pdf, vcard};

/// The size of the largest file that is opened, in bytes: Twilio's limit for WhatsApp (Twilio, "Accepted content types
/// for media").
pub const MAX_FILE_BYTES: usize = 16 << 20;

/// The text of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentText {
    /// The text in the order of the document, without formatting: a line for each paragraph or row, a tab between
    /// cells.
    pub text: String,
    /// Whether the document has more text.
    pub truncated: bool,
}

/// Extracts at most `max_chars` characters of text from a document of that kind. Contacts (vCard) are described in
/// words. Stops if a document would unpack to more than [`office`] and [`pdf`] allow. This takes up to a few seconds.
/// Call it where blocking is allowed.
pub fn extract_text(kind: FileKind, bytes: &[u8], max_chars: usize) -> Result<DocumentText, Unreadable> {
    if bytes.is_empty() {
        return Err(Unreadable::Empty);
    }
    if bytes.len() > MAX_FILE_BYTES {
        return Err(Unreadable::TooLarge("the file has more than 16 MB"));
    }
    let name = kind.plain_name();
    let gathered = catch_panic(name, || {
        let mut gathered = TextCollector::new(max_chars);
        match kind {
            FileKind::Pdf => pdf::gather_text(bytes, &mut gathered)?,
            FileKind::Docx | FileKind::Xlsx | FileKind::Pptx | FileKind::OpenDocument => {
                office::gather_text(kind, bytes, &mut gathered)?;
            }
            FileKind::VCard => {
                let words = decode_text(bytes)
                    .and_then(|text| vcard::describe_contacts(&text))
                    .ok_or(Unreadable::Damaged(name))?;
                gathered.push(&words);
            }
            FileKind::Text => gathered.push(&decode_text(bytes).ok_or(Unreadable::Unsupported(name))?),
            _ => return Err(Unreadable::Unsupported(name)),
        }
        Ok(gathered)
    })?;
    if gathered.is_blank() {
        return Err(Unreadable::NoText);
    }
    Ok(DocumentText { text: gathered.text.trim().to_owned(), truncated: gathered.full })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extract_sniffed(bytes: &[u8], most: usize) -> Result<DocumentText, Unreadable> {
        extract_text(super::super::sniff(bytes), bytes, most)
    }

    fn complete_text(text: &str) -> Result<DocumentText, Unreadable> {
        Ok(DocumentText { text: text.into(), truncated: false })
    }

    #[test]
    fn text_is_read_in_the_encodings_that_people_send() {
        assert_eq!(extract_sniffed("\u{feff}Käse;4,20 €\r\n".as_bytes(), 100), complete_text("Käse;4,20 €"));
        assert_eq!(extract_sniffed(b"K\xe4se;4,20 \x80", 100), complete_text("Käse;4,20 €"));
        let wide: Vec<u8> = "\u{feff}Käse\n日本".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(extract_sniffed(&wide, 100), complete_text("Käse\n日本"));
        let wide: Vec<u8> = "\u{feff}Käse".encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!(extract_sniffed(&wide, 100), complete_text("Käse"));
    }

    #[test]
    fn text_is_read_up_to_a_limit_and_says_where_it_is_cut() {
        assert_eq!(extract_sniffed("äöü".as_bytes(), 3), complete_text("äöü"));
        assert_eq!(extract_sniffed("äöüß".as_bytes(), 3), Ok(DocumentText { text: "äöü".into(), truncated: true }));
        assert_eq!(extract_sniffed(b"a  \n\n\n\n\nb\t\n\n", 100), complete_text("a\n\nb"));
        let large = vec![b'a'; MAX_FILE_BYTES + 1];
        assert_eq!(
            extract_sniffed(&large, 9).unwrap_err().to_string(),
            "it is too large: the file has more than 16 MB"
        );
    }

    #[test]
    fn characters_that_are_read_and_dropped_count_too() {
        let mut gathered = TextCollector::new(100);
        let lines = "\n".repeat(super::super::text_collector::MAX_CHARS_SEEN / 4);
        for _ in 0..4 {
            gathered.push(&lines);
            assert!(!gathered.is_full());
        }
        gathered.push("\n");
        assert!(gathered.is_full() && gathered.is_blank());
    }

    #[test]
    fn a_contact_is_read_in_words() {
        let card = b"BEGIN:VCARD\nFN:Ana Lopez\nTEL:+1 555\nEND:VCARD\n";
        assert_eq!(extract_sniffed(card, 100), complete_text("[contact: Ana Lopez, +1 555]"));
        assert_eq!(
            extract_sniffed(b"BEGIN:VCARD\nEND:VCARD", 9).unwrap_err().to_string(),
            "it is damaged or not a valid contact card"
        );
    }

    #[test]
    fn a_file_that_is_not_a_document_is_reported_so() {
        assert_eq!(extract_sniffed(b"", 9).unwrap_err().to_string(), "it is empty");
        assert_eq!(
            extract_sniffed(b"MZ\x90\0\x03", 9).unwrap_err().to_string(),
            "files of this kind are not supported"
        );
        assert_eq!(
            extract_text(FileKind::Text, b"MZ\x90\0", 9).unwrap_err(),
            Unreadable::Unsupported("files of this kind")
        );
        let old = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0";
        assert_eq!(
            extract_sniffed(old, 9).unwrap_err().to_string(),
            "Office files from before 2007 (.doc, .xls, .ppt) are not supported"
        );
        assert_eq!(extract_text(FileKind::Text, b" \n\n", 9).unwrap_err(), Unreadable::NoText);
    }
}
