//! The text of documents, up to a limit.

use super::card;
use super::charset::plain;
use super::gathered::Gathered;
use super::kind::Kind;
use super::office;
use super::pdf;
use super::unreadable::{Unreadable, guarded};

/// The largest file that is opened, in bytes: what Twilio takes for WhatsApp (Twilio, "Accepted content types for media").
pub const MOST_BYTES: usize = 16 << 20;

/// What was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// In the order of the document, without its form: a line for each paragraph or row, a tab between cells.
    pub text: String,
    /// Whether there is more in the document.
    pub truncated: bool,
}

/// The text of a document of that kind, at most `most_chars` characters of it. Contacts (vCard) come in words. Stops where a
/// document would unpack to more than [`office`] and [`pdf`] allow. Takes up to seconds: to be called where blocking is
/// allowed.
pub fn text(kind: Kind, bytes: &[u8], most_chars: usize) -> Result<Text, Unreadable> {
    if bytes.is_empty() {
        return Err(Unreadable::Empty);
    }
    if bytes.len() > MOST_BYTES {
        return Err(Unreadable::TooLarge("the file has more than 16 MB"));
    }
    let name = kind.name();
    let gathered = guarded(name, || {
        let mut gathered = Gathered::new(most_chars);
        match kind {
            Kind::Pdf => pdf::read(bytes, &mut gathered)?,
            Kind::Docx | Kind::Xlsx | Kind::Pptx | Kind::OpenDocument => office::read(kind, bytes, &mut gathered)?,
            Kind::Card => {
                let words = plain(bytes).and_then(|text| card::words(&text)).ok_or(Unreadable::Damaged(name))?;
                gathered.push(&words);
            }
            Kind::Text => gathered.push(&plain(bytes).ok_or(Unreadable::Unknown(name))?),
            _ => return Err(Unreadable::Unknown(name)),
        }
        Ok(gathered)
    })?;
    if gathered.is_blank() {
        return Err(Unreadable::NoText);
    }
    Ok(Text { text: gathered.text.trim().to_owned(), truncated: gathered.full })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], most: usize) -> Result<Text, Unreadable> {
        text(super::super::sniff(bytes), bytes, most)
    }

    fn whole(text: &str) -> Result<Text, Unreadable> {
        Ok(Text { text: text.into(), truncated: false })
    }

    #[test]
    fn text_is_read_in_the_encodings_that_people_send() {
        assert_eq!(read("\u{feff}Käse;4,20 €\r\n".as_bytes(), 100), whole("Käse;4,20 €"));
        assert_eq!(read(b"K\xe4se;4,20 \x80", 100), whole("Käse;4,20 €"));
        let wide: Vec<u8> = "\u{feff}Käse\n日本".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(read(&wide, 100), whole("Käse\n日本"));
        let wide: Vec<u8> = "\u{feff}Käse".encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!(read(&wide, 100), whole("Käse"));
    }

    #[test]
    fn text_is_read_up_to_a_limit_and_says_where_it_is_cut() {
        assert_eq!(read("äöü".as_bytes(), 3), whole("äöü"));
        assert_eq!(read("äöüß".as_bytes(), 3), Ok(Text { text: "äöü".into(), truncated: true }));
        assert_eq!(read(b"a  \n\n\n\n\nb\t\n\n", 100), whole("a\n\nb"));
        let large = vec![b'a'; MOST_BYTES + 1];
        assert_eq!(read(&large, 9).unwrap_err().to_string(), "it is too large: the file has more than 16 MB");
    }

    #[test]
    fn what_is_looked_at_in_vain_is_counted_too() {
        let mut gathered = Gathered::new(100);
        let lines = "\n".repeat(super::super::gathered::MOST_LOOKED / 4);
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
        assert_eq!(read(card, 100), whole("[contact: Ana Lopez, +1 555]"));
        assert_eq!(
            read(b"BEGIN:VCARD\nEND:VCARD", 9).unwrap_err().to_string(),
            "it is damaged, or no contact card at all"
        );
    }

    #[test]
    fn what_is_no_document_is_told_so() {
        assert_eq!(read(b"", 9).unwrap_err().to_string(), "it is empty");
        assert_eq!(read(b"MZ\x90\0\x03", 9).unwrap_err().to_string(), "files of this kind cannot be read here");
        assert_eq!(text(Kind::Text, b"MZ\x90\0", 9).unwrap_err(), Unreadable::Unknown("files of this kind"));
        let old = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0";
        assert_eq!(
            read(old, 9).unwrap_err().to_string(),
            "Office files from before 2007 (.doc, .xls, .ppt) cannot be read here"
        );
        assert_eq!(text(Kind::Text, b" \n\n", 9).unwrap_err(), Unreadable::NoText);
    }
}
