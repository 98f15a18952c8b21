//! The language model.

use std::time::Duration;

use url::Url;

use super::local_model;
use super::provider::{ProviderConfig, is_openai};
use crate::config::schema::names::AiSettingNames;
use crate::config::schema::parse;
use crate::config::schema::problem::Problem;
use crate::config::sources::reader;
use crate::config::sources::reader::{ReadSetting, SettingsReader};
use crate::text;

/// A model, and how mynah calls it.
#[derive(Clone, Debug)]
pub struct AiConfig {
    /// The protocol, with its address and key.
    pub provider: ProviderConfig,
    /// The model's name; `None` for the provider's default.
    pub model: Option<String>,
    /// The most tokens that an answer may take; `None` for the provider's default.
    pub max_tokens: Option<u32>,
    /// Sampling temperature; `None` sends none.
    pub temperature: Option<f64>,
    /// The time limit of one whole call.
    pub timeout: Duration,
    /// The most calls at once.
    pub concurrency: usize,
    /// How many tokens the model reads and writes in one call.
    pub context_tokens: usize,
    /// The names of the model's own settings.
    pub setting_names: AiSettingNames,
    /// The name of the stored AI configuration; `environment` for what the other layers describe.
    pub configuration: String,
}

/// The model at OpenAI if the owner names none.
const DEFAULT_OPENAI_MODEL: &str = "gpt-5-mini";

/// The model at Anthropic if the owner names none.
const DEFAULT_ANTHROPIC_MODEL: &str = "claude-sonnet-5";

/// The token limit of an answer from servers that speak OpenAI's protocol and are not OpenAI's, if the owner sets none.
/// Without a limit, llama.cpp may go on forever.
pub const DEFAULT_MAX_TOKENS_COMPATIBLE: u32 = 1_024;

/// The token limit of an answer from Anthropic if the owner sets none. It is high because newer models think by
/// default, and thinking counts. mynah sends OpenAI's own server no limit, and reserves this many tokens for an answer
/// there.
pub const DEFAULT_MAX_TOKENS_ANTHROPIC: u32 = 16_384;

impl AiConfig {
    /// Returns the most tokens that one call reads and writes, as far as the settings say.
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

    /// Whether both are the same model at the same server with the same key. Other settings may differ.
    pub fn is_same_model(&self, other: &AiConfig) -> bool {
        self.effective_model() == other.effective_model() && self.provider.is_same_server(&other.provider)
    }

    /// Whether both are at the same server with the same key. The models may differ.
    pub fn is_same_server(&self, other: &AiConfig) -> bool {
        self.provider.is_same_server(&other.provider)
    }

    /// Whether both are the same model, called with the same settings.
    pub fn has_same_settings(&self, other: &AiConfig) -> bool {
        // `Debug` prints every field except the key, which `is_same_model` compares.
        self.is_same_model(other) && format!("{self:?}") == format!("{other:?}")
    }

    /// Returns the name of the model: the owner's, else the provider's default. `None` if only the server knows it, and
    /// for the offline provider, which uses no model.
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

/// The tokens that are kept free for an answer if no token limit is set.
const DEFAULT_ANSWER_TOKENS: usize = 1_024;

impl AiConfig {
    /// Returns how many tokens of the context window are kept free for an answer.
    pub fn answer_tokens(&self) -> usize {
        let answer = self.max_tokens.map_or(DEFAULT_ANSWER_TOKENS, |most| usize::try_from(most).unwrap_or(usize::MAX));
        answer.min(self.context_tokens / 2)
    }

    /// Returns a warning if the instructions leave no room for the conversation. Ollama and similar servers would then
    /// drop the instructions themselves, without an error.
    pub(in crate::config) fn context_too_small_warning(&self, instructions: &str) -> Option<String> {
        let (wanted, room) = (text::estimate_tokens(instructions), self.context_tokens - self.answer_tokens());
        let reads = !matches!(self.provider, ProviderConfig::Offline { .. });
        // The variables of the model's name and of its context window begin alike.
        let setting =
            self.setting_names.model.replace("_MODEL", "_CONTEXT_TOKENS").replace("--model", "--context-tokens");
        (reads && wanted >= room).then(|| {
            format!(
                "MYNAH_SYSTEM_PROMPT takes about {wanted} tokens, but {setting} leaves {room} for all that the model \
                 reads, so the model may lose its instructions; shorten them, or run the model with a larger context \
                 window and raise {setting}"
            )
        })
    }
}

/// The name of the model that the environment, the file and the stored settings describe.
pub(in crate::config) const ENVIRONMENT: &str = "environment";

/// The settings that choose the model's server. A number whose file has any of these has a model of its own, and
/// inherits none of them.
pub(in crate::config) const PROVIDER_KEYS: [&str; 6] = [
    "MYNAH_AI_PROVIDER",
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_BASE_URL",
    "MYNAH_OFFLINE_DIR",
];

/// The settings of the calls. A number with a model of its own inherits none of these either, because a value that fits
/// one model need not fit another.
pub(in crate::config) const MODEL_KEYS: [&str; 6] = [
    "MYNAH_AI_MODEL",
    "MYNAH_AI_MAX_TOKENS",
    "MYNAH_AI_TEMPERATURE",
    "MYNAH_AI_TIMEOUT",
    "MYNAH_AI_CONCURRENCY",
    "MYNAH_AI_CONTEXT_TOKENS",
];

/// The protocols by their names.
pub(in crate::config) const PROTOCOLS: [(&str, Protocol); 3] =
    [("openai", Protocol::OpenAi), ("anthropic", Protocol::Anthropic), ("offline", Protocol::Offline)];

#[derive(Clone, Copy)]
pub(in crate::config) enum Protocol {
    OpenAi,
    Anthropic,
    Offline,
}

/// Reads the model. Returns `None` if no provider is named and none has a key or an address.
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
        (ReadSetting::Absent, true, true) if reader.layers.is_simulation() => {
            let note =
                "there are settings for both OpenAI and Anthropic; mynah uses OpenAI unless MYNAH_AI_PROVIDER is set";
            reader.warn(note.to_owned());
            Protocol::OpenAi
        }
        (ReadSetting::Absent, true, true) => {
            let found = "no value, although there are settings for both OpenAI and Anthropic";
            let place = reader.place_where_missing("MYNAH_AI_PROVIDER", reader.name_where_missing("MYNAH_AI_PROVIDER"));
            reader.report(Problem::new(place, found, "openai or anthropic, to choose one"));
            return None;
        }
        (ReadSetting::Absent, false, false) => {
            if !model.is_absent() || folder.is_some() {
                let warning = "no AI provider is set, so no model answers; set MYNAH_AI_PROVIDER or the provider's key";
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
                let warning = "ANTHROPIC_BASE_URL has a /v1; leave it out, as in Anthropic's SDKs: mynah adds it";
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
        configuration: ENVIRONMENT.to_owned(),
    })
}

/// Whether a segment of the path is a version, such as `v1` or `v1beta`.
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
    use crate::config::tests::{errors, load, sources};

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
                ["MYNAH_AI_PROVIDER: found no value, although there are settings for both OpenAI and Anthropic, \
                     expected openai or anthropic, to choose one"]
            );
        }
    }

    #[test]
    fn a_simulation_prefers_openai_of_two_keys_and_says_so() {
        for openai in [OPENAI, OLLAMA] {
            let simulated = |env: &[(&str, &str)]| Config::load(Sources { simulation: true, ..sources(env) }).unwrap();
            let config = simulated(&[openai, ANTHROPIC]);
            assert!(matches!(config.ai.unwrap().provider, ProviderConfig::OpenAi { .. }));
            let warnings = config.warnings;
            assert!(warnings.len() == 1 && warnings[0].contains("mynah uses OpenAI"), "{warnings:?}");
            let config = simulated(&[openai, ANTHROPIC, ("MYNAH_AI_PROVIDER", "anthropic")]);
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
        // A wrong value is not also reported as missing.
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
