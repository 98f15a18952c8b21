//! A file that goes out with a message.

use super::FileHash;

/// The longest text that WhatsApp shows below a picture or a film, in UTF-16 units (Meta, "Image messages").
const CAPTION: usize = 1024;

/// A file that is kept, with what is to be known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    /// Where it is.
    pub hash: FileHash,
    /// Its type by its content, such as `image/jpeg`.
    pub media_type: String,
    /// Its name, which the contact may see.
    pub name: String,
    /// In bytes.
    pub size: u64,
}

impl Media {
    /// Whether that text is shown with the file: below a picture or a film. With a document or a sound Twilio drops it
    /// (Twilio, "Guidance on WhatsApp media messages").
    pub fn shows(&self, text: &str) -> bool {
        let seen = self.media_type.starts_with("image/") || self.media_type.starts_with("video/");
        seen && text.encode_utf16().count() <= CAPTION
    }

    /// As the history tells it.
    pub fn told(&self) -> String {
        let what = match self.media_type.split('/').next() {
            Some("image") => "an image",
            Some("video") => "a video",
            Some("audio") => "a sound",
            _ if self.media_type == "text/vcard" => "a contact card",
            _ => "a document",
        };
        format!("[sent {what}: {}]", self.name)
    }
}

/// Whether a file is of a kind.
type Is = fn(&[u8]) -> bool;

/// Kinds of files that WhatsApp takes through Twilio (Twilio, "Guidance on WhatsApp media messages"): by the content, since
/// Twilio refuses a file whose type does not fit it.
const KINDS: &[(Is, &str)] = &[
    (|file| file.starts_with(b"\xff\xd8\xff"), "image/jpeg"),
    (|file| file.starts_with(b"\x89PNG\r\n\x1a\n"), "image/png"),
    (|file| file.starts_with(b"%PDF-"), "application/pdf"),
    (
        |file| zipped(file, b"word/document.xml"),
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ),
    (|file| zipped(file, b"xl/workbook.xml"), "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    (
        |file| zipped(file, b"ppt/presentation.xml"),
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ),
    // The name of its stream in UTF-16.
    (
        |file| {
            file.starts_with(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
                && holds(file, b"W\0o\0r\0d\0D\0o\0c\0u\0m\0e\0n\0t\0")
        },
        "application/msword",
    ),
    // Only with Opus inside.
    (|file| file.starts_with(b"OggS") && holds(&file[..file.len().min(128)], b"OpusHead"), "audio/ogg"),
    (|file| file.starts_with(b"#!AMR"), "audio/amr"),
    (|file| file.starts_with(b"ID3") || frame(file, 0x02), "audio/mpeg"),
    (|file| frame(file, 0x00), "audio/aac"),
    (|file| film(file), "video/mp4"),
    (|file| file.starts_with(b"BEGIN:VCARD"), "text/vcard"),
];

/// The type of a file that WhatsApp takes, by its content; `None` is any other.
pub fn sendable(file: &[u8]) -> Option<&'static str> {
    KINDS.iter().find(|(is, _)| is(file)).map(|(_, media_type)| *media_type)
}

fn holds(file: &[u8], what: &[u8]) -> bool {
    file.windows(what.len()).any(|window| window == what)
}

/// A zip archive with a file of that name: names stand in it as they are.
fn zipped(file: &[u8], name: &[u8]) -> bool {
    file.starts_with(b"PK\x03\x04") && holds(file, name)
}

/// A frame of MPEG sound: eleven bits set, then the version, and the layer (III in MP3, 0 in AAC).
fn frame(file: &[u8], layer: u8) -> bool {
    matches!(file, [0xff, second, ..] if second & 0xe0 == 0xe0 && second & 0x06 == layer)
}

fn film(file: &[u8]) -> bool {
    let brand = file.get(4..8).filter(|kind| *kind == b"ftyp").and_then(|_| file.get(8..12));
    brand.is_some_and(|brand| {
        [b"isom", b"iso2", b"iso4", b"iso5", b"iso6", b"mp41", b"mp42", b"avc1", b"MSNV", b"dash"]
            .iter()
            .any(|known| known.as_slice() == brand)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_its_content() {
        let word = [b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1..".as_slice(), b"W\0o\0r\0d\0D\0o\0c\0u\0m\0e\0n\0t\0"].concat();
        for (file, media_type) in [
            (b"\xff\xd8\xff\xe0\0\x10JFIF".as_slice(), "image/jpeg"),
            (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "image/png"),
            (b"%PDF-1.7\n", "application/pdf"),
            (
                b"PK\x03\x04..[Content_Types].xml..word/document.xml",
                "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            ),
            (b"PK\x03\x04..xl/workbook.xml", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
            (
                b"PK\x03\x04..ppt/presentation.xml",
                "application/vnd.openxmlformats-officedocument.presentationml.presentation",
            ),
            (&word, "application/msword"),
            (b"OggS\0\x02..OpusHead\x01", "audio/ogg"),
            (b"#!AMR\n", "audio/amr"),
            (b"ID3\x04", "audio/mpeg"),
            (b"\xff\xfb\x90\x64", "audio/mpeg"),
            (b"\xff\xf1\x50\x80", "audio/aac"),
            (b"\0\0\0\x18ftypmp42", "video/mp4"),
            (b"BEGIN:VCARD\r\nVERSION:3.0", "text/vcard"),
        ] {
            assert_eq!(sendable(file), Some(media_type));
        }
    }

    #[test]
    fn what_whatsapp_does_not_take_is_none_of_them() {
        for file in [
            b"".as_slice(),
            b"Dear Ana",
            b"<html>",
            b"GIF89a",
            b"RIFF\0\0\0\0WEBPVP8 ",
            b"PK\x03\x04..anything.txt",
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 W\0o\0r\0k\0b\0o\0o\0k\0",
            b"OggS\0\x02..\x01vorbis",
            b"\0\0\0\x18ftypqt  ",
            b"\0\0\0\x18ftyp",
            b"\x7fELF",
            b"\xff",
        ] {
            assert_eq!(sendable(file), None, "{file:?}");
        }
    }

    #[test]
    fn a_caption_is_shown_below_what_is_seen() {
        let media = |media_type: &str| Media {
            hash: FileHash::new([0; 32]),
            media_type: media_type.into(),
            name: "a.b".into(),
            size: 1,
        };
        for (media_type, shows, told) in [
            ("image/png", true, "[sent an image: a.b]"),
            ("video/mp4", true, "[sent a video: a.b]"),
            ("audio/ogg", false, "[sent a sound: a.b]"),
            ("application/pdf", false, "[sent a document: a.b]"),
            ("text/vcard", false, "[sent a contact card: a.b]"),
        ] {
            let media = media(media_type);
            assert_eq!((media.shows("Hello"), media.told().as_str()), (shows, told));
            assert_eq!((media.shows(&"x".repeat(1024)), media.shows(&"x".repeat(1025))), (shows, false));
        }
    }
}
