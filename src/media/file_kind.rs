//! Detects the kind of a file from its content.

use serde::{Deserialize, Serialize};

use super::charset;

/// The kind of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileKind {
    /// A photo.
    Jpeg,
    /// A screenshot or a drawing.
    Png,
    /// A photo or a sticker.
    Webp,
    /// A drawing, perhaps animated.
    Gif,
    /// A photo in the format of Apple's phones (HEIC, AVIF).
    Heic,
    /// Ogg: Opus in WhatsApp's voice notes, Vorbis elsewhere.
    Ogg,
    /// MPEG layer 3.
    Mp3,
    /// MPEG-4 with sound only.
    M4a,
    /// AAC without a container.
    Aac,
    /// Adaptive Multi-Rate, from old phones.
    Amr,
    /// Wave.
    Wav,
    /// FLAC.
    Flac,
    /// MPEG-4 with pictures, 3GPP, QuickTime.
    Mp4,
    /// WebM or Matroska.
    Webm,
    /// PDF.
    Pdf,
    /// Word since 2007.
    Docx,
    /// Excel since 2007.
    Xlsx,
    /// PowerPoint since 2007.
    Pptx,
    /// OpenDocument: text, spreadsheet or presentation.
    OpenDocument,
    /// Word, Excel or PowerPoint before 2007.
    #[serde(rename = "old_office")]
    LegacyOffice,
    /// Any other archive.
    Zip,
    /// One contact or several (vCard).
    #[serde(rename = "card")]
    VCard,
    /// Plain text: notes, CSV, Markdown, calendars.
    Text,
    /// An unknown kind, or no bytes.
    Unknown,
}

impl FileKind {
    /// Returns whether the file is an image. [`super::Image::for_model`] reads all of these except HEIC.
    #[must_use]
    pub fn is_image(self) -> bool {
        matches!(self, FileKind::Jpeg | FileKind::Png | FileKind::Webp | FileKind::Gif | FileKind::Heic)
    }

    /// Returns whether the file is sound without video.
    #[must_use]
    pub fn is_audio(self) -> bool {
        matches!(
            self,
            FileKind::Ogg
                | FileKind::Mp3
                | FileKind::M4a
                | FileKind::Aac
                | FileKind::Amr
                | FileKind::Wav
                | FileKind::Flac
        )
    }

    /// Returns whether the file is a video.
    #[must_use]
    pub fn is_video(self) -> bool {
        matches!(self, FileKind::Mp4 | FileKind::Webm)
    }

    /// Returns whether [`document::extract_text`](super::document::extract_text) reads the file.
    #[must_use]
    pub fn is_document(self) -> bool {
        use FileKind::{Docx, OpenDocument, Pdf, Pptx, Text, VCard, Xlsx};
        matches!(self, Pdf | Docx | Xlsx | Pptx | OpenDocument | VCard | Text)
    }

    /// Returns the media type to store and serve the file with.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            FileKind::Jpeg => "image/jpeg",
            FileKind::Png => "image/png",
            FileKind::Webp => "image/webp",
            FileKind::Gif => "image/gif",
            FileKind::Heic => "image/heic",
            FileKind::Ogg => "audio/ogg",
            FileKind::Mp3 => "audio/mpeg",
            FileKind::M4a => "audio/mp4",
            FileKind::Aac => "audio/aac",
            FileKind::Amr => "audio/amr",
            FileKind::Wav => "audio/wav",
            FileKind::Flac => "audio/flac",
            FileKind::Mp4 => "video/mp4",
            FileKind::Webm => "video/webm",
            FileKind::Pdf => "application/pdf",
            FileKind::Docx => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            FileKind::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            FileKind::Pptx => "application/vnd.openxmlformats-officedocument.presentationml.presentation",
            FileKind::OpenDocument => "application/vnd.oasis.opendocument.text",
            FileKind::LegacyOffice => "application/msword",
            FileKind::Zip => "application/zip",
            FileKind::VCard => "text/vcard",
            FileKind::Text => "text/plain",
            FileKind::Unknown => "application/octet-stream",
        }
    }

    /// Returns the file name extension without the dot.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            FileKind::Jpeg => "jpg",
            FileKind::Png => "png",
            FileKind::Webp => "webp",
            FileKind::Gif => "gif",
            FileKind::Heic => "heic",
            FileKind::Ogg => "ogg",
            FileKind::Mp3 => "mp3",
            FileKind::M4a => "m4a",
            FileKind::Aac => "aac",
            FileKind::Amr => "amr",
            FileKind::Wav => "wav",
            FileKind::Flac => "flac",
            FileKind::Mp4 => "mp4",
            FileKind::Webm => "webm",
            FileKind::Pdf => "pdf",
            FileKind::Docx => "docx",
            FileKind::Xlsx => "xlsx",
            FileKind::Pptx => "pptx",
            FileKind::OpenDocument => "odt",
            FileKind::LegacyOffice => "doc",
            FileKind::Zip => "zip",
            FileKind::VCard => "vcf",
            FileKind::Text => "txt",
            FileKind::Unknown => "bin",
        }
    }

    /// Returns the usual name of the kind. Names of kinds that can be damaged are singular, for "not a valid …". The
    /// other names are plural, for "… are not supported".
    pub(super) fn plain_name(self) -> &'static str {
        match self {
            FileKind::Pdf => "PDF",
            FileKind::Docx | FileKind::Xlsx | FileKind::Pptx => "Office document",
            FileKind::OpenDocument => "OpenDocument file",
            FileKind::VCard => "contact card",
            FileKind::Heic => "photos in Apple's format (HEIC)",
            FileKind::LegacyOffice => "Office files from before 2007 (.doc, .xls, .ppt)",
            FileKind::Zip => "archives",
            kind if kind.is_image() => "images",
            kind if kind.is_audio() => "audio files",
            kind if kind.is_video() => "videos",
            _ => "files of this kind",
        }
    }
}

/// Detects the kind of a file from its bytes.
#[must_use]
pub fn sniff(bytes: &[u8]) -> FileKind {
    let at = |place: usize, magic: &[u8]| bytes.get(place..).is_some_and(|rest| rest.starts_with(magic));
    match bytes {
        [0xff, 0xd8, 0xff, ..] => FileKind::Jpeg,
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => FileKind::Png,
        [b'R', b'I', b'F', b'F', ..] if at(8, b"WEBP") => FileKind::Webp,
        [b'R', b'I', b'F', b'F', ..] if at(8, b"WAVE") => FileKind::Wav,
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => FileKind::Gif,
        [b'O', b'g', b'g', b'S', ..] => FileKind::Ogg,
        [b'I', b'D', b'3', ..] => FileKind::Mp3,
        // Eleven bits of synchronization, then version and layer: layer 0 is AAC's ADTS (ISO 13818-7).
        [0xff, second, ..] if second & 0xf6 == 0xf0 => FileKind::Aac,
        [0xff, second, ..] if second & 0xe6 == 0xe2 => FileKind::Mp3,
        [b'#', b'!', b'A', b'M', b'R', ..] => FileKind::Amr,
        [b'f', b'L', b'a', b'C', ..] => FileKind::Flac,
        [0x1a, 0x45, 0xdf, 0xa3, ..] => FileKind::Webm,
        [0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1, ..] => FileKind::LegacyOffice,
        [b'P', b'K', 3, 4, ..] => sniff_zip(bytes),
        _ if at(4, b"ftyp") => sniff_iso_media(bytes),
        // PDF readers look for this header in the first kilobyte (Adobe, "PDF Reference" 1.7, implementation note 13).
        _ if contains_bytes(&bytes[..bytes.len().min(1_024)], b"%PDF-") => FileKind::Pdf,
        _ => sniff_text(bytes),
    }
}

/// Detects the kind of an archive from its entries' names, which are not compressed.
fn sniff_zip(bytes: &[u8]) -> FileKind {
    let parts = [
        (&b"word/document.xml"[..], FileKind::Docx),
        (b"xl/workbook.xml", FileKind::Xlsx),
        (b"ppt/presentation.xml", FileKind::Pptx),
        (b"application/vnd.oasis.opendocument.", FileKind::OpenDocument),
    ];
    parts.into_iter().find(|(part, _)| contains_bytes(bytes, part)).map_or(FileKind::Zip, |(_, kind)| kind)
}

/// Detects the kind of a file in the ISO container: a photo, sound, or a video, which has a video handler (ISO
/// 14496-12, `hdlr`).
fn sniff_iso_media(bytes: &[u8]) -> FileKind {
    let brand = bytes.get(8..12).unwrap_or_default();
    if [&b"heic"[..], b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1", b"avif", b"avis"].contains(&brand) {
        return FileKind::Heic;
    }
    let mut handlers = bytes.windows(16).filter(|window| window.starts_with(b"hdlr"));
    if handlers.any(|window| window.ends_with(b"vide")) { FileKind::Mp4 } else { FileKind::M4a }
}

fn sniff_text(bytes: &[u8]) -> FileKind {
    match charset::decode_text(bytes) {
        None => FileKind::Unknown,
        Some(text) if text.trim().is_empty() => FileKind::Unknown,
        Some(text) => {
            let begin = text.trim_start().get(..11).unwrap_or_default();
            if begin.eq_ignore_ascii_case("BEGIN:VCARD") { FileKind::VCard } else { FileKind::Text }
        }
    }
}

pub(super) fn contains_bytes(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_what_its_content_says() {
        let mp4 = |brand: &str, handler: &str| {
            format!("\0\0\0\x18ftyp{brand}\0\0\0\0 \0\0\0\x21hdlr\0\0\0\0\0\0\0\0{handler}").into_bytes()
        };
        for (bytes, kind) in [
            (&b"\xff\xd8\xff\xe0\0\x10JFIF"[..], FileKind::Jpeg),
            (b"\x89PNG\r\n\x1a\n\0", FileKind::Png),
            (b"RIFF\0\0\0\0WEBPVP8 ", FileKind::Webp),
            (b"RIFF\0\0\0\0WAVEfmt ", FileKind::Wav),
            (b"GIF89a", FileKind::Gif),
            (include_bytes!("testdata/voice.ogg"), FileKind::Ogg),
            (b"ID3\x04\0", FileKind::Mp3),
            (b"\xff\xfb\x90\x64", FileKind::Mp3),
            (b"\xff\xf1\x50\x80", FileKind::Aac),
            (b"#!AMR\n", FileKind::Amr),
            (b"fLaC\0", FileKind::Flac),
            (b"\x1a\x45\xdf\xa3\x01", FileKind::Webm),
            (&mp4("isom", "vide"), FileKind::Mp4),
            (&mp4("isom", "soun"), FileKind::M4a),
            (&mp4("M4A ", "soun"), FileKind::M4a),
            (&mp4("heic", "pict"), FileKind::Heic),
            (b"\n%PDF-1.7\n%\xe2\xe3", FileKind::Pdf),
            (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0", FileKind::LegacyOffice),
            (b"PK\x03\x04\x14\0holiday.txt", FileKind::Zip),
            (b"PK\x03\x04\x14\0word/document.xml", FileKind::Docx),
            (b"\xef\xbb\xbfbegin:vcard\r\n", FileKind::VCard),
            (b"name;price\nrye;4.20\n", FileKind::Text),
            (b"\xff\xfeh\0i\0", FileKind::Text),
            (b"caf\xe9 cr\xe8me", FileKind::Text),
            (b"MZ\x90\0\x03\0\0\0", FileKind::Unknown),
            (b" \n", FileKind::Unknown),
            (b"", FileKind::Unknown),
        ] {
            assert_eq!(sniff(bytes), kind, "{bytes:?}");
        }
    }

    #[test]
    fn an_image_that_is_named_so_and_is_none_is_what_it_is() {
        assert_eq!(sniff(b"<html><body>photo.jpg</body></html>"), FileKind::Text);
        assert!(!sniff(b"MZ\x90\0photo.jpg").is_image());
    }
}
