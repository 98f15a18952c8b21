//! Extracts the text of a PDF, page by page.

use lopdf::{DecompressError, Document, Error, LoadOptions};

use super::text_collector::TextCollector;
use super::unreadable::Unreadable;

/// The maximum number of pages to read.
const MAX_PAGES: usize = 100;

/// The maximum unpacked size of one page, in bytes. lopdf makes an object of each operator, so the memory is about
/// fifty times this size. A page full of text has about a twentieth of this size.
const MAX_PAGE_BYTES: usize = 4 << 20;

/// The maximum unpacked size of all pages together, in bytes.
const MAX_PAGES_BYTES: usize = 32 << 20;

/// The maximum unpacked size in bytes of one object stream, and of all object streams.
const MAX_OBJECT_STREAM_BYTES: usize = 4 << 20;
const MAX_OBJECT_STREAMS_BYTES: usize = 32 << 20;

const TOO_LARGE: Unreadable = Unreadable::TooLarge("it unpacks to more than the limit");

/// Collects the text of a PDF until the collector is full or a limit is reached.
pub(super) fn gather_text(bytes: &[u8], gathered: &mut TextCollector) -> Result<(), Unreadable> {
    let max_stream_bytes = MAX_OBJECT_STREAM_BYTES.min(MAX_OBJECT_STREAMS_BYTES / count_object_streams(bytes).max(1));
    let options = LoadOptions { max_decompressed_size: Some(max_stream_bytes), ..LoadOptions::default() };
    let document = Document::load_mem_with_options(bytes, options).map_err(to_unreadable)?;
    // A PDF that opens without a password is already decrypted.
    if document.is_encrypted() && document.encryption_state.is_none() {
        return Err(Unreadable::PasswordProtected);
    }
    let pages = document.get_pages();
    let mut bytes_left = MAX_PAGES_BYTES;
    let mut too_large = false;
    for (number, id) in pages.iter().take(MAX_PAGES) {
        let most = bytes_left.min(MAX_PAGE_BYTES);
        // Skip a page that is a large drawing.
        let Ok(content) = document.get_page_content_with_limit(*id, most) else {
            too_large = true;
            continue;
        };
        bytes_left = bytes_left.saturating_sub(content.len());
        drop(content);
        match document.extract_text_with_limit(&[*number], most) {
            Ok(text) => gathered.push(&text),
            Err(Error::Decompress(DecompressError::MemoryLimitExceeded { .. })) => too_large = true,
            // Skip a damaged page and read the others.
            Err(_) => {}
        }
        gathered.push("\n\n");
        if gathered.is_full() {
            return Ok(());
        }
    }
    if pages.len() > MAX_PAGES {
        gathered.mark_truncated();
    }
    if too_large && gathered.is_blank() { Err(TOO_LARGE) } else { Ok(()) }
}

fn to_unreadable(error: Error) -> Unreadable {
    match error {
        Error::Decryption(_) | Error::UnsupportedSecurityHandler(_) | Error::InvalidPassword => {
            Unreadable::PasswordProtected
        }
        Error::Decompress(DecompressError::MemoryLimitExceeded { .. }) => TOO_LARGE,
        _ => Unreadable::Damaged("PDF"),
    }
}

/// Counts the streams that are unpacked when the file is opened, by the names of their types. Also finds escaped names:
/// `/Obj#53tm`.
fn count_object_streams(bytes: &[u8]) -> usize {
    let names = bytes.split(|byte| *byte == b'/').skip(1);
    names.filter(|rest| name_is(rest, b"ObjStm") || name_is(rest, b"XRef")).count()
}

fn name_is(mut rest: &[u8], name: &[u8]) -> bool {
    name.iter().all(|letter| {
        let (read, tail) = match rest {
            [b'#', high, low, tail @ ..] => {
                let hex = str::from_utf8(&[*high, *low]).ok().and_then(|hex| u8::from_str_radix(hex, 16).ok());
                (hex.unwrap_or(b'#'), tail)
            }
            [first, tail @ ..] => (*first, tail),
            [] => return false,
        };
        rest = tail;
        read == *letter
    })
}

#[cfg(test)]
mod tests {
    use lopdf::content::{Content, Operation};
    use lopdf::{EncryptionState, EncryptionVersion, Object, Permissions, Stream, StringFormat, dictionary};

    use super::super::document::{DocumentText, extract_text};
    use super::super::{FileKind, sniff};
    use super::*;

    /// Creates a PDF whose pages have these contents.
    fn document_with_pages(contents: &[Vec<u8>]) -> Document {
        let mut document = Document::with_version("1.5");
        let pages = document.new_object_id();
        let font =
            document.add_object(dictionary! { "Type" => "Font", "Subtype" => "Type1", "BaseFont" => "Helvetica" });
        let resources = document.add_object(dictionary! { "Font" => dictionary! { "F1" => font } });
        let kids: Vec<Object> = contents
            .iter()
            .map(|content| {
                let content = document.add_object(Stream::new(dictionary! {}, content.clone()));
                document.add_object(dictionary! { "Type" => "Page", "Parent" => pages, "Contents" => content }).into()
            })
            .collect();
        let count = i64::try_from(kids.len()).unwrap();
        document.objects.insert(
            pages,
            dictionary! {
                "Type" => "Pages", "Kids" => kids, "Count" => count, "Resources" => resources,
                "MediaBox" => vec![0.into(), 0.into(), 595.into(), 842.into()],
            }
            .into(),
        );
        let catalog = document.add_object(dictionary! { "Type" => "Catalog", "Pages" => pages });
        document.trailer.set("Root", catalog);
        document.compress();
        document
    }

    fn page_saying(text: &str) -> Vec<u8> {
        let operations = vec![
            Operation::new("BT", vec![]),
            Operation::new("Tf", vec!["F1".into(), 12.into()]),
            Operation::new("Td", vec![50.into(), 700.into()]),
            Operation::new("Tj", vec![Object::string_literal(text)]),
            Operation::new("ET", vec![]),
        ];
        Content { operations }.encode().unwrap()
    }

    fn save(mut document: Document) -> Vec<u8> {
        let mut bytes = Vec::new();
        document.save_to(&mut bytes).unwrap();
        assert_eq!(sniff(&bytes), FileKind::Pdf);
        bytes
    }

    fn pdf_with_pages(contents: &[Vec<u8>]) -> Vec<u8> {
        save(document_with_pages(contents))
    }

    fn extract_pdf(bytes: &[u8], most: usize) -> Result<DocumentText, Unreadable> {
        extract_text(FileKind::Pdf, bytes, most)
    }

    #[test]
    fn the_pages_of_a_pdf_are_read_in_their_order_up_to_the_limit() {
        let bytes = pdf_with_pages(&[page_saying("Rye bread 4.20"), page_saying("Spelt 5.10")]);
        let whole = extract_pdf(&bytes, 1_000).unwrap();
        assert_eq!((whole.text.as_str(), whole.truncated), ("Rye bread 4.20\n\nSpelt 5.10", false));
        assert_eq!(extract_pdf(&bytes, 9), Ok(DocumentText { text: "Rye bread".into(), truncated: true }));
        let many: Vec<_> = (0..=MAX_PAGES).map(|page| page_saying(&format!("page {page}"))).collect();
        let read = extract_pdf(&pdf_with_pages(&many), 10_000).unwrap();
        assert!(read.truncated && read.text.ends_with("page 99"), "{}", read.text);
    }

    #[test]
    fn a_pdf_of_pictures_is_reported_so() {
        let scan = pdf_with_pages(&[b"q 595 0 0 842 0 0 cm /Im1 Do Q".to_vec()]);
        assert_eq!(extract_pdf(&scan, 100).unwrap_err().to_string(), "it contains no text, perhaps only images");
    }

    fn encrypted_pdf(password: &str) -> Vec<u8> {
        let mut document = document_with_pages(&[page_saying("Account 12345")]);
        let id = || Object::String(vec![7; 16], StringFormat::Hexadecimal);
        document.trailer.set("ID", vec![id(), id()]);
        let version = EncryptionVersion::V2 {
            document: &document,
            owner_password: "owner",
            user_password: password,
            key_length: 128,
            permissions: Permissions::all(),
        };
        let state = EncryptionState::try_from(version).unwrap();
        document.encrypt(&state).unwrap();
        save(document)
    }

    #[test]
    fn a_locked_pdf_is_reported_so_and_one_that_opens_without_a_password_is_read() {
        assert_eq!(extract_pdf(&encrypted_pdf("secret"), 100).unwrap_err().to_string(), "it is locked with a password");
        assert_eq!(extract_pdf(&encrypted_pdf(""), 100).unwrap().text, "Account 12345");
    }

    #[test]
    fn a_page_that_unpacks_without_end_is_passed_over() {
        let bomb = || b"q ".repeat(10 << 20);
        let bytes = pdf_with_pages(&[bomb()]);
        assert!(bytes.len() < 100_000, "{}", bytes.len());
        assert_eq!(extract_pdf(&bytes, 1_000).unwrap_err(), TOO_LARGE);
        assert_eq!(extract_pdf(&pdf_with_pages(&[bomb(), page_saying("Second")]), 1_000).unwrap().text, "Second");
    }

    #[test]
    fn many_large_pages_are_stopped_together() {
        let large = [page_saying("x"), b" ".repeat(3 << 20)].concat();
        let pages: Vec<_> = std::iter::repeat_n(large, 30).collect();
        let read = extract_pdf(&pdf_with_pages(&pages), 1_000).unwrap();
        assert_eq!(read.text.matches('x').count(), MAX_PAGES_BYTES / (3 << 20), "of 30");
    }

    #[test]
    fn streams_of_objects_share_a_limit_under_whatever_name() {
        assert_eq!(
            count_object_streams(b"<</Type/ObjStm>> <</Type /Obj#53tm>> <</Type/#58Ref/Prev 1>> /Objects /X"),
            3
        );
        assert_eq!(count_object_streams(b"/"), 0);
    }

    #[test]
    fn a_file_that_is_not_a_pdf_is_reported_so() {
        let whole = pdf_with_pages(&[page_saying("Hello")]);
        for broken in [&b"%PDF-1.7\n"[..], b"%PDF-1.4 and then nothing of it", &whole[..200]] {
            assert_eq!(extract_pdf(broken, 100).unwrap_err().to_string(), "it is damaged or not a valid PDF");
        }
    }
}
