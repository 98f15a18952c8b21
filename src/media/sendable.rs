//! Decides which files WhatsApp accepts from us.

use super::FileKind;
use super::file_kind::{contains_bytes, sniff};

/// Returns the media type with which WhatsApp accepts a file through Twilio, or `None` if it does not accept the file
/// (Twilio, "Guidance on WhatsApp media messages"). The content decides, because Twilio refuses a file whose type does
/// not match its content.
#[must_use]
pub fn sendable_media_type(bytes: &[u8]) -> Option<&'static str> {
    let kind = sniff(bytes);
    let taken = match kind {
        FileKind::Jpeg
        | FileKind::Png
        | FileKind::Docx
        | FileKind::Xlsx
        | FileKind::Pptx
        | FileKind::Mp3
        | FileKind::Aac
        | FileKind::Amr
        | FileKind::VCard => true,
        // The header must come first, although PDF readers also find it after other bytes.
        FileKind::Pdf => bytes.starts_with(b"%PDF-"),
        // Only Word files, which contain this stream name in UTF-16.
        FileKind::LegacyOffice => contains_bytes(bytes, b"W\0o\0r\0d\0D\0o\0c\0u\0m\0e\0n\0t\0"),
        // Only with Opus inside.
        FileKind::Ogg => contains_bytes(&bytes[..bytes.len().min(128)], b"OpusHead"),
        FileKind::Mp4 => is_mp4_video(bytes),
        _ => false,
    };
    taken.then(|| kind.media_type())
}

/// Returns whether a file is an MP4 video and not QuickTime, which uses the same container.
fn is_mp4_video(bytes: &[u8]) -> bool {
    let brands = [b"isom", b"iso2", b"iso4", b"iso5", b"iso6", b"mp41", b"mp42", b"avc1", b"MSNV", b"dash"];
    bytes.get(8..12).is_some_and(|brand| brands.iter().any(|known| known.as_slice() == brand))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn film(brand: &str, handler: &str) -> Vec<u8> {
        format!("\0\0\0\x18ftyp{brand}\0\0\0\0 \0\0\0\x21hdlr\0\0\0\0\0\0\0\0{handler}").into_bytes()
    }

    #[test]
    fn a_file_that_whatsapp_accepts_has_a_media_type() {
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
            (include_bytes!("testdata/voice.ogg"), "audio/ogg"),
            (b"#!AMR\n", "audio/amr"),
            (b"ID3\x04", "audio/mpeg"),
            (b"\xff\xfb\x90\x64", "audio/mpeg"),
            (b"\xff\xf1\x50\x80", "audio/aac"),
            (&film("mp42", "vide"), "video/mp4"),
            (b"BEGIN:VCARD\r\nVERSION:3.0", "text/vcard"),
        ] {
            assert_eq!(sendable_media_type(file), Some(media_type));
        }
    }

    #[test]
    fn a_file_that_whatsapp_refuses_has_no_media_type() {
        for file in [
            b"".as_slice(),
            b"Dear Ana",
            b"<html>",
            b"GIF89a",
            b"RIFF\0\0\0\0WEBPVP8 ",
            b"PK\x03\x04..anything.txt",
            b"\n%PDF-1.7\n",
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 W\0o\0r\0k\0b\0o\0o\0k\0",
            b"OggS\0\x02..\x01vorbis",
            &film("qt  ", "vide"),
            &film("mp42", "soun"),
            b"\0\0\0\x18ftyp",
            b"\x7fELF",
            b"\xff",
        ] {
            assert_eq!(sendable_media_type(file), None, "{file:?}");
        }
    }
}
