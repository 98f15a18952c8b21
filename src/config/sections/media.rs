//! Attachments: whether the model sees pictures, and which server transcribes voice notes.

use secrecy::SecretString;
use url::Url;

use super::ai::AiConfig;
use super::provider::{ProviderConfig, is_openai};
use crate::config::schema::parse;
use crate::config::sources::reader;
use crate::config::sources::reader::SettingsReader;

/// How mynah reads attachments.
#[derive(Clone, Debug)]
pub struct MediaConfig {
    /// Whether the model sees pictures.
    pub vision: bool,
    /// The server that transcribes voice notes; `None` if none does.
    pub transcription: Option<TranscriptionConfig>,
}

/// A server that transcribes voice notes, with OpenAI's `/audio/transcriptions`.
#[derive(Clone, Debug)]
pub struct TranscriptionConfig {
    /// The address, with `/v1`.
    pub base_url: Url,
    /// The key; servers without keys need none.
    pub api_key: Option<SecretString>,
    /// The model.
    pub model: String,
    /// Whether this is the main model's server, used because the owner set no transcription server.
    pub uses_main_model_server: bool,
    /// The spoken language (ISO 639-1, such as `de`); `None` lets the model detect it.
    pub language: Option<String>,
}

/// The name of the model that turns transcription off.
const NO_TRANSCRIPTION: &str = "off";

pub(in crate::config) fn read(reader: &mut SettingsReader, ai: Option<&AiConfig>) -> MediaConfig {
    let vision =
        reader.read_or_default("MYNAH_AI_VISION", |text| parse::choice(text, &[("true", true), ("false", false)]));
    let base_url = reader.read("MYNAH_TRANSCRIPTION_BASE_URL", parse::base_url);
    let api_key = reader.read("MYNAH_TRANSCRIPTION_API_KEY", parse::secret);
    let model = reader.read_or_default("MYNAH_TRANSCRIPTION_MODEL", parse::visible_ascii);
    let language = reader.read("MYNAH_TRANSCRIPTION_LANGUAGE", parse::language);
    if model == NO_TRANSCRIPTION {
        return MediaConfig { vision, transcription: None };
    }
    let (named, key_given) = (!base_url.is_absent(), !api_key.is_absent());
    let is_implied = !named && !key_given;
    let openai_base_url = || reader::table_default("OPENAI_BASE_URL", parse::base_url);
    let main_model_server = match ai.map(|ai| &ai.provider) {
        Some(ProviderConfig::OpenAi { base_url, api_key: Some(key) }) if host_is_openai(base_url) => {
            Some((base_url.clone(), key.clone()))
        }
        _ => None,
    };
    let server = match (base_url.valid(), api_key.valid()) {
        // If both are at OpenAI's own server, the main model's key fits.
        (Some(base), None) if host_is_openai(&base) => {
            let key = main_model_server.map(|(_, key)| key);
            if key.is_none() && !key_given {
                reader.report_missing(
                    "MYNAH_TRANSCRIPTION_API_KEY",
                    "MYNAH_TRANSCRIPTION_BASE_URL is OpenAI's own server",
                );
            }
            Some((base, key))
        }
        (Some(base), key) => Some((base, key)),
        (None, Some(key)) => Some((openai_base_url(), Some(key))),
        (None, None) => main_model_server.filter(|_| is_implied).map(|(base, key)| (base, Some(key))),
    };
    let transcription = server.map(|(base_url, api_key)| TranscriptionConfig {
        base_url,
        api_key,
        model,
        uses_main_model_server: is_implied,
        language: language.valid(),
    });
    MediaConfig { vision, transcription }
}

fn host_is_openai(url: &Url) -> bool {
    is_openai(url.host_str().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use crate::config::tests::{errors, load};

    const KEY: (&str, &str) = ("OPENAI_API_KEY", "sk-model");

    /// Returns host, key and model of the transcription server.
    fn transcription_server(env: &[(&str, &str)]) -> Option<(String, Option<String>, String)> {
        let transcription = load(env).unwrap().media.transcription?;
        let key = transcription.api_key.map(|key| key.expose_secret().to_owned());
        Some((transcription.base_url.host_str().unwrap().to_owned(), key, transcription.model))
    }

    #[test]
    fn voice_notes_are_transcribed_if_configured_or_if_the_model_is_openais() {
        let default = "gpt-4o-mini-transcribe";
        let own = ("MYNAH_TRANSCRIPTION_BASE_URL", "http://127.0.0.1:8000/v1");
        let own_key = ("MYNAH_TRANSCRIPTION_API_KEY", "sk-ears");
        let openai = ("MYNAH_TRANSCRIPTION_BASE_URL", "https://api.openai.com/v1");
        let is = |host: &str, key: Option<&str>, model: &str| {
            Some((host.to_owned(), key.map(str::to_owned), model.to_owned()))
        };
        for (env, expected) in [
            (&[][..], None),
            (&[KEY], is("api.openai.com", Some("sk-model"), default)),
            (&[KEY, ("OPENAI_BASE_URL", "http://127.0.0.1:11434/v1")], None),
            (&[("ANTHROPIC_API_KEY", "sk-ant")], None),
            (&[("ANTHROPIC_API_KEY", "sk-ant"), own_key], is("api.openai.com", Some("sk-ears"), default)),
            (&[own], is("127.0.0.1", None, default)),
            // The main model's key goes to no other server.
            (&[KEY, own], is("127.0.0.1", None, default)),
            (&[KEY, own, own_key], is("127.0.0.1", Some("sk-ears"), default)),
            (&[KEY, openai], is("api.openai.com", Some("sk-model"), default)),
            (&[KEY, ("MYNAH_TRANSCRIPTION_MODEL", "whisper-1")], is("api.openai.com", Some("sk-model"), "whisper-1")),
            (&[KEY, ("MYNAH_TRANSCRIPTION_MODEL", "off")], None),
        ] {
            assert_eq!(transcription_server(env), expected, "{env:?}");
        }
        let missing = errors(&[openai]);
        assert!(missing[0].starts_with("MYNAH_TRANSCRIPTION_API_KEY: found no value"), "{missing:?}");
    }

    #[test]
    fn a_language_is_two_letters() {
        let language = |text| load(&[KEY, ("MYNAH_TRANSCRIPTION_LANGUAGE", text)]);
        assert_eq!(language("de").unwrap().media.transcription.unwrap().language.as_deref(), Some("de"));
        assert!(language("german").is_err() && language("D1").is_err());
    }

    #[test]
    fn pictures_are_shown_unless_the_owner_says_otherwise() {
        assert!(load(&[]).unwrap().media.vision);
        assert!(!load(&[("MYNAH_AI_VISION", "false")]).unwrap().media.vision);
    }
}
