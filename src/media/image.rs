//! Prepares images for vision models.

use std::fmt;
use std::io::Cursor;

use bytes::Bytes;
use image::codecs::jpeg::JpegEncoder;
use image::error::LimitErrorKind;
use image::imageops::FilterType;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, Rgb, RgbImage};

use super::file_kind::{FileKind, sniff};
use super::image_header;
use super::unreadable::{Unreadable, catch_panic};

/// An image for a model. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Image {
    /// `image/jpeg` or `image/png`, which all servers read.
    pub media_type: &'static str,
    /// The file.
    pub bytes: Bytes,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
}

/// The pixels per token (Anthropic, "Vision": "tokens = (width px * height px)/750"). OpenAI's tiles of 512 pixels
/// and patches of 32 pixels do not result in more tokens.
const PIXELS_PER_TOKEN: u64 = 750;

/// The tokens of the smallest image with models that split every image into the same number of pieces, such as Gemma.
const MIN_TOKENS: u64 = 256;

/// The tokens of the largest image. Servers scale down larger images: OpenAI to 1,536 patches, each of which counts as
/// up to 1.62 tokens (OpenAI, "Images and vision").
const MAX_TOKENS: u64 = 2_500;

/// The maximum length of the longer side of an image, in pixels. Anthropic scales down larger images (Anthropic,
/// "Vision": "no more than 1568 pixels"), and OpenAI uses fewer pixels (OpenAI, "Images and vision": 768 pixels on the
/// shorter side).
const MAX_SIDE: u32 = 1_568;

/// The maximum number of pixels to decode. Photos of all phones but the largest ones have fewer. A progressive JPEG
/// needs six bytes for each pixel, 240 MB in all.
const MAX_PIXELS: u64 = 40_000_000;

/// The maximum memory of a decoder besides its header, in bytes: four for each pixel, and some spare.
const MAX_DECODER_BYTES: u64 = MAX_PIXELS * 5;

/// The size of the largest file that is left unchanged, in bytes.
const MAX_UNCHANGED_BYTES: usize = 1 << 20;

/// The JPEG quality. Letters stay readable, and a photo with the maximum side length takes about 300 KB.
const JPEG_QUALITY: u8 = 80;

impl Image {
    /// Reads the image in a file and returns it as JPEG or PNG, which all servers read (llama.cpp does not read WebP,
    /// and OpenAI does not read animated GIFs). The image is upright, scaled down if it is large, and without the
    /// metadata of a camera or an editor, such as the location (Exif, XMP, IPTC, comments). A small JPEG or PNG without
    /// metadata is left unchanged. A file that would decode to more than forty million pixels is not decoded.
    ///
    /// This takes up to a second or two. Call it where blocking is allowed.
    pub fn for_model(bytes: &Bytes) -> Result<Image, Unreadable> {
        if bytes.is_empty() {
            return Err(Unreadable::Empty);
        }
        let kind = sniff(bytes);
        let format = match kind {
            FileKind::Jpeg => ImageFormat::Jpeg,
            FileKind::Png => ImageFormat::Png,
            FileKind::Webp => ImageFormat::WebP,
            FileKind::Gif => ImageFormat::Gif,
            FileKind::Heic => return Err(Unreadable::Unsupported(kind.plain_name())),
            _ => return Err(Unreadable::Damaged("image")),
        };
        catch_panic("image", || Image::decode_for_model(bytes, kind, format))
    }

    fn decode_for_model(bytes: &Bytes, kind: FileKind, format: ImageFormat) -> Result<Image, Unreadable> {
        let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
        let mut limits = Limits::no_limits();
        limits.max_alloc = Some(MAX_DECODER_BYTES);
        reader.limits(limits.clone());
        let mut decoder = reader.into_decoder().map_err(to_unreadable)?;
        let (width, height) = decoder.dimensions();
        if u64::from(width) * u64::from(height) > MAX_PIXELS {
            return Err(TOO_LARGE);
        }
        limits.reserve(decoder.total_bytes()).map_err(to_unreadable)?;
        decoder.set_limits(limits).map_err(to_unreadable)?;
        let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
        // Decode the whole image, so that damage is found here and not by the model's server.
        let mut image = DynamicImage::from_decoder(decoder).map_err(to_unreadable)?;

        let media_type = kind.media_type();
        let small = width.max(height) <= MAX_SIDE && bytes.len() <= MAX_UNCHANGED_BYTES;
        // Headers are read only from JPEG and PNG.
        if small && image_header::read_header(kind, bytes).is_some_and(|bare| bare.has_no_metadata) {
            return Ok(Image { media_type, bytes: bytes.clone(), width, height });
        }
        if width.max(height) > MAX_SIDE {
            image = image.resize(MAX_SIDE, MAX_SIDE, FilterType::Triangle);
        }
        image.apply_orientation(orientation);
        let opaque = flatten_on_white(&image);
        let mut jpeg = Vec::new();
        opaque.write_with_encoder(JpegEncoder::new_with_quality(&mut jpeg, JPEG_QUALITY)).map_err(to_unreadable)?;
        let (width, height) = opaque.dimensions();
        Ok(Image { media_type: FileKind::Jpeg.media_type(), bytes: jpeg.into(), width, height })
    }

    /// Restores an image that [`Image::for_model`] made and that was stored. Only the headers are read.
    pub fn from_stored(bytes: Bytes) -> Result<Image, Unreadable> {
        let kind = sniff(&bytes);
        let bare = image_header::read_header(kind, &bytes).ok_or(Unreadable::Damaged("image"))?;
        Ok(Image { media_type: kind.media_type(), bytes, width: bare.width, height: bare.height })
    }

    /// Estimates how many tokens of a model's context the image takes, rather too many than too few.
    #[must_use]
    pub fn tokens(&self) -> usize {
        let tokens = (u64::from(self.width) * u64::from(self.height)).div_ceil(PIXELS_PER_TOKEN);
        usize::try_from(tokens.clamp(MIN_TOKENS, MAX_TOKENS)).unwrap_or(usize::MAX)
    }
}

const TOO_LARGE: Unreadable = Unreadable::TooLarge("it has more than 40 million pixels");

fn to_unreadable(error: ImageError) -> Unreadable {
    match error {
        ImageError::Limits(error) if !matches!(error.kind(), LimitErrorKind::Unsupported { .. }) => TOO_LARGE,
        _ => Unreadable::Damaged("image"),
    }
}

/// Replaces transparency by a white background, because JPEG does not support it.
fn flatten_on_white(image: &DynamicImage) -> RgbImage {
    if !image.color().has_alpha() {
        return image.to_rgb8();
    }
    let image = image.to_rgba8();
    let blend = |colour: u8, alpha: u8| {
        let (colour, alpha) = (u16::from(colour), u16::from(alpha));
        u8::try_from((colour * alpha + 255 * (255 - alpha)) / 255).unwrap_or(u8::MAX)
    };
    RgbImage::from_fn(image.width(), image.height(), |x, y| {
        let [red, green, blue, alpha] = image.get_pixel(x, y).0;
        Rgb([blend(red, alpha), blend(green, alpha), blend(blue, alpha)])
    })
}

/// Prints the image's type and size, not its content.
impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}x{} in {} bytes", self.media_type, self.width, self.height, self.bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use image::codecs::png::{CompressionType, FilterType as PngFilter, PngEncoder};
    use image::{ExtendedColorType, ImageEncoder, Rgba, RgbaImage};

    use super::*;

    #[test]
    fn an_image_takes_tokens_by_its_pixels_within_bounds() {
        for ((width, height), tokens) in [((1, 1), 256), ((1_000, 750), 1_000), ((1_568, 1_568), 2_500)] {
            let image = Image { media_type: "image/jpeg", bytes: Bytes::new(), width, height };
            assert_eq!(image.tokens(), tokens, "{image:?}");
        }
    }

    /// Creates an image that is red above and blue below.
    fn picture(width: u32, height: u32) -> DynamicImage {
        let colour = |_, y| if y < height / 2 { Rgb([200, 30, 30]) } else { Rgb([30, 30, 200]) };
        RgbImage::from_fn(width, height, colour).into()
    }

    fn encoded(image: &DynamicImage, format: ImageFormat) -> Bytes {
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, format).unwrap();
        bytes.into_inner().into()
    }

    fn decoded(image: &Image) -> RgbImage {
        assert_eq!(sniff(&image.bytes).media_type(), image.media_type);
        let decoded = image::load_from_memory(&image.bytes).unwrap().to_rgb8();
        assert_eq!(decoded.dimensions(), (image.width, image.height));
        decoded
    }

    fn is_near(pixel: &Rgb<u8>, colour: [u8; 3]) -> bool {
        pixel.0.iter().zip(colour).all(|(a, b)| a.abs_diff(b) < 12)
    }

    #[test]
    fn a_small_photo_or_drawing_is_left_as_it_is() {
        for format in [ImageFormat::Jpeg, ImageFormat::Png] {
            let bytes = encoded(&picture(64, 48), format);
            let image = Image::for_model(&bytes).unwrap();
            assert_eq!((image.bytes, image.width, image.height), (bytes, 64, 48));
        }
    }

    #[test]
    fn an_image_format_that_not_every_server_reads_becomes_a_jpeg() {
        for format in [ImageFormat::WebP, ImageFormat::Gif] {
            let image = Image::for_model(&encoded(&picture(64, 48), format)).unwrap();
            assert_eq!(image.media_type, "image/jpeg");
            assert!(is_near(decoded(&image).get_pixel(5, 5), [200, 30, 30]), "{format:?}");
        }
    }

    #[test]
    fn a_large_image_is_scaled_down_to_the_size_that_models_use() {
        for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP] {
            let image = Image::for_model(&encoded(&picture(3_136, 1_000), format)).unwrap();
            assert_eq!((image.media_type, image.width, image.height), ("image/jpeg", 1_568, 500), "{format:?}");
            assert!(is_near(decoded(&image).get_pixel(700, 100), [200, 30, 30]));
        }
        let image = Image::for_model(&encoded(&picture(3, 3_000), ImageFormat::Png)).unwrap();
        assert_eq!((image.width, image.height), (2, 1_568), "a narrow image too");
    }

    #[test]
    fn a_large_file_of_few_pixels_is_packed_anew() {
        let noise = |x: u32, y: u32| x.wrapping_mul(2_654_435_761).wrapping_add(y.wrapping_mul(40_503)).to_le_bytes();
        let image = RgbImage::from_fn(900, 900, |x, y| Rgb([noise(x, y)[1], noise(y, x)[2], noise(x ^ y, x)[3]]));
        let bytes = encoded(&image.into(), ImageFormat::Png);
        assert!(bytes.len() > MAX_UNCHANGED_BYTES);
        let image = Image::for_model(&bytes).unwrap();
        assert!(image.media_type == "image/jpeg" && image.bytes.len() < MAX_UNCHANGED_BYTES, "{image:?}");
    }

    /// Creates a JPEG from a camera that was turned on its side and recorded that.
    fn sideways_jpeg() -> Bytes {
        let jpeg = encoded(&picture(64, 48), ImageFormat::Jpeg);
        // TIFF, little-endian: one entry, orientation 6, which is a quarter turn to the right.
        let exif = b"Exif\0\0II\x2a\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
        let length = u16::try_from(exif.len() + 2).unwrap().to_be_bytes();
        [&jpeg[..2], &[0xff, 0xe1], &length, exif, &jpeg[2..]].concat().into()
    }

    #[test]
    fn a_photo_is_turned_upright_and_what_the_camera_noted_is_left_out() {
        let image = Image::for_model(&sideways_jpeg()).unwrap();
        assert_eq!((image.width, image.height), (48, 64));
        let upright = decoded(&image);
        assert!(is_near(upright.get_pixel(43, 32), [200, 30, 30]) && is_near(upright.get_pixel(4, 32), [30, 30, 200]));
        assert!(!image.bytes.windows(4).any(|window| window == b"Exif"));
    }

    #[test]
    fn metadata_is_removed_from_a_small_image_too() {
        let place = b"<exif:GPSLatitude>41,24.2N</exif:GPSLatitude>".as_slice();
        let jpeg = encoded(&picture(64, 48), ImageFormat::Jpeg);
        let segment = |marker: u8, name: &[u8]| {
            let length = u16::try_from(name.len() + place.len() + 2).unwrap().to_be_bytes();
            [&jpeg[..2], &[0xff, marker], &length, name, place, &jpeg[2..]].concat()
        };
        let png = encoded(&picture(64, 48), ImageFormat::Png);
        let text = [b"XML:com.adobe.xmp\0\0\0\0\0".as_slice(), place].concat();
        let length = u32::try_from(text.len()).unwrap().to_be_bytes();
        let chunk = [b"iTXt".as_slice(), &text].concat();
        let chunk = [&png[..33], &length, &chunk, &png_crc(&chunk), &png[33..]].concat();
        for noted in [segment(0xe1, b"http://ns.adobe.com/xap/1.0/\0"), segment(0xed, b"Photoshop 3.0\0"), chunk] {
            let image = Image::for_model(&noted.into()).unwrap();
            assert!(!image.bytes.windows(place.len()).any(|window| window == place), "{image:?}");
            assert!(is_near(decoded(&image).get_pixel(5, 5), [200, 30, 30]));
        }
    }

    #[test]
    fn an_image_that_was_made_fit_is_known_again_and_no_other() {
        for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP] {
            for side in [64, 2_000] {
                let image = Image::for_model(&encoded(&picture(side, side / 2), format)).unwrap();
                assert_eq!(Image::from_stored(image.bytes.clone()).unwrap(), image);
            }
        }
        for other in [b"GIF89a".as_slice(), b"", b"\xff\xd8\xff"] {
            assert_eq!(Image::from_stored(Bytes::copy_from_slice(other)).unwrap_err(), Unreadable::Damaged("image"));
        }
    }

    #[test]
    fn transparent_pixels_become_white() {
        let image = RgbaImage::from_fn(20, 20, |x, _| Rgba([0, 0, 0, if x < 10 { 0 } else { 255 }]));
        let image = Image::for_model(&encoded(&image.into(), ImageFormat::WebP)).unwrap();
        let flat = decoded(&image);
        assert!(is_near(flat.get_pixel(2, 10), [255; 3]) && is_near(flat.get_pixel(17, 10), [0; 3]));
    }

    #[test]
    fn a_decompression_bomb_is_not_unpacked() {
        // 42 million pixels in a few kilobytes.
        let mut png = Vec::new();
        let black = vec![0; 42_000_000];
        let encoder = PngEncoder::new_with_quality(&mut png, CompressionType::Fast, PngFilter::NoFilter);
        encoder.write_image(&black, 7_000, 6_000, ExtendedColorType::L8).unwrap();
        drop(black);
        assert!(png.len() < 1 << 20, "{}", png.len());
        let error = Image::for_model(&png.into()).unwrap_err();
        assert_eq!(error.to_string(), "it is too large: it has more than 40 million pixels");
        // Only a header, which claims four billion pixels.
        let mut gif = b"GIF89a\xff\xff\xff\xff\x80\0\0\0\0\0\xff\xff\xff".to_vec();
        gif.extend_from_slice(b",\0\0\0\0\xff\xff\xff\xff\0\x02\x02\x44\x01\0;");
        assert_eq!(Image::for_model(&gif.into()).unwrap_err(), TOO_LARGE);
        // Few pixels, but of eight bytes each.
        let deep = png_claiming_size(5_050, 5_000, &encoded(&DynamicImage::new_rgba16(8, 8), ImageFormat::Png));
        assert_eq!(Image::for_model(&deep).unwrap_err(), TOO_LARGE);
    }

    /// Changes the size in a PNG's header.
    fn png_claiming_size(width: u32, height: u32, png: &[u8]) -> Bytes {
        let mut png = png.to_vec();
        png[16..20].copy_from_slice(&width.to_be_bytes());
        png[20..24].copy_from_slice(&height.to_be_bytes());
        let check = png_crc(&png[12..29]);
        png[29..33].copy_from_slice(&check);
        png.into()
    }

    /// Returns the checksum of a chunk (PNG, annex D).
    fn png_crc(chunk: &[u8]) -> [u8; 4] {
        let check = chunk.iter().fold(u32::MAX, |check, byte| {
            (0..8).fold(check ^ u32::from(*byte), |check, _| (check >> 1) ^ (0xedb8_8320 * (check & 1)))
        });
        (!check).to_be_bytes()
    }

    #[test]
    fn an_image_that_is_none_or_broken_is_reported_so() {
        let whole = encoded(&picture(64, 48), ImageFormat::Png);
        let webp = encoded(&picture(64, 48), ImageFormat::WebP);
        for broken in [
            Bytes::from_static(b"GIF89a"),
            Bytes::from_static(b"<html>not found</html>"),
            Bytes::from_static(b"\xff\xd8\xff\xe0 no photo at all"),
            whole.slice(..whole.len() / 2),
            webp.slice(..webp.len() / 2),
        ] {
            let error = Image::for_model(&broken).unwrap_err();
            assert_eq!(error.to_string(), "it is damaged or not a valid image", "{broken:?}");
        }
        assert_eq!(Image::for_model(&Bytes::new()).unwrap_err().to_string(), "it is empty");
        let heic = Image::for_model(&Bytes::from_static(b"\0\0\0\x18ftypheic\0\0\0\0")).unwrap_err();
        assert_eq!(heic.to_string(), "photos in Apple's format (HEIC) are not supported");
    }
}
