//! The text of a PDF, page by page.

use lopdf::{DecompressError, Document, Error, LoadOptions};

use super::gathered::Gathered;
use super::unreadable::Unreadable;

/// The most pages that are looked at.
const MOST_PAGES: usize = 100;

/// The most that one page unpacks to, in bytes. lopdf makes an object of each operator, so memory is some fifty times that;
/// a page full of letters has a twentieth of it.
const MOST_PAGE: usize = 4 << 20;

/// The most that all pages unpack to together, in bytes.
const MOST_PAGES_TOGETHER: usize = 32 << 20;

/// The most that one stream of objects unpacks to, in bytes, and all of them.
const MOST_OBJECTS: usize = 4 << 20;
const MOST_OBJECTS_TOGETHER: usize = 32 << 20;

const TOO_LARGE: Unreadable = Unreadable::TooLarge("it unpacks to more than is read");

/// Gathers its text, until there is enough or a limit is met.
pub(super) fn read(bytes: &[u8], gathered: &mut Gathered) -> Result<(), Unreadable> {
    let each = MOST_OBJECTS.min(MOST_OBJECTS_TOGETHER / containers(bytes).max(1));
    let options = LoadOptions { max_decompressed_size: Some(each), ..LoadOptions::default() };
    let document = Document::load_mem_with_options(bytes, options).map_err(unreadable)?;
    // One that opens without a password is not encrypted any more.
    if document.is_encrypted() && document.encryption_state.is_none() {
        return Err(Unreadable::Locked);
    }
    let pages = document.get_pages();
    let mut left = MOST_PAGES_TOGETHER;
    let mut too_large = false;
    for (number, id) in pages.iter().take(MOST_PAGES) {
        let most = left.min(MOST_PAGE);
        // A page that is a large drawing is passed over.
        let Ok(content) = document.get_page_content_with_limit(*id, most) else {
            too_large = true;
            continue;
        };
        left = left.saturating_sub(content.len());
        drop(content);
        match document.extract_text_with_limit(&[*number], most) {
            Ok(text) => gathered.push(&text),
            Err(Error::Decompress(DecompressError::MemoryLimitExceeded { .. })) => too_large = true,
            // A broken page is no reason not to read the others.
            Err(_) => {}
        }
        gathered.push("\n\n");
        if gathered.is_full() {
            return Ok(());
        }
    }
    if pages.len() > MOST_PAGES {
        gathered.fill();
    }
    if too_large && gathered.is_blank() { Err(TOO_LARGE) } else { Ok(()) }
}

fn unreadable(error: Error) -> Unreadable {
    match error {
        Error::Decryption(_) | Error::UnsupportedSecurityHandler(_) | Error::InvalidPassword => Unreadable::Locked,
        Error::Decompress(DecompressError::MemoryLimitExceeded { .. }) => TOO_LARGE,
        _ => Unreadable::Damaged("PDF"),
    }
}

/// How many streams are unpacked while the file is opened, as their type is written, be it disguised: `/Obj#53tm`.
fn containers(bytes: &[u8]) -> usize {
    let names = bytes.split(|byte| *byte == b'/').skip(1);
    names.filter(|rest| is_named(rest, b"ObjStm") || is_named(rest, b"XRef")).count()
}

fn is_named(mut rest: &[u8], name: &[u8]) -> bool {
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

    use super::super::document::{Text, text};
    use super::super::{Kind, sniff};
    use super::*;

    /// A PDF with these contents of pages.
    fn paged(contents: &[Vec<u8>]) -> Document {
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

    fn said(text: &str) -> Vec<u8> {
        let operations = vec![
            Operation::new("BT", vec![]),
            Operation::new("Tf", vec!["F1".into(), 12.into()]),
            Operation::new("Td", vec![50.into(), 700.into()]),
            Operation::new("Tj", vec![Object::string_literal(text)]),
            Operation::new("ET", vec![]),
        ];
        Content { operations }.encode().unwrap()
    }

    fn saved(mut document: Document) -> Vec<u8> {
        let mut bytes = Vec::new();
        document.save_to(&mut bytes).unwrap();
        assert_eq!(sniff(&bytes), Kind::Pdf);
        bytes
    }

    fn pdf(contents: &[Vec<u8>]) -> Vec<u8> {
        saved(paged(contents))
    }

    fn read(bytes: &[u8], most: usize) -> Result<Text, Unreadable> {
        text(Kind::Pdf, bytes, most)
    }

    #[test]
    fn the_pages_of_a_pdf_are_read_in_their_order_up_to_the_limit() {
        let bytes = pdf(&[said("Rye bread 4.20"), said("Spelt 5.10")]);
        let whole = read(&bytes, 1_000).unwrap();
        assert_eq!((whole.text.as_str(), whole.truncated), ("Rye bread 4.20\n\nSpelt 5.10", false));
        assert_eq!(read(&bytes, 9), Ok(Text { text: "Rye bread".into(), truncated: true }));
        let many: Vec<_> = (0..=MOST_PAGES).map(|page| said(&format!("page {page}"))).collect();
        let read = read(&pdf(&many), 10_000).unwrap();
        assert!(read.truncated && read.text.ends_with("page 99"), "{}", read.text);
    }

    #[test]
    fn a_pdf_of_pictures_is_told_so() {
        let scan = pdf(&[b"q 595 0 0 842 0 0 cm /Im1 Do Q".to_vec()]);
        assert_eq!(read(&scan, 100).unwrap_err().to_string(), "there is no text in it, only pictures perhaps");
    }

    fn locked(password: &str) -> Vec<u8> {
        let mut document = paged(&[said("Account 12345")]);
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
        saved(document)
    }

    #[test]
    fn a_locked_pdf_is_told_so_and_one_that_opens_without_a_password_is_read() {
        assert_eq!(read(&locked("secret"), 100).unwrap_err().to_string(), "it is locked with a password");
        assert_eq!(read(&locked(""), 100).unwrap().text, "Account 12345");
    }

    #[test]
    fn a_page_that_unpacks_without_end_is_passed_over() {
        let bomb = || b"q ".repeat(10 << 20);
        let bytes = pdf(&[bomb()]);
        assert!(bytes.len() < 100_000, "{}", bytes.len());
        assert_eq!(read(&bytes, 1_000).unwrap_err(), TOO_LARGE);
        assert_eq!(read(&pdf(&[bomb(), said("Second")]), 1_000).unwrap().text, "Second");
    }

    #[test]
    fn many_large_pages_are_stopped_together() {
        let large = [said("x"), b" ".repeat(3 << 20)].concat();
        let pages: Vec<_> = std::iter::repeat_n(large, 30).collect();
        let read = read(&pdf(&pages), 1_000).unwrap();
        assert_eq!(read.text.matches('x').count(), MOST_PAGES_TOGETHER / (3 << 20), "of 30");
    }

    #[test]
    fn streams_of_objects_share_a_limit_under_whatever_name() {
        assert_eq!(containers(b"<</Type/ObjStm>> <</Type /Obj#53tm>> <</Type/#58Ref/Prev 1>> /Objects /X"), 3);
        assert_eq!(containers(b"/"), 0);
    }

    #[test]
    fn what_is_no_pdf_is_told_so() {
        let whole = pdf(&[said("Hello")]);
        for broken in [&b"%PDF-1.7\n"[..], b"%PDF-1.4 and then nothing of it", &whole[..200]] {
            assert_eq!(read(broken, 100).unwrap_err().to_string(), "it is damaged, or no PDF at all");
        }
    }
}
