//! Images as vision models take them.

use std::fmt;

use bytes::Bytes;

/// An image that a model may be shown. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Image {
    /// `image/jpeg`, `image/png`, `image/gif` or `image/webp`: what both OpenAI and Anthropic take.
    pub media_type: &'static str,
    /// The file.
    pub bytes: Bytes,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
}

/// The pixels of one token (Anthropic, "Vision": "tokens = (width px * height px)/750"). OpenAI's tiles of 512 pixels
/// and patches of 32 pixels come to no more.
const PIXELS_PER_TOKEN: u64 = 750;

/// What the smallest image takes at models that cut every image into the same number of pieces, such as Gemma.
const LEAST_TOKENS: u64 = 256;

/// What the largest takes. Servers scale down what is larger: OpenAI to 1,536 patches, which count up to 1.62 times
/// (OpenAI, "Images and vision").
const MOST_TOKENS: u64 = 2_500;

impl Image {
    /// About how many tokens it takes of a model's context, rather too many than too few.
    #[must_use]
    pub fn tokens(&self) -> usize {
        let tokens = (u64::from(self.width) * u64::from(self.height)).div_ceil(PIXELS_PER_TOKEN);
        usize::try_from(tokens.clamp(LEAST_TOKENS, MOST_TOKENS)).unwrap_or(usize::MAX)
    }
}

/// Without what it shows.
impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}x{} in {} bytes", self.media_type, self.width, self.height, self.bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_takes_tokens_by_its_pixels_within_bounds() {
        for ((width, height), tokens) in [((1, 1), 256), ((1_000, 750), 1_000), ((1_568, 1_568), 2_500)] {
            let image = Image { media_type: "image/jpeg", bytes: Bytes::new(), width, height };
            assert_eq!(image.tokens(), tokens, "{image:?}");
        }
    }
}
