//! The rows of attachments.

use super::DefaultValue::{Computed, Value};
use super::Group::Media;
use super::Setting;
use super::table::ROW_DEFAULTS;

/// What the rows here have in common.
const GROUP_DEFAULTS: Setting = Setting { group: Media, ..ROW_DEFAULTS };

/// In the order of the reference.
pub(in crate::config) const ROWS: &[Setting] = &[
    Setting {
        key: "MYNAH_AI_VISION",
        file_key: "ai_vision",
        default: Value("true"),
        expects: "true or false",
        meaning: "Whether the model is shown pictures. One that has no eyes is found out and told in words.",
        ..GROUP_DEFAULTS
    },
    Setting {
        key: "MYNAH_TRANSCRIPTION_BASE_URL",
        file_key: "transcription_base_url",
        default: Computed("OpenAI's own, where the model is there or a key is set; else voice notes are not read"),
        expects: "an http or https address without query, such as http://127.0.0.1:8000/v1",
        meaning: "A server that writes down what is said in voice notes, by OpenAI's `/audio/transcriptions`, with `/v1`. \
                  Where neither this nor its key is set, it hears only those [numbers](numbers.md) that ask the main model's server.",
        ..GROUP_DEFAULTS
    },
    Setting {
        key: "MYNAH_TRANSCRIPTION_API_KEY",
        file_key: "transcription_api_key",
        secret: true,
        default: Computed("`OPENAI_API_KEY`, at OpenAI's own server"),
        expects: "an API key, without blanks",
        meaning: "Its key. Servers of your own may need none.",
        ..GROUP_DEFAULTS
    },
    Setting {
        key: "MYNAH_TRANSCRIPTION_MODEL",
        file_key: "transcription_model",
        default: Value("gpt-4o-mini-transcribe"),
        expects: "the name of a model, or off",
        meaning: "The model that listens, such as `whisper-1`; `off` reads no voice notes.",
        ..GROUP_DEFAULTS
    },
    Setting {
        key: "MYNAH_TRANSCRIPTION_LANGUAGE",
        file_key: "transcription_language",
        default: Computed("the model finds out"),
        expects: "two letters of ISO 639-1, such as de",
        meaning: "The language that your contacts speak, which helps the model to hear.",
        ..GROUP_DEFAULTS
    },
];
