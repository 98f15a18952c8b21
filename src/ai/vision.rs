//! Images in requests: how many a model is shown, and the placeholders for the others.

/// The most images in one request; mynah sends the newest. Each costs as much as a page of text, and Anthropic accepts
/// at most 32 MB for the whole request (Anthropic, "Errors": `request_too_large`).
pub(super) const MAX_IMAGES: usize = 5;

/// Stands for an image that is older than those shown.
pub(super) const EARLIER_IMAGE_PLACEHOLDER: &str = "[an earlier image, not shown again]";
/// Stands for an image if the model has no vision.
const NO_VISION_PLACEHOLDER: &str = "[image, which this model cannot see]";
/// Stands for an image that the server cannot read.
const UNREADABLE_IMAGE_PLACEHOLDER: &str = "[image, which could not be read]";
/// Stands for an image by the business: no protocol accepts an image in an answer.
pub(super) const SENT_IMAGE_PLACEHOLDER: &str = "[image, sent to the customer]";

/// Appends a placeholder for an image to the text of its message, on a line of its own.
pub(super) fn append_placeholder(text: &mut String, words: &str) {
    if !text.trim().is_empty() {
        text.push('\n');
    }
    text.push_str(words);
}

/// Decides which images a request shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ImagePolicy {
    /// The number of images; the newest are shown.
    pub(super) max_images: usize,
    /// The text that stands for each of the others.
    pub(super) placeholder: &'static str,
}

impl ImagePolicy {
    /// Returns the policy for a model that takes up to `max_images` images.
    pub(super) fn show_up_to(max_images: usize) -> ImagePolicy {
        ImagePolicy {
            max_images,
            placeholder: if max_images == 0 { NO_VISION_PLACEHOLDER } else { EARLIER_IMAGE_PLACEHOLDER },
        }
    }

    /// The policy for a request whose images the server refused.
    pub(super) const AFTER_REFUSAL: ImagePolicy =
        ImagePolicy { max_images: 0, placeholder: UNREADABLE_IMAGE_PLACEHOLDER };
}

/// Why a server refuses a request with images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ImageError {
    /// The model takes at most this many images.
    Limit(usize),
    /// The server cannot read these images.
    Unreadable,
}

/// How much of a message is scanned, in characters. llama.cpp repeats the request after its own message.
const SCANNED_CHARS: usize = 200;

/// Words that show that a message is about images.
const IMAGE_WORDS: [&str; 6] = ["image", "vision", "multimodal", "multi-modal", "mmproj", "content part"];

/// How servers say that a model has no vision. OpenAI: "image_url is only supported by certain models". Azure, Mistral,
/// Ollama ("this model does not support image input"), LM Studio. llama.cpp: "image input is not supported",
/// "Unsupported content part type". vLLM: "is not a multimodal model". DeepSeek: "unknown variant `image_url`".
/// OpenRouter: "No endpoints found that support image input".
const NO_VISION_WORDINGS: [&str; 13] = [
    "not support",
    "n't support",
    "unsupported",
    "only supported",
    "unknown variant",
    "no endpoints found",
    "not a multimodal",
    "not multimodal",
    "not enabled",
    "not compiled for",
    "not allowed",
    "invalid content type",
    "missing data required",
];

/// How servers say that they accept only text: Groq, FastAPI, and Python code that adds a list to a string.
const TEXT_ONLY_WORDINGS: [&str; 4] = ["must be a string", "valid string", "str type expected", "not \"list\""];

/// How servers say that they cannot use an image. OpenAI: "You uploaded an unsupported image". Anthropic: "Could not
/// process image", "image exceeds 5 MB maximum", "image dimensions exceed max allowed size".
const UNREADABLE_WORDINGS: [&str; 9] = [
    "unsupported image",
    "invalid image",
    "invalid_image",
    "image_parse",
    "valid image",
    "process image",
    "exceed",
    "too large",
    "load image",
];

/// Classifies an error about images by its message and code, both in lower case. `None` if it is not about images.
pub(super) fn classify_image_error(message: &str, code: &str) -> Option<ImageError> {
    let end = message.char_indices().nth(SCANNED_CHARS).map_or(message.len(), |(end, _)| end);
    let message = &message[..end];
    let any = |words: &[&str]| words.iter().any(|word| message.contains(word) || code.contains(word));
    if any(&TEXT_ONLY_WORDINGS) {
        return Some(ImageError::Limit(0));
    }
    if !any(&IMAGE_WORDS) {
        return None;
    }
    // vLLM: "At most 1 image(s) may be provided in one prompt." Groq: "This model supports up to 5 images".
    if let Some(most) =
        ["at most ", "up to "].iter().find_map(|words| leading_image_count(message.split_once(words)?.1))
    {
        return Some(ImageError::Limit(most));
    }
    if !any(&UNREADABLE_WORDINGS) && any(&NO_VISION_WORDINGS) {
        return Some(ImageError::Limit(0));
    }
    Some(ImageError::Unreadable)
}

/// Returns the number of images that the text begins with, such as in `5 images`.
fn leading_image_count(text: &str) -> Option<usize> {
    let (digits, rest) = text.split_at(text.find(|char: char| !char.is_ascii_digit())?);
    rest.trim_start().starts_with("image").then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_takes_no_images_is_understood_in_its_own_words() {
        for (message, verdict) in [
            ("Invalid content type. image_url is only supported by certain models.", Some(0)),
            ("this model does not support image input (ref: b8bd630e)", Some(0)),
            ("Model does not support images. Please use a model that does.", Some(0)),
            ("Image input is not enabled for this model", Some(0)),
            ("image input is not supported - hint: if this is unexpected, you may need to provide the mmproj", Some(0)),
            ("Failed to parse messages: Unsupported content part type: \"image_url\"; messages = [ {", Some(0)),
            ("messages[0]: unknown variant `image_url`, expected `text` at line 1 column 200", Some(0)),
            ("/models/m1 is not a multimodal model", Some(0)),
            ("m1 is not a multimodal model None", Some(0)),
            ("No endpoints found that support image input", Some(0)),
            ("this model is missing data required for image input", Some(0)),
            ("messages[0].content must be a string", Some(0)),
            ("body.messages.0.content: Input should be a valid string", Some(0)),
            ("can only concatenate str (not \"list\") to str", Some(0)),
            ("At most 0 image(s) may be provided in one prompt.", Some(0)),
            ("At most 1 image(s) may be provided in one request.", Some(1)),
            ("Too many images provided. This model supports up to 3 images", Some(3)),
        ] {
            assert_eq!(classify_image_error(&message.to_lowercase(), ""), verdict.map(ImageError::Limit), "{message}");
        }
    }

    #[test]
    fn an_image_that_is_no_good_says_nothing_about_the_model() {
        for (message, code) in [
            ("You uploaded an unsupported image. Please make sure your image is valid.", "invalid_image_format"),
            ("The image data you provided does not represent a valid image.", "image_parse_error"),
            ("messages.0.content.1.image.source.base64: image exceeds 5 MB maximum: 6012345 bytes > 5242880 bytes", ""),
            ("Could not process image", ""),
            ("At least one of the image dimensions exceed max allowed size: 8000 pixels", ""),
            ("something odd about an image", ""),
        ] {
            assert_eq!(classify_image_error(&message.to_lowercase(), code), Some(ImageError::Unreadable), "{message}");
        }
    }

    #[test]
    fn an_error_not_about_images_is_not_classified_as_one_even_if_it_echoes_the_word() {
        let echo = format!("the prompt is wrong: {}this shop does not support images", " ".repeat(200));
        for message in ["max_tokens is not supported", "", &echo] {
            assert_eq!(classify_image_error(message, ""), None, "{message}");
        }
    }
}
