//! What stands in a JPEG or PNG beside the image, read without a library.

use super::kind::FileKind;

/// What the headers of an image file say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ImageHeader {
    /// In pixels.
    pub(super) width: u32,
    /// In pixels.
    pub(super) height: u32,
    /// Whether there is nothing but what is needed to show it: no notes of a camera or an editor (Exif, XMP, IPTC, comments),
    /// no preview, nothing behind its end. What is not known here may tell of a place or a person.
    pub(super) has_no_metadata: bool,
}

/// Of a file that begins as an image of that kind; `None` for other kinds, and where its structure ends in the middle.
pub(super) fn read_header(kind: FileKind, bytes: &[u8]) -> Option<ImageHeader> {
    match kind {
        FileKind::Jpeg => read_jpeg_header(bytes),
        FileKind::Png => read_png_header(bytes),
        _ => None,
    }
}

/// Segments, each with its length, up to the scans (ITU-T T.81, annex B).
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
            // A frame, but for DHT, JPG and DAC, whose numbers stand among those.
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                size = size.or(Some((read_u16(segment, 3)?.into(), read_u16(segment, 1)?.into())));
            }
            0xda => {
                // The scan: up to a marker that is no escaped byte and no restart.
                let ends = |pair: &[u8]| pair[0] == 0xff && !matches!(pair[1], 0 | 0xd0..=0xd7 | 0xff);
                rest = &rest[rest.windows(2).position(ends)?..];
            }
            // Tables, and how often the scan restarts.
            0xc4 | 0xcc | 0xdb | 0xdd => {}
            // JFIF, whose preview makes it longer; Adobe's note on colours.
            0xe0 if segment.starts_with(b"JFIF\0") && segment.len() == 14 => {}
            0xee if segment.starts_with(b"Adobe") && segment.len() == 12 => {}
            _ => alone = false,
        }
    }
}

/// Chunks, each with its length (PNG, 5.3).
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

/// Sixteen bits, the high ones first.
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

    /// A segment or chunk behind the first.
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
                // Nobody looks at the check here.
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
            assert_eq!(read_header(kind, &[&whole[..], b"film"].concat()), noted, "behind its end");
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
