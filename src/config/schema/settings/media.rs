//! The rows of attachments.

use super::Fallback::{Computed, Value};
use super::Group::Media;
use super::Setting;
use super::table::PLAIN;

/// What the rows here have in common.
const ROW: Setting = Setting { group: Media, ..PLAIN };

/// In the order of the reference.
pub(in crate::config) const ROWS: &[Setting] = &[
    Setting {
        key: "MYNAH_AI_VISION",
        file: "ai_vision",
        default: Value("true"),
        expects: "true or false",
        meaning: "Whether the model is shown pictures. One that has no eyes is found out and told in words.",
        ..ROW
    },
    Setting {
        key: "MYNAH_TRANSCRIPTION_BASE_URL",
        file: "transcription_base_url",
        default: Computed("OpenAI's own, where the model is there or a key is set; else voice notes are not read"),
        expects: "an http or https address without query, such as http://127.0.0.1:8000/v1",
        meaning: "A server that writes down what is said in voice notes, by OpenAI's `/audio/transcriptions`, with `/v1`. \
                  Where neither this nor its key is set, it hears only those [numbers](numbers.md) that ask the main model's server.",
        ..ROW
    },
    Setting {
        key: "MYNAH_TRANSCRIPTION_API_KEY",
        file: "transcription_api_key",
        secret: true,
        default: Computed("`OPENAI_API_KEY`, at OpenAI's own server"),
        expects: "an API key, without blanks",
        meaning: "Its key. Servers of your own may need none.",
        ..ROW
    },
    Setting {
        key: "MYNAH_TRANSCRIPTION_MODEL",
        file: "transcription_model",
        default: Value("gpt-4o-mini-transcribe"),
        expects: "the name of a model, or off",
        meaning: "The model that listens, such as `whisper-1`; `off` reads no voice notes.",
        ..ROW
    },
    Setting {
        key: "MYNAH_TRANSCRIPTION_LANGUAGE",
        file: "transcription_language",
        default: Computed("the model finds out"),
        expects: "two letters of ISO 639-1, such as de",
        meaning: "The language that your contacts speak, which helps the model to hear.",
        ..ROW
    },
];
