//! The fallback models, which answer if the first model cannot.

use secrecy::SecretString;

use super::ai::{AiConfig, ENVIRONMENT, Protocol};
use super::provider::ProviderConfig;
use super::{ai, local_model};
use crate::config::schema::names::AiSettingNames;
use crate::config::schema::parse;
use crate::config::sources::reader;
use crate::config::sources::reader::SettingsReader;

/// The settings of one fallback model.
struct FallbackKeys {
    provider: &'static str,
    context_tokens: &'static str,
    setting_names: AiSettingNames,
}

const FALLBACK_KEYS: [FallbackKeys; 2] = [
    FallbackKeys {
        provider: "MYNAH_AI_2_PROVIDER",
        context_tokens: "MYNAH_AI_2_CONTEXT_TOKENS",
        setting_names: AiSettingNames {
            model: "MYNAH_AI_2_MODEL",
            base_url: "MYNAH_AI_2_BASE_URL",
            api_key: "MYNAH_AI_2_API_KEY",
        },
    },
    FallbackKeys {
        provider: "MYNAH_AI_3_PROVIDER",
        context_tokens: "MYNAH_AI_3_CONTEXT_TOKENS",
        setting_names: AiSettingNames {
            model: "MYNAH_AI_3_MODEL",
            base_url: "MYNAH_AI_3_BASE_URL",
            api_key: "MYNAH_AI_3_API_KEY",
        },
    },
];

/// Returns all settings of the fallback models.
pub(in crate::config) fn all_keys() -> impl Iterator<Item = &'static str> {
    let of = |keys: &FallbackKeys| {
        [
            keys.provider,
            keys.context_tokens,
            keys.setting_names.model,
            keys.setting_names.base_url,
            keys.setting_names.api_key,
        ]
    };
    FALLBACK_KEYS.iter().flat_map(of)
}

/// Reads the fallback models, in order. They share the token limit, temperature and timeout of the first model.
pub(in crate::config) fn read(reader: &mut SettingsReader, first: Option<&AiConfig>) -> Vec<AiConfig> {
    let mut fallbacks = Vec::new();
    for keys in FALLBACK_KEYS {
        let names = keys.setting_names;
        let kind = reader.read(keys.provider, |text| parse::choice(text, &ai::PROTOCOLS));
        let model = reader.read(names.model, parse::visible_ascii);
        let base_url = reader.read(names.base_url, parse::base_url);
        let api_key = reader.read(names.api_key, parse::secret);
        let context = reader.read(keys.context_tokens, |text| parse::integer(text, 1_024..=10_000_000)).valid();
        let other_settings_set = !model.is_absent() || !base_url.is_absent() || !api_key.is_absent();
        if kind.is_absent() {
            if other_settings_set {
                reader.report_missing(keys.provider, "other settings of this fallback model are set");
            }
            continue;
        }
        let (Some(kind), Some(first)) = (kind.valid(), first) else {
            if first.is_none() {
                reader.warn(format!("{} is set without a first model, so mynah does not use it", keys.provider));
            }
            continue;
        };
        let provider = match kind {
            Protocol::OpenAi => {
                if base_url.is_absent() && api_key.is_absent() {
                    reader.report_missing(
                        names.api_key,
                        "the provider of the fallback model is openai and no server of your own is set",
                    );
                }
                let own = base_url.valid();
                let base_url = own.unwrap_or_else(|| reader::table_default("OPENAI_BASE_URL", parse::base_url));
                ProviderConfig::OpenAi { base_url, api_key: api_key.valid() }
            }
            Protocol::Anthropic => {
                if api_key.is_absent() {
                    reader.report_missing(names.api_key, "the provider of the fallback model is anthropic");
                }
                let own = base_url.valid();
                let base_url = own.unwrap_or_else(|| reader::table_default("ANTHROPIC_BASE_URL", parse::base_url));
                let api_key = api_key.valid().unwrap_or_else(|| SecretString::from(""));
                ProviderConfig::Anthropic { base_url, api_key }
            }
            Protocol::Offline => {
                let folder =
                    if let ProviderConfig::Offline { folder } = &first.provider { folder.clone() } else { None };
                ProviderConfig::Offline { folder: folder.or_else(|| reader.read_path("MYNAH_OFFLINE_DIR")) }
            }
        };
        fallbacks.push(AiConfig {
            model: model.valid(),
            max_tokens: first.max_tokens,
            temperature: first.temperature,
            timeout: first.timeout,
            concurrency: local_model::default_concurrency(&provider),
            context_tokens: context.unwrap_or_else(|| local_model::default_context_tokens(&provider)),
            setting_names: names,
            configuration: ENVIRONMENT.to_owned(),
            provider,
        });
    }
    fallbacks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::{errors, load};

    const FIRST_MODEL: (&str, &str) = ("OPENAI_API_KEY", "sk-1");

    #[test]
    fn fallbacks_stand_in_their_order() {
        let env = [
            FIRST_MODEL,
            ("MYNAH_AI_TIMEOUT", "20s"),
            ("MYNAH_AI_2_PROVIDER", "anthropic"),
            ("MYNAH_AI_2_API_KEY", "sk-ant"),
            ("MYNAH_AI_3_PROVIDER", "openai"),
            ("MYNAH_AI_3_BASE_URL", "http://127.0.0.1:11434/v1"),
            ("MYNAH_AI_3_MODEL", "llama3.2"),
        ];
        let fallbacks = load(&env).unwrap().fallbacks;
        assert_eq!(fallbacks.len(), 2);
        assert!(matches!(fallbacks[0].provider, ProviderConfig::Anthropic { .. }));
        let keys: Vec<_> = fallbacks.iter().map(|ai| ai.setting_names.api_key).collect();
        assert_eq!(keys, ["MYNAH_AI_2_API_KEY", "MYNAH_AI_3_API_KEY"]);
        assert_eq!((fallbacks[0].context_tokens, fallbacks[0].timeout.as_secs()), (32_768, 20));
        let last = &fallbacks[1];
        assert_eq!((last.model.as_deref(), last.concurrency, last.context_tokens), (Some("llama3.2"), 2, 4_096));
        assert!(!format!("{fallbacks:?}").contains("sk-ant"));
    }

    #[test]
    fn half_a_fallback_is_an_error_and_one_without_a_first_a_warning() {
        for (env, key) in [
            (("MYNAH_AI_2_MODEL", "gpt-5-mini"), "MYNAH_AI_2_PROVIDER"),
            (("MYNAH_AI_3_PROVIDER", "anthropic"), "MYNAH_AI_3_API_KEY"),
            (("MYNAH_AI_2_PROVIDER", "openai"), "MYNAH_AI_2_API_KEY"),
        ] {
            let errors = errors(&[FIRST_MODEL, env]);
            assert!(errors.len() == 1 && errors[0].starts_with(key), "{errors:?}");
        }
        assert_eq!(load(&[("MYNAH_AI_2_PROVIDER", "offline")]).unwrap().warnings.len(), 1);
    }
}
