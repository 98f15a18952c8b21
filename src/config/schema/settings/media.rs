//! The settings of attachments.

use super::DefaultValue::{Computed, Value};
use super::Group::Media;
use super::Setting;
use super::table::ROW_DEFAULTS;

/// The fields that all rows of this file share.
const GROUP_DEFAULTS: Setting = Setting { group: Media, ..ROW_DEFAULTS };

/// The rows, in the order of the reference.
pub(in crate::config) const ROWS: &[Setting] = &[
    Setting {
        key: "MYNAH_AI_VISION",
        file_key: "ai_vision",
        default: Value("true"),
        expects: "true or false",
        meaning: "Whether the model sees pictures. If a model does not support pictures, mynah detects that and sends \
                  it a short text instead.",
        ..GROUP_DEFAULTS
    },
    Setting {
        key: "MYNAH_TRANSCRIPTION_BASE_URL",
        file_key: "transcription_base_url",
        default: Computed(
            "OpenAI's own server, if the main model is there or a transcription key is set; else mynah \
                           transcribes no voice notes",
        ),
        expects: "an http or https URL without a query, such as http://127.0.0.1:8000/v1",
        meaning: "The server that transcribes voice notes, with `/v1`. It must offer OpenAI's `/audio/transcriptions`. \
                  If you set neither this nor its key, mynah transcribes voice notes only for the \
                  [numbers](numbers.md) whose model is at the main model's server, with the same key.",
        ..GROUP_DEFAULTS
    },
    Setting {
        key: "MYNAH_TRANSCRIPTION_API_KEY",
        file_key: "transcription_api_key",
        secret: true,
        default: Computed("`OPENAI_API_KEY`, if both the transcription and the main model are at OpenAI's own server"),
        expects: "an API key without spaces",
        meaning: "The API key for the transcription server. Your own servers may need none.",
        ..GROUP_DEFAULTS
    },
    Setting {
        key: "MYNAH_TRANSCRIPTION_MODEL",
        file_key: "transcription_model",
        default: Value("gpt-4o-mini-transcribe"),
        expects: "the name of a model, or off",
        meaning: "The model that transcribes, such as `whisper-1`. With `off`, mynah transcribes no voice notes.",
        ..GROUP_DEFAULTS
    },
    Setting {
        key: "MYNAH_TRANSCRIPTION_LANGUAGE",
        file_key: "transcription_language",
        default: Computed("the model detects the language"),
        expects: "a language code of two letters (ISO 639-1), such as de",
        meaning: "The language that your contacts speak. It helps the model to transcribe.",
        ..GROUP_DEFAULTS
    },
];
