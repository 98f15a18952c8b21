//! The language model.

use std::time::Duration;

use url::Url;

use super::local_model;
use super::provider::ProviderConfig;
use super::provider::is_openai;
use crate::config::schema::names::AiSettingNames;
use crate::config::schema::parse;
use crate::config::schema::problem::Problem;
use crate::config::sources::reader;
use crate::config::sources::reader::ReadSetting;
use crate::config::sources::reader::SettingsReader;
use crate::text;

/// Which model answers, and how.
#[derive(Clone, Debug)]
pub struct AiConfig {
    /// The protocol, with its address and key.
    pub provider: ProviderConfig,
    /// The model's name; `None` takes the provider's default.
    pub model: Option<String>,
    /// The most tokens an answer may take; `None` takes the provider's default.
    pub max_tokens: Option<u32>,
    /// Sampling temperature; `None` sends none.
    pub temperature: Option<f64>,
    /// The whole of one call.
    pub timeout: Duration,
    /// Calls at once.
    pub concurrency: usize,
    /// How many tokens the model reads and writes in one call.
    pub context_tokens: usize,
    /// What its own settings are called.
    pub setting_names: AiSettingNames,
}

/// The model at OpenAI where the owner names none.
const DEFAULT_OPENAI_MODEL: &str = "gpt-5-mini";

/// The model at Anthropic where the owner names none.
const DEFAULT_ANTHROPIC_MODEL: &str = "claude-sonnet-5";

/// The cap at servers that speak OpenAI's protocol and are not OpenAI's, where the owner sets none: llama.cpp is unlimited
/// without one.
pub const DEFAULT_MAX_TOKENS_COMPATIBLE: u32 = 1_024;

/// The cap at Anthropic where the owner sets none: newer models think by default, and thinking counts. OpenAI's own server
/// is sent none, and so much is reserved for an answer there.
pub const DEFAULT_MAX_TOKENS_ANTHROPIC: u32 = 16_384;

impl AiConfig {
    /// The tokens that one call reads and writes at the most, as far as the settings tell.
    pub fn max_call_tokens(&self) -> (u32, u32) {
        let cap = match &self.provider {
            ProviderConfig::OpenAi { base_url, .. } if !is_openai(base_url.host_str().unwrap_or_default()) => {
                DEFAULT_MAX_TOKENS_COMPATIBLE
            }
            ProviderConfig::OpenAi { .. } | ProviderConfig::Anthropic { .. } => DEFAULT_MAX_TOKENS_ANTHROPIC,
            ProviderConfig::Offline { .. } => return (0, 0),
        };
        (u32::try_from(self.context_tokens).unwrap_or(u32::MAX), self.max_tokens.unwrap_or(cap))
    }

    /// Whether it is the same model at the same place by the same key, though it may be asked otherwise.
    pub fn is_same_model(&self, other: &AiConfig) -> bool {
        self.effective_model() == other.effective_model() && self.provider.is_same_server(&other.provider)
    }

    /// Whether it is at the same place and asked by the same key, be it another model.
    pub fn is_same_server(&self, other: &AiConfig) -> bool {
        self.provider.is_same_server(&other.provider)
    }

    /// Whether it is asked in the very same way, too.
    pub fn has_same_settings(&self, other: &AiConfig) -> bool {
        // All that is printed is all that there is, but for the key.
        self.is_same_model(other) && format!("{self:?}") == format!("{other:?}")
    }

    /// The model that is asked: the owner's, else the provider's default. `None` where only the server knows, and for the
    /// offline provider, which asks none.
    pub fn effective_model(&self) -> Option<&str> {
        let named = self.model.as_deref().map(str::trim).filter(|model| !model.is_empty());
        named.or(match &self.provider {
            ProviderConfig::OpenAi { base_url, .. } => {
                is_openai(base_url.host_str().unwrap_or_default()).then_some(DEFAULT_OPENAI_MODEL)
            }
            ProviderConfig::Anthropic { .. } => Some(DEFAULT_ANTHROPIC_MODEL),
            ProviderConfig::Offline { .. } => None,
        })
    }
}

/// Tokens kept free for an answer, where no cap is set.
const DEFAULT_ANSWER_TOKENS: usize = 1_024;

impl AiConfig {
    /// How many tokens of the context are kept free for an answer.
    pub fn answer_tokens(&self) -> usize {
        let answer = self.max_tokens.map_or(DEFAULT_ANSWER_TOKENS, |most| usize::try_from(most).unwrap_or(usize::MAX));
        answer.min(self.context_tokens / 2)
    }

    /// A warning, where these instructions leave no room for what is said: Ollama and its like would then drop the
    /// instructions themselves, without an error.
    pub(in crate::config) fn context_too_small_warning(&self, instructions: &str) -> Option<String> {
        let (wanted, room) = (text::estimate_tokens(instructions), self.context_tokens - self.answer_tokens());
        let reads = !matches!(self.provider, ProviderConfig::Offline { .. });
        // What a model is called and how much it reads are set by names that begin alike.
        let setting = self.setting_names.model.replace("_MODEL", "_CONTEXT_TOKENS");
        (reads && wanted >= room).then(|| {
            format!(
                "MYNAH_SYSTEM_PROMPT takes about {wanted} tokens, and {setting} leaves {room} to all that the model reads: it \
                 may lose its instructions; shorten them, or run the model with more and set that"
            )
        })
    }
}

/// What says who is asked. A number whose file holds any of these has a model of its own...
pub(in crate::config) const PROVIDER_KEYS: [&str; 6] = [
    "MYNAH_AI_PROVIDER",
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_BASE_URL",
    "MYNAH_OFFLINE_DIR",
];

/// ...of which these are meant too, also where the file does not hold them: what fits one model need not fit another.
pub(in crate::config) const MODEL_KEYS: [&str; 6] = [
    "MYNAH_AI_MODEL",
    "MYNAH_AI_MAX_TOKENS",
    "MYNAH_AI_TEMPERATURE",
    "MYNAH_AI_TIMEOUT",
    "MYNAH_AI_CONCURRENCY",
    "MYNAH_AI_CONTEXT_TOKENS",
];

/// The protocols by name.
pub(in crate::config) const PROTOCOLS: [(&str, Protocol); 3] =
    [("openai", Protocol::OpenAi), ("anthropic", Protocol::Anthropic), ("offline", Protocol::Offline)];

#[derive(Clone, Copy)]
pub(in crate::config) enum Protocol {
    OpenAi,
    Anthropic,
    Offline,
}

/// Reads the model. `None` where no provider is named and none has a key or an address.
pub(in crate::config) fn read(reader: &mut SettingsReader) -> Option<AiConfig> {
    let kind = reader.read("MYNAH_AI_PROVIDER", |text| parse::choice(text, &PROTOCOLS));
    let model = reader.read("MYNAH_AI_MODEL", parse::visible_ascii);
    let max_tokens = reader.read("MYNAH_AI_MAX_TOKENS", |text| parse::integer(text, 1..=u32::MAX)).valid();
    let temperature = reader.read("MYNAH_AI_TEMPERATURE", |text| parse::decimal(text, 0.0..=2.0)).valid();
    let second = Duration::from_secs(1);
    let timeout = reader.read_or_default("MYNAH_AI_TIMEOUT", |text| parse::duration(text, second..=second * 3_600));
    let concurrency = reader.read("MYNAH_AI_CONCURRENCY", |text| parse::integer(text, 1..=10_000)).valid();
    let context = reader.read("MYNAH_AI_CONTEXT_TOKENS", |text| parse::integer(text, 1_024..=10_000_000)).valid();
    let openai_key = reader.read("OPENAI_API_KEY", parse::secret);
    let openai_url = reader.read("OPENAI_BASE_URL", parse::base_url);
    let anthropic_key = reader.read("ANTHROPIC_API_KEY", parse::secret);
    let anthropic_url = reader.read("ANTHROPIC_BASE_URL", parse::base_url);
    let folder = reader.read_path("MYNAH_OFFLINE_DIR");

    let openai = !openai_key.is_absent() || !openai_url.is_absent();
    let kind = match (kind, openai, !anthropic_key.is_absent()) {
        (ReadSetting::Valid(kind), ..) => kind,
        (ReadSetting::Invalid, ..) => return None,
        (ReadSetting::Absent, true, false) => Protocol::OpenAi,
        (ReadSetting::Absent, false, true) => Protocol::Anthropic,
        (ReadSetting::Absent, true, true) if reader.layers.is_sandbox() => {
            let note =
                "there are settings for both OpenAI and Anthropic, and OpenAI's are taken; MYNAH_AI_PROVIDER chooses";
            reader.warn(note.to_owned());
            Protocol::OpenAi
        }
        (ReadSetting::Absent, true, true) => {
            let found = "no value, though there are settings for both OpenAI and Anthropic";
            let place = reader.place_where_missing("MYNAH_AI_PROVIDER", reader.name_where_missing("MYNAH_AI_PROVIDER"));
            reader.report(Problem::new(place, found, "openai or anthropic, to choose one"));
            return None;
        }
        (ReadSetting::Absent, false, false) => {
            if !model.is_absent() || folder.is_some() {
                let warning = "no AI provider is set, so nobody answers; set MYNAH_AI_PROVIDER, or the provider's key";
                reader.warn(warning.to_owned());
            }
            return None;
        }
    };
    let provider = match kind {
        Protocol::OpenAi => {
            if openai_key.is_absent() && openai_url.is_absent() {
                reader.report_missing(
                    "OPENAI_API_KEY",
                    "the provider is openai and OPENAI_BASE_URL names no server of your own",
                );
            }
            let base_url =
                openai_url.valid().unwrap_or_else(|| reader::table_default("OPENAI_BASE_URL", parse::base_url));
            if !has_version(&base_url) {
                let warning = "OPENAI_BASE_URL has no /v1, which OpenAI's SDKs and most servers expect there";
                reader.warn(warning.to_owned());
            }
            ProviderConfig::OpenAi { base_url, api_key: openai_key.valid() }
        }
        Protocol::Anthropic => {
            if anthropic_key.is_absent() {
                reader.report_missing("ANTHROPIC_API_KEY", "the provider is anthropic");
            }
            let base_url =
                anthropic_url.valid().unwrap_or_else(|| reader::table_default("ANTHROPIC_BASE_URL", parse::base_url));
            if has_version(&base_url) {
                let warning =
                    "ANTHROPIC_BASE_URL has a /v1, which belongs to the path that follows, as in Anthropic's SDKs";
                reader.warn(warning.to_owned());
            }
            if temperature.is_some_and(|temperature| temperature > 1.0) {
                reader.warn("MYNAH_AI_TEMPERATURE is above 1, which Anthropic refuses".to_owned());
            }
            ProviderConfig::Anthropic { base_url, api_key: anthropic_key.valid()? }
        }
        Protocol::Offline => ProviderConfig::Offline { folder },
    };
    let names = if let Protocol::Anthropic = kind { AiSettingNames::ANTHROPIC } else { AiSettingNames::OPENAI };
    let concurrency = concurrency.unwrap_or_else(|| local_model::default_concurrency(&provider));
    let context_tokens = context.unwrap_or_else(|| local_model::default_context_tokens(&provider));
    Some(AiConfig {
        provider,
        model: model.valid(),
        max_tokens,
        temperature,
        timeout,
        concurrency,
        context_tokens,
        setting_names: names,
    })
}

/// Whether a part of the path is a version, such as `v1` or `v1beta`.
fn has_version(url: &Url) -> bool {
    let version =
        |part: &str| part.strip_prefix('v').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    url.path_segments().is_some_and(|mut parts| parts.any(version))
}

#[cfg(test)]
mod tests {
    use secrecy::{ExposeSecret, SecretString};

    use super::*;
    use crate::config::Config;
    use crate::config::sources::environment::Sources;
    use crate::config::tests::errors;
    use crate::config::tests::load;
    use crate::config::tests::sources;

    const OPENAI: (&str, &str) = ("OPENAI_API_KEY", "sk-1");
    const OLLAMA: (&str, &str) = ("OPENAI_BASE_URL", "http://127.0.0.1:11434/v1/");
    const ANTHROPIC: (&str, &str) = ("ANTHROPIC_API_KEY", "sk-ant-1");

    fn describe_provider(env: &[(&str, &str)]) -> String {
        let exposed = |key: &SecretString| key.expose_secret().to_owned();
        match load(env).unwrap().ai.map(|ai| ai.provider) {
            None => "none".to_owned(),
            Some(ProviderConfig::OpenAi { base_url, api_key }) => {
                format!("openai {base_url} {}", api_key.as_ref().map(exposed).unwrap_or_default())
            }
            Some(ProviderConfig::Anthropic { base_url, api_key }) => {
                format!("anthropic {base_url} {}", exposed(&api_key))
            }
            Some(ProviderConfig::Offline { folder }) => format!("offline {}", folder.unwrap_or_default().display()),
        }
    }

    #[test]
    fn the_provider_is_the_named_one_or_the_only_one_with_settings() {
        let provider = |name| ("MYNAH_AI_PROVIDER", name);
        for (env, description) in [
            (&[][..], "none"),
            (&[("ANTHROPIC_BASE_URL", "https://proxy.example")], "none"),
            (&[OPENAI], "openai https://api.openai.com/v1 sk-1"),
            (&[OLLAMA], "openai http://127.0.0.1:11434/v1 "),
            (&[OLLAMA, OPENAI], "openai http://127.0.0.1:11434/v1 sk-1"),
            (&[ANTHROPIC], "anthropic https://api.anthropic.com/ sk-ant-1"),
            (&[ANTHROPIC, OPENAI, provider("openai")], "openai https://api.openai.com/v1 sk-1"),
            (&[ANTHROPIC, OLLAMA, provider("anthropic")], "anthropic https://api.anthropic.com/ sk-ant-1"),
            (&[OPENAI, provider("offline")], "offline "),
            (&[provider("offline"), ("MYNAH_OFFLINE_DIR", "/srv/texts")], "offline /srv/texts"),
        ] {
            assert_eq!(describe_provider(env), description);
        }
    }

    #[test]
    fn two_providers_ask_for_a_choice() {
        for openai in [OPENAI, OLLAMA] {
            assert_eq!(
                errors(&[openai, ANTHROPIC]),
                [
                    "MYNAH_AI_PROVIDER: found no value, though there are settings for both OpenAI and Anthropic, expected \
                  openai or anthropic, to choose one"
                ]
            );
        }
    }

    #[test]
    fn a_stage_takes_openai_of_two_and_says_so() {
        for openai in [OPENAI, OLLAMA] {
            let staged = |env: &[(&str, &str)]| Config::load(Sources { sandbox: true, ..sources(env) }).unwrap();
            let config = staged(&[openai, ANTHROPIC]);
            assert!(matches!(config.ai.unwrap().provider, ProviderConfig::OpenAi { .. }));
            let warnings = config.warnings;
            assert!(warnings.len() == 1 && warnings[0].contains("OpenAI's are taken"), "{warnings:?}");
            let config = staged(&[openai, ANTHROPIC, ("MYNAH_AI_PROVIDER", "anthropic")]);
            assert!(matches!(config.ai.unwrap().provider, ProviderConfig::Anthropic { .. }));
            assert_eq!(config.warnings, [""; 0]);
        }
    }

    #[test]
    fn a_provider_without_its_key_is_an_error_unless_the_server_is_ones_own() {
        for (provider, key) in [("openai", "OPENAI_API_KEY"), ("anthropic", "ANTHROPIC_API_KEY")] {
            let errors = errors(&[("MYNAH_AI_PROVIDER", provider)]);
            assert!(
                errors.len() == 1 && errors[0].starts_with(&format!("{key}: found no value, expected ")),
                "{errors:?}"
            );
        }
        assert!(load(&[("MYNAH_AI_PROVIDER", "openai"), OLLAMA]).is_ok());
        // What is there and wrong is not also missing.
        assert_eq!(errors(&[("ANTHROPIC_API_KEY", "a b")]).len(), 1);
        assert_eq!(errors(&[("OPENAI_BASE_URL", "ollama")]).len(), 1);
    }

    #[test]
    fn limits_are_the_providers_unless_they_are_set() {
        let ai = load(&[OPENAI]).unwrap().ai.unwrap();
        assert_eq!((ai.model, ai.max_tokens, ai.temperature), (None, None, None));
        assert_eq!(ai.timeout, Duration::from_secs(120));
        let limits = [
            ("MYNAH_AI_MODEL", "llama3.2:3b"),
            ("MYNAH_AI_MAX_TOKENS", "4096"),
            ("MYNAH_AI_TEMPERATURE", "0.3"),
            ("MYNAH_AI_TIMEOUT", "5m"),
        ];
        let ai = load(&[&[OPENAI][..], &limits].concat()).unwrap().ai.unwrap();
        assert_eq!((ai.model.as_deref(), ai.max_tokens, ai.temperature), (Some("llama3.2:3b"), Some(4096), Some(0.3)));
        assert_eq!(ai.timeout, Duration::from_secs(300));
    }

    #[test]
    fn instructions_that_fill_the_context_are_a_warning() {
        let prompt = |letters: usize| ("MYNAH_SYSTEM_PROMPT", "x".repeat(letters));
        for (letters, server, warns) in [(9_000, OLLAMA, false), (9_300, OLLAMA, true), (9_300, OPENAI, false)] {
            let (key, text) = prompt(letters);
            let warnings = load(&[server, (key, &text)]).unwrap().warnings;
            assert_eq!(warnings.len(), usize::from(warns), "{letters} {warnings:?}");
            assert!(
                warnings.iter().all(|warning| warning.contains("MYNAH_AI_CONTEXT_TOKENS leaves 3072")),
                "{warnings:?}"
            );
        }
        let (key, text) = prompt(9_300);
        let second = [("MYNAH_AI_2_PROVIDER", "openai"), ("MYNAH_AI_2_BASE_URL", OLLAMA.1), ("MYNAH_AI_2_MODEL", "m")];
        let warnings = load(&[&[OPENAI, (key, text.as_str())][..], &second].concat()).unwrap().warnings;
        assert!(warnings.len() == 1 && warnings[0].contains("MYNAH_AI_2_CONTEXT_TOKENS"), "{warnings:?}");
    }

    #[test]
    fn an_address_that_seems_not_meant_is_a_warning() {
        for (env, warning) in [
            (&[("OPENAI_BASE_URL", "http://127.0.0.1:11434")][..], "OPENAI_BASE_URL has no /v1"),
            (&[ANTHROPIC, ("ANTHROPIC_BASE_URL", "https://api.anthropic.com/v1")], "ANTHROPIC_BASE_URL has a /v1"),
            (&[ANTHROPIC, ("MYNAH_AI_TEMPERATURE", "1.5")], "MYNAH_AI_TEMPERATURE is above 1"),
            (&[("MYNAH_AI_MODEL", "gpt-5-mini")], "no AI provider is set"),
        ] {
            let warnings = load(env).unwrap().warnings;
            assert!(warnings.len() == 1 && warnings[0].starts_with(warning), "{warnings:?}");
        }
        let gemini = "https://generativelanguage.googleapis.com/v1beta/openai/";
        assert!(load(&[OPENAI, ("OPENAI_BASE_URL", gemini)]).unwrap().warnings.is_empty());
    }
}
