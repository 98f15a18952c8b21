//! What a file is, by its content.

use serde::{Deserialize, Serialize};

use super::charset;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A photo.
    Jpeg,
    /// A screenshot or a drawing.
    Png,
    /// A photo or a sticker.
    Webp,
    /// A drawing, perhaps one that moves.
    Gif,
    /// A photo as Apple's phones keep it (HEIC, AVIF).
    Heic,
    /// Ogg: Opus in WhatsApp's voice notes, Vorbis elsewhere.
    Ogg,
    /// MPEG layer 3.
    Mp3,
    /// MPEG-4 with sound alone.
    M4a,
    /// AAC without a container.
    Aac,
    /// Adaptive Multi-Rate, of old phones.
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
    OldOffice,
    /// Any other archive.
    Zip,
    /// One contact or several (vCard).
    Card,
    /// Plain text: notes, CSV, Markdown, calendars.
    Text,
    /// Nothing that is known here, or no bytes.
    Unknown,
}

impl Kind {
    /// Whether [`super::Image::for_model`] reads it.
    #[must_use]
    pub fn is_image(self) -> bool {
        matches!(self, Kind::Jpeg | Kind::Png | Kind::Webp | Kind::Gif | Kind::Heic)
    }

    /// Whether somebody may be heard in it, and nobody seen.
    #[must_use]
    pub fn is_audio(self) -> bool {
        matches!(self, Kind::Ogg | Kind::Mp3 | Kind::M4a | Kind::Aac | Kind::Amr | Kind::Wav | Kind::Flac)
    }

    /// Whether it moves.
    #[must_use]
    pub fn is_video(self) -> bool {
        matches!(self, Kind::Mp4 | Kind::Webm)
    }

    /// Whether [`document::text`](super::document::text) reads it.
    #[must_use]
    pub fn is_document(self) -> bool {
        use Kind::{Card, Docx, OpenDocument, Pdf, Pptx, Text, Xlsx};
        matches!(self, Pdf | Docx | Xlsx | Pptx | OpenDocument | Card | Text)
    }

    /// The type to store and serve it under.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Kind::Jpeg => "image/jpeg",
            Kind::Png => "image/png",
            Kind::Webp => "image/webp",
            Kind::Gif => "image/gif",
            Kind::Heic => "image/heic",
            Kind::Ogg => "audio/ogg",
            Kind::Mp3 => "audio/mpeg",
            Kind::M4a => "audio/mp4",
            Kind::Aac => "audio/aac",
            Kind::Amr => "audio/amr",
            Kind::Wav => "audio/wav",
            Kind::Flac => "audio/flac",
            Kind::Mp4 => "video/mp4",
            Kind::Webm => "video/webm",
            Kind::Pdf => "application/pdf",
            Kind::Docx => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            Kind::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            Kind::Pptx => "application/vnd.openxmlformats-officedocument.presentationml.presentation",
            Kind::OpenDocument => "application/vnd.oasis.opendocument.text",
            Kind::OldOffice => "application/msword",
            Kind::Zip => "application/zip",
            Kind::Card => "text/vcard",
            Kind::Text => "text/plain",
            Kind::Unknown => "application/octet-stream",
        }
    }

    /// The ending of a file's name, without the dot.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Kind::Jpeg => "jpg",
            Kind::Png => "png",
            Kind::Webp => "webp",
            Kind::Gif => "gif",
            Kind::Heic => "heic",
            Kind::Ogg => "ogg",
            Kind::Mp3 => "mp3",
            Kind::M4a => "m4a",
            Kind::Aac => "aac",
            Kind::Amr => "amr",
            Kind::Wav => "wav",
            Kind::Flac => "flac",
            Kind::Mp4 => "mp4",
            Kind::Webm => "webm",
            Kind::Pdf => "pdf",
            Kind::Docx => "docx",
            Kind::Xlsx => "xlsx",
            Kind::Pptx => "pptx",
            Kind::OpenDocument => "odt",
            Kind::OldOffice => "doc",
            Kind::Zip => "zip",
            Kind::Card => "vcf",
            Kind::Text => "txt",
            Kind::Unknown => "bin",
        }
    }

    /// What people call it, after "no" or at the beginning of a sentence in the plural.
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Pdf => "PDF",
            Kind::Docx | Kind::Xlsx | Kind::Pptx => "Office document",
            Kind::OpenDocument => "OpenDocument file",
            Kind::Card => "contact card",
            Kind::Heic => "photos in Apple's format (HEIC)",
            Kind::OldOffice => "Office files from before 2007 (.doc, .xls, .ppt)",
            Kind::Zip => "archives",
            kind if kind.is_image() => "image",
            kind if kind.is_audio() => "sound",
            kind if kind.is_video() => "videos",
            _ => "files of this kind",
        }
    }
}

/// What the bytes are.
#[must_use]
pub fn sniff(bytes: &[u8]) -> Kind {
    let at = |place: usize, magic: &[u8]| bytes.get(place..).is_some_and(|rest| rest.starts_with(magic));
    match bytes {
        [0xff, 0xd8, 0xff, ..] => Kind::Jpeg,
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Kind::Png,
        [b'R', b'I', b'F', b'F', ..] if at(8, b"WEBP") => Kind::Webp,
        [b'R', b'I', b'F', b'F', ..] if at(8, b"WAVE") => Kind::Wav,
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Kind::Gif,
        [b'O', b'g', b'g', b'S', ..] => Kind::Ogg,
        [b'I', b'D', b'3', ..] => Kind::Mp3,
        // Eleven bits of synchronisation, then version and layer: layer 0 is AAC's ADTS (ISO 13818-7).
        [0xff, second, ..] if second & 0xf6 == 0xf0 => Kind::Aac,
        [0xff, second, ..] if second & 0xe6 == 0xe2 => Kind::Mp3,
        [b'#', b'!', b'A', b'M', b'R', ..] => Kind::Amr,
        [b'f', b'L', b'a', b'C', ..] => Kind::Flac,
        [0x1a, 0x45, 0xdf, 0xa3, ..] => Kind::Webm,
        [0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1, ..] => Kind::OldOffice,
        [b'P', b'K', 3, 4, ..] => archive(bytes),
        _ if at(4, b"ftyp") => media(bytes),
        // Readers look for it in the first kilobyte (Adobe, "PDF Reference" 1.7, implementation note 13).
        _ if holds(&bytes[..bytes.len().min(1_024)], b"%PDF-") => Kind::Pdf,
        _ => written(bytes),
    }
}

/// The names of an archive's entries stand in it as they are.
fn archive(bytes: &[u8]) -> Kind {
    let parts = [
        (&b"word/document.xml"[..], Kind::Docx),
        (b"xl/workbook.xml", Kind::Xlsx),
        (b"ppt/presentation.xml", Kind::Pptx),
        (b"application/vnd.oasis.opendocument.", Kind::OpenDocument),
    ];
    parts.into_iter().find(|(part, _)| holds(bytes, part)).map_or(Kind::Zip, |(_, kind)| kind)
}

/// The ISO container: a photo, sound, or a video, which has a handler of pictures (ISO 14496-12, `hdlr`).
fn media(bytes: &[u8]) -> Kind {
    let brand = bytes.get(8..12).unwrap_or_default();
    if [&b"heic"[..], b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1", b"avif", b"avis"].contains(&brand) {
        return Kind::Heic;
    }
    let mut handlers = bytes.windows(16).filter(|window| window.starts_with(b"hdlr"));
    if handlers.any(|window| window.ends_with(b"vide")) { Kind::Mp4 } else { Kind::M4a }
}

fn written(bytes: &[u8]) -> Kind {
    match charset::plain(bytes) {
        None => Kind::Unknown,
        Some(text) if text.trim().is_empty() => Kind::Unknown,
        Some(text) => {
            let begin = text.trim_start().get(..11).unwrap_or_default();
            if begin.eq_ignore_ascii_case("BEGIN:VCARD") { Kind::Card } else { Kind::Text }
        }
    }
}

pub(super) fn holds(bytes: &[u8], part: &[u8]) -> bool {
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
            (&b"\xff\xd8\xff\xe0\0\x10JFIF"[..], Kind::Jpeg),
            (b"\x89PNG\r\n\x1a\n\0", Kind::Png),
            (b"RIFF\0\0\0\0WEBPVP8 ", Kind::Webp),
            (b"RIFF\0\0\0\0WAVEfmt ", Kind::Wav),
            (b"GIF89a", Kind::Gif),
            (include_bytes!("testdata/voice.ogg"), Kind::Ogg),
            (b"ID3\x04\0", Kind::Mp3),
            (b"\xff\xfb\x90\x64", Kind::Mp3),
            (b"\xff\xf1\x50\x80", Kind::Aac),
            (b"#!AMR\n", Kind::Amr),
            (b"fLaC\0", Kind::Flac),
            (b"\x1a\x45\xdf\xa3\x01", Kind::Webm),
            (&mp4("isom", "vide"), Kind::Mp4),
            (&mp4("isom", "soun"), Kind::M4a),
            (&mp4("M4A ", "soun"), Kind::M4a),
            (&mp4("heic", "pict"), Kind::Heic),
            (b"\n%PDF-1.7\n%\xe2\xe3", Kind::Pdf),
            (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0", Kind::OldOffice),
            (b"PK\x03\x04\x14\0holiday.txt", Kind::Zip),
            (b"PK\x03\x04\x14\0word/document.xml", Kind::Docx),
            (b"\xef\xbb\xbfbegin:vcard\r\n", Kind::Card),
            (b"name;price\nrye;4.20\n", Kind::Text),
            (b"\xff\xfeh\0i\0", Kind::Text),
            (b"caf\xe9 cr\xe8me", Kind::Text),
            (b"MZ\x90\0\x03\0\0\0", Kind::Unknown),
            (b" \n", Kind::Unknown),
            (b"", Kind::Unknown),
        ] {
            assert_eq!(sniff(bytes), kind, "{bytes:?}");
        }
    }

    #[test]
    fn an_image_that_is_named_so_and_is_none_is_what_it_is() {
        assert_eq!(sniff(b"<html><body>photo.jpg</body></html>"), Kind::Text);
        assert!(!sniff(b"MZ\x90\0photo.jpg").is_image());
    }
}
