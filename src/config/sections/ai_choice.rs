//! Which models answer: what the environment and the file describe, else the stored AI configuration that is in use.

use super::ai::{AiConfig, ENVIRONMENT, MODEL_KEYS, PROVIDER_KEYS};
use super::{ai, fallback};
use crate::config::schema::names::AiSettingNames;
use crate::config::schema::parse::Parsed;
use crate::config::schema::problem::{Problem, Rejected};
use crate::config::schema::settings;
use crate::config::sources::own_settings::OwnSettings;
use crate::config::sources::reader::SettingsReader;

/// The setting that names the stored AI configuration in use.
pub(in crate::config) const IN_USE_KEY: &str = "MYNAH_AI_CONFIGURATION";

/// The setting that names the stored AI configurations that stand in, in order.
pub(in crate::config) const FALLBACKS_KEY: &str = "MYNAH_AI_FALLBACKS";

/// The models of one number.
pub(in crate::config) struct Models {
    pub(in crate::config) first: Option<AiConfig>,
    pub(in crate::config) fallbacks: Vec<AiConfig>,
}

/// Reads the models. `own_choice`: the number itself names the AI configuration, so that what the environment and the
/// file describe does not count.
pub(in crate::config) fn read(reader: &mut SettingsReader, own_choice: bool) -> Models {
    let chosen = reader.read(IN_USE_KEY, parse_name).valid();
    let names = reader.read_or_default(FALLBACKS_KEY, parse_names);
    let on_machine = if own_choice { None } else { reader.layers.find_on_machine(PROVIDER_KEYS) };
    let first = match (chosen, on_machine) {
        (Some(name), None) => read_stored(reader, IN_USE_KEY, &name),
        (Some(name), Some(place)) => {
            let setting = settings::find(IN_USE_KEY).and_then(|setting| reader.layers.find(setting).ok().flatten());
            // A stored choice is made at the shell or on a page, which tell that it does not count.
            if setting.is_some_and(|found| !found.is_stored()) {
                reader.warn(format!("{IN_USE_KEY} names {name}, but {place} goes before it"));
            }
            ai::read(reader)
        }
        (None, _) => ai::read(reader),
    };
    let mut fallbacks = fallback::read(reader, first.as_ref());
    for name in names {
        if let Some(stored) = read_stored(reader, FALLBACKS_KEY, &name) {
            fallbacks.push(stored);
        }
    }
    if first.is_none() && !fallbacks.is_empty() {
        reader.warn(format!("{FALLBACKS_KEY} is set without a first model, so mynah does not use it"));
        fallbacks.clear();
    }
    Models { first, fallbacks }
}

/// Reads every stored AI configuration, whether or not it is in use, so that one that is wrong is noticed when it is
/// stored.
pub(in crate::config) fn read_all_stored(reader: &mut SettingsReader) -> Vec<AiConfig> {
    let names: Vec<String> = reader.layers.sources.ai_configurations.keys().cloned().collect();
    names.iter().filter_map(|name| read_stored(reader, IN_USE_KEY, name)).collect()
}

/// Reads the stored AI configuration that `key` names.
pub(in crate::config) fn read_stored(reader: &mut SettingsReader, key: &'static str, name: &str) -> Option<AiConfig> {
    let Some(values) = reader.layers.sources.ai_configurations.get(name).cloned() else {
        let stored: Vec<_> = reader.layers.sources.ai_configurations.keys().map(String::as_str).collect();
        let expected = match &stored[..] {
            [] => "the name of a stored AI configuration; none is stored (`mynah ai add`)".to_owned(),
            names => format!("one of the stored AI configurations: {}", names.join(", ")),
        };
        reader.report(Problem::new(key, format!("{name}, which is not stored"), expected));
        return None;
    };
    let mut own = OwnSettings::of_stored_ai(name.to_owned(), values);
    own.not_inherited.extend(PROVIDER_KEYS.into_iter().chain(MODEL_KEYS));
    reader.layers.own.push(own);
    let config = ai::read(reader);
    if let Some(own) = reader.layers.own.pop() {
        reader.report_shared_settings(&own);
    }
    config.map(|config| AiConfig { configuration: name.to_owned(), setting_names: AiSettingNames::STORED, ..config })
}

/// Parses the name of an AI configuration: letters, digits, `-` and `_`.
pub(in crate::config) fn parse_name(text: &str) -> Parsed<String> {
    let plain = |char: char| char.is_ascii_alphanumeric() || char == '-' || char == '_';
    let fits = !text.is_empty() && text.len() <= 40 && text.chars().all(plain) && text != ENVIRONMENT;
    if fits { Ok(text.to_owned()) } else { Err(Rejected::default()) }
}

/// Parses comma-separated names, or `none`.
fn parse_names(text: &str) -> Parsed<Vec<String>> {
    if text.trim() == "none" {
        return Ok(Vec::new());
    }
    text.split(',').map(|name| parse_name(name.trim())).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use secrecy::SecretString;

    use crate::config::sources::environment::{Sources, StoredSecret};
    use crate::config::tests::sources;
    use crate::config::{Config, ProviderConfig};

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    /// Two stored AI configurations, `fast` and `own`, beside this environment.
    fn stored(env: &[(&str, &str)]) -> Sources {
        let fast = map(&[("MYNAH_AI_PROVIDER", "anthropic"), ("MYNAH_AI_MODEL", "claude-haiku-5")]);
        let own = map(&[("MYNAH_AI_PROVIDER", "openai"), ("OPENAI_BASE_URL", "http://127.0.0.1:11434/v1")]);
        let secret = StoredSecret::Opened(SecretString::from("sk-ant-stored"));
        Sources {
            ai_configurations: [("fast".to_owned(), fast), ("own".to_owned(), own)].into(),
            secrets: [("ai.fast".to_owned(), secret)].into(),
            ..sources(env)
        }
    }

    fn used(sources: Sources) -> Vec<String> {
        let config = Config::load(sources).unwrap_or_else(|problems| panic!("{problems}"));
        config.ai.iter().chain(&config.fallbacks).map(|ai| ai.configuration.clone()).collect()
    }

    #[test]
    fn the_environment_goes_before_the_stored_configuration_in_use() {
        assert_eq!(used(stored(&[])), [""; 0], "none is in use");
        assert_eq!(used(stored(&[("MYNAH_AI_CONFIGURATION", "own")])), ["own"]);
        let chosen = [("MYNAH_AI_CONFIGURATION", "fast"), ("MYNAH_AI_FALLBACKS", "own,fast")];
        assert_eq!(used(stored(&chosen)), ["fast", "own", "fast"]);
        let mut sources = stored(&[("OPENAI_API_KEY", "sk-1"), ("MYNAH_AI_FALLBACKS", "own")]);
        sources.stored.insert("MYNAH_AI_CONFIGURATION".into(), "fast".into());
        assert_eq!(used(sources.clone()), ["environment", "own"]);
        assert_eq!(Config::load(sources).unwrap().warnings, [""; 0]);
        let both = stored(&[("OPENAI_API_KEY", "sk-1"), ("MYNAH_AI_CONFIGURATION", "fast")]);
        let warnings = Config::load(both).unwrap().warnings;
        assert!(warnings.len() == 1 && warnings[0].contains("environment variable OPENAI_API_KEY"), "{warnings:?}");
    }

    #[test]
    fn a_stored_configuration_takes_nothing_from_the_rest() {
        let env = [("MYNAH_AI_CONFIGURATION", "fast"), ("MYNAH_AI_TEMPERATURE", "0.2"), ("MYNAH_AI_TIMEOUT", "5s")];
        let ai = Config::load(stored(&env)).unwrap().ai.unwrap();
        assert_eq!((ai.model.as_deref(), ai.temperature), (Some("claude-haiku-5"), None));
        assert_eq!(ai.timeout.as_secs(), 120);
        assert!(matches!(ai.provider, ProviderConfig::Anthropic { .. }));
    }

    #[test]
    fn a_name_that_is_not_stored_is_an_error_with_those_that_are() {
        let problems = Config::load(stored(&[("MYNAH_AI_CONFIGURATION", "fats")])).unwrap_err().to_string();
        assert!(problems.contains("fats, which is not stored") && problems.contains("fast, own"), "{problems}");
        let problems = Config::load(sources(&[("MYNAH_AI_FALLBACKS", "fast")])).unwrap_err().to_string();
        assert!(problems.contains("none is stored"), "{problems}");
    }

    #[test]
    fn what_a_newer_version_stored_is_a_warning_unless_it_is_stored_now() {
        let mut sources = stored(&[("MYNAH_AI_CONFIGURATION", "own")]);
        let own = sources.ai_configurations.get_mut("own").unwrap();
        own.insert("MYNAH_AI_REASONING".into(), "high".into());
        own.insert("MYNAH_AI_TEMPERATURE".into(), "warm".into());
        let warnings = Config::load(sources.clone()).unwrap().warnings;
        assert!(warnings.len() == 2 && warnings.iter().all(|text| text.contains("mynah ignores it")), "{warnings:?}");
        let problems = Config::load(Sources { strict: true, ..sources }).unwrap_err();
        assert_eq!(problems.iter().count(), 2, "{problems}");
    }

    #[test]
    fn a_number_may_use_a_stored_configuration_of_its_own() {
        let mut sources = stored(&[
            ("OPENAI_API_KEY", "sk-1"),
            ("TWILIO_ACCOUNT_SID", "AC00000000000000000000000000000001"),
            ("TWILIO_AUTH_TOKEN", "t"),
            ("TWILIO_WHATSAPP_FROM", "+14155550001"),
            ("MYNAH_AI_2_PROVIDER", "offline"),
        ]);
        let sales = map(&[("TWILIO_WHATSAPP_FROM", "+14155550002"), ("MYNAH_AI_CONFIGURATION", "fast")]);
        let support = map(&[("TWILIO_WHATSAPP_FROM", "+14155550003")]);
        sources.numbers = [("sales".into(), sales), ("support".into(), support)].into();
        let numbers = Config::load(sources).unwrap().every_number();
        let used = |at: usize| -> Vec<_> {
            let number = &numbers[at];
            number.ai.iter().chain(&number.fallbacks).map(|ai| ai.configuration.clone()).collect()
        };
        assert_eq!(
            [used(0), used(1), used(2)],
            [
                vec!["environment".to_owned(), "environment".to_owned()],
                vec!["fast".to_owned()],
                vec!["environment".to_owned(), "environment".to_owned()],
            ]
        );
        assert_eq!(numbers[1].name, "sales");
    }
}
