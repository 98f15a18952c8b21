//! Reads the headers of JPEG and PNG files without a library, and detects metadata beside the image.

use super::file_kind::FileKind;

/// The headers of an image file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ImageHeader {
    /// In pixels.
    pub(super) width: u32,
    /// In pixels.
    pub(super) height: u32,
    /// Whether the file has only what is needed to show the image: no metadata of a camera or an editor (Exif, XMP,
    /// IPTC, comments), no preview, and nothing after its end. Unknown segments count as metadata, because they may
    /// reveal a location or a person.
    pub(super) has_no_metadata: bool,
}

/// Reads the headers of a file that begins as an image of that kind. Returns `None` for other kinds, and if the file is
/// cut off.
pub(super) fn read_header(kind: FileKind, bytes: &[u8]) -> Option<ImageHeader> {
    match kind {
        FileKind::Jpeg => read_jpeg_header(bytes),
        FileKind::Png => read_png_header(bytes),
        _ => None,
    }
}

/// Reads JPEG segments, each with its length, and skips the scans (ITU-T T.81, annex B).
fn read_jpeg_header(bytes: &[u8]) -> Option<ImageHeader> {
    let mut rest = bytes.strip_prefix(&[0xff, 0xd8])?;
    let (mut size, mut alone) = (None, true);
    loop {
        let marker = match rest {
            [0xff, 0xff, ..] => {
                rest = &rest[1..];
                continue;
            }
            [0xff, 0xd9, behind @ ..] => {
                let (width, height) = size?;
                return Some(ImageHeader { width, height, has_no_metadata: alone && behind.is_empty() });
            }
            [0xff, marker, ..] => *marker,
            _ => return None,
        };
        let length = usize::from(read_u16(rest, 2)?);
        let segment = rest.get(4..2 + length)?;
        rest = &rest[2 + length..];
        match marker {
            // A frame, except DHT, JPG and DAC, whose numbers are in the same range.
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                size = size.or(Some((read_u16(segment, 3)?.into(), read_u16(segment, 1)?.into())));
            }
            0xda => {
                // The scan ends at a marker that is neither an escaped byte nor a restart.
                let ends = |pair: &[u8]| pair[0] == 0xff && !matches!(pair[1], 0 | 0xd0..=0xd7 | 0xff);
                rest = &rest[rest.windows(2).position(ends)?..];
            }
            // Tables, and the restart interval.
            0xc4 | 0xcc | 0xdb | 0xdd => {}
            // JFIF, which is longer if it has a preview; Adobe's color segment.
            0xe0 if segment.starts_with(b"JFIF\0") && segment.len() == 14 => {}
            0xee if segment.starts_with(b"Adobe") && segment.len() == 12 => {}
            _ => alone = false,
        }
    }
}

/// Reads PNG chunks, each with its length (PNG, 5.3).
fn read_png_header(bytes: &[u8]) -> Option<ImageHeader> {
    let long = |at: usize| Some(u32::from(read_u16(bytes, at)?) << 16 | u32::from(read_u16(bytes, at + 2)?));
    let (width, height) = (long(16)?, long(20)?);
    let (mut at, mut alone) = (8, true);
    loop {
        let length = usize::try_from(long(at)?).ok()?;
        let name = bytes.get(at + 4..at + 8)?;
        at = at.checked_add(length)?.checked_add(12)?;
        if at > bytes.len() {
            return None;
        }
        match name {
            b"IEND" => return Some(ImageHeader { width, height, has_no_metadata: alone && at == bytes.len() }),
            b"IHDR" | b"PLTE" | b"IDAT" | b"tRNS" | b"gAMA" | b"cHRM" | b"sRGB" | b"sBIT" | b"bKGD" | b"pHYs" => {}
            _ => alone = false,
        }
    }
}

/// Reads a big-endian 16-bit number.
fn read_u16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at.checked_add(2)?).map(|two| u16::from_be_bytes([two[0], two[1]]))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::{DynamicImage, ImageFormat};

    use super::*;

    fn file(format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        DynamicImage::new_rgb8(30, 20).write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    /// Creates a file with a segment after the JPEG start marker, or a chunk after the first PNG chunk.
    fn with_segment(kind: FileKind, name: &[u8], content: &[u8]) -> Vec<u8> {
        match kind {
            FileKind::Jpeg => {
                let length = u16::try_from(content.len() + 2).unwrap().to_be_bytes();
                let file = file(ImageFormat::Jpeg);
                [&file[..2], &[0xff], name, &length, content, &file[2..]].concat()
            }
            _ => {
                let length = u32::try_from(content.len()).unwrap().to_be_bytes();
                let file = file(ImageFormat::Png);
                // The checksum is not checked here.
                [&file[..33], &length, name, content, &[0; 4], &file[33..]].concat()
            }
        }
    }

    #[test]
    fn an_image_without_metadata_is_distinguished_from_one_with() {
        let alone = Some(ImageHeader { width: 30, height: 20, has_no_metadata: true });
        let noted = Some(ImageHeader { width: 30, height: 20, has_no_metadata: false });
        for (kind, format) in [(FileKind::Jpeg, ImageFormat::Jpeg), (FileKind::Png, ImageFormat::Png)] {
            let whole = file(format);
            assert_eq!(read_header(kind, &whole), alone);
            assert_eq!(read_header(kind, &[&whole[..], b"film"].concat()), noted, "after its end");
            for end in 0..whole.len() {
                assert_eq!(read_header(kind, &whole[..end]), None, "{kind:?} of {end} bytes");
            }
            assert_eq!(read_header(FileKind::Webp, &whole), None);
        }
        let long = [b"JFIF\0".as_slice(), &[0; 9], &[0; 12]].concat();
        for (name, content) in [
            (&[0xe1], b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta/>".as_slice()),
            (&[0xe1], b"Exif\0\0"),
            (&[0xed], b"Photoshop 3.0\0"),
            (&[0xfe], b"at home"),
            (&[0xe0], &long),
            (&[0xee], b"Adobe and more than it has to say"),
        ] {
            assert_eq!(read_header(FileKind::Jpeg, &with_segment(FileKind::Jpeg, name, content)), noted);
        }
        assert_eq!(
            read_header(FileKind::Jpeg, &with_segment(FileKind::Jpeg, &[0xee], b"Adobe\0\x64\0\0\0\0\x01")),
            alone
        );
        for name in [b"iTXt", b"tEXt", b"zTXt", b"eXIf", b"iCCP", b"tIME"] {
            assert_eq!(read_header(FileKind::Png, &with_segment(FileKind::Png, name, b"x")), noted);
        }
        assert_eq!(read_header(FileKind::Png, &with_segment(FileKind::Png, b"pHYs", &[0; 9])), alone);
    }
}
