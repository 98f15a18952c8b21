//! Stored settings: which values may be stored, and whether those that are stored take effect.

use secrecy::{ExposeSecret, SecretString};

use crate::config::Config;
use crate::config::schema::nearest_name::nearest_name;
use crate::config::schema::problem::Problem;
use crate::config::schema::problem::Problems;
use crate::config::schema::settings;
use crate::config::schema::settings::Setting;
use crate::config::sections::ai::{AiConfig, PROVIDER_KEYS};
use crate::config::sections::ai_choice;
use crate::config::sources::environment::Sources;
use crate::config::sources::reader::SettingsReader;
use crate::config::sources::value::Origin;
use crate::config::sources::value::candidate_place;

/// A stored setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSetting {
    /// Its variable.
    pub key: String,
    /// Its value; `None` for a secret, which should not be stored there.
    pub value: Option<String>,
    /// Whether it takes effect.
    pub state: StoredSettingState,
}

/// Whether a stored setting takes effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoredSettingState {
    /// It takes effect.
    Counts,
    /// A higher layer overrides it: this one, such as `environment variable MYNAH_TYPING`.
    Hidden(String),
    /// mynah ignores it, for this reason.
    LeftOut(String),
}

impl Config {
    /// Checks a value that is to be stored as if it were stored and no higher layer overrode it. The errors are those
    /// that the value adds, not those that the configuration has without it.
    pub fn validate_setting(sources: &Sources, key: &str, value: &str) -> Result<&'static Setting, Problems> {
        let refused =
            |found: &str, expected: String| Problems::from(Problem::new(candidate_place(key), found, expected));
        let setting = Config::find_setting(key).map_err(Problems::from)?;
        if let Some(why) = setting.why_not_storable() {
            let key = setting.key;
            let elsewhere = match (setting.secret, setting.file_key.is_empty() || key == "MYNAH_DATA_DIR") {
                (true, _) => format!("it encrypted: `mynah secret set {key}`"),
                (false, true) => "it as a flag or in the environment".to_owned(),
                (false, false) => "it in the environment or in the configuration file".to_owned(),
            };
            return Err(refused(why, elsewhere));
        }
        Config::validate_candidate(sources, setting, value)
    }

    /// Checks a secret that is to be stored, in the same way.
    pub fn validate_secret(sources: &Sources, key: &str, value: &SecretString) -> Result<&'static Setting, Problems> {
        let setting = Config::find_secret(key).map_err(Problems::from)?;
        Config::validate_candidate(sources, setting, value.expose_secret())
    }

    fn validate_candidate(
        sources: &Sources,
        setting: &'static Setting,
        value: &str,
    ) -> Result<&'static Setting, Problems> {
        if value.is_empty() {
            let place = candidate_place(setting.key);
            let problem = Problem::new(place, "an empty value, which counts as not set", setting.expects);
            return Err(Problems::from(problem));
        }
        let before = Config::load(sources.clone()).err();
        let trial = Some((setting.key, value.to_owned()));
        match Config::load(Sources { candidate: trial, ..sources.clone() }) {
            Ok(_) => Ok(setting),
            Err(after) => after.without(before.as_ref()).map_or(Ok(setting), Err),
        }
    }

    /// Checks the name of a new AI configuration or number.
    pub fn validate_own_name(name: &str) -> Result<(), Problem> {
        ai_choice::parse_name(name).map(drop).map_err(|_| {
            let expected = "a name of at most 40 letters, digits, - and _, other than environment";
            Problem::new("name", format!("{:?}", name.escape_debug().to_string()), expected)
        })
    }

    /// Returns a stored AI configuration, whether or not it is in use.
    pub fn stored_ai(sources: &Sources, name: &str) -> Result<AiConfig, Problems> {
        let mut reader = SettingsReader::new(sources.clone());
        let config = ai_choice::read_stored(&mut reader, ai_choice::IN_USE_KEY, name);
        Problems::ensure_none(std::mem::take(&mut reader.problems))?;
        let missing = || Problem::new(format!("AI configuration {name}"), "no provider", "a provider");
        config.ok_or_else(|| Problems::from(missing()))
    }

    /// Returns the place of the first setting by which the environment or the file describes a model, which goes before
    /// the stored AI configurations.
    pub fn model_on_machine(sources: &Sources) -> Option<String> {
        SettingsReader::new(sources.clone()).layers.find_on_machine(PROVIDER_KEYS)
    }

    /// Returns the setting with this name, if its value is a secret that can be stored encrypted.
    pub fn find_secret(key: &str) -> Result<&'static Setting, Problem> {
        let setting = Config::find_setting(key)?;
        if setting.can_be_stored_as_secret() {
            return Ok(setting);
        }
        let (found, expected) = if setting.secret {
            let found = "the address of the database, so it cannot be stored there";
            (found, format!("it in the environment, in a file that {key}_FILE names, or as a systemd credential"))
        } else {
            ("a setting that is not a secret", format!("a secret, or `mynah settings set {key}`"))
        };
        Err(Problem::new(candidate_place(key), found, expected))
    }

    /// Returns the layer that overrides a stored setting or secret; `None` if nothing does. The error says that there is
    /// no setting of that name.
    pub fn overriding_layer(sources: &Sources, key: &str) -> Result<Option<String>, Problem> {
        let setting = Config::find_setting(key)?;
        let reader = SettingsReader::new(sources.clone());
        Ok(match reader.layers.find(setting) {
            Err(problem) => Some(problem.to_string()),
            Ok(Some(found)) if !matches!(found.origin, Origin::Stored | Origin::StoredSecret) => {
                Some(reader.layers.describe_origin(setting, &found.origin))
            }
            Ok(_) => None,
        })
    }

    /// Returns the stored settings, and whether each one takes effect.
    pub fn stored_settings(sources: &Sources) -> Vec<StoredSetting> {
        let reader = SettingsReader::new(sources.clone());
        let state_of = |key: &str, value: &str| {
            let Some(setting) = settings::find(key) else {
                return StoredSettingState::LeftOut("an unknown setting".to_owned());
            };
            if setting.can_be_stored() {
                match reader.layers.find(setting) {
                    Err(problem) => return StoredSettingState::Hidden(problem.to_string()),
                    Ok(Some(found)) if !matches!(found.origin, Origin::Stored) => {
                        return StoredSettingState::Hidden(reader.layers.describe_origin(setting, &found.origin));
                    }
                    Ok(_) => {}
                }
            }
            let own = candidate_place(key);
            let problems = Config::validate_setting(sources, key, value).err();
            let problem = problems.iter().flat_map(Problems::iter).find(|problem| problem.place() == own);
            problem.map_or(StoredSettingState::Counts, |problem| StoredSettingState::LeftOut(problem.description()))
        };
        let stored = sources.stored.iter().map(|(key, value)| {
            let secret = settings::find(key).is_some_and(|setting| setting.secret);
            StoredSetting { key: key.clone(), value: (!secret).then(|| value.clone()), state: state_of(key, value) }
        });
        stored.collect()
    }

    /// Returns the setting with this name. The error suggests a similar name.
    pub fn find_setting(key: &str) -> Result<&'static Setting, Problem> {
        settings::find(key)
            .ok_or_else(|| Problem::new(candidate_place(key), "an unknown setting", suggest_variable(key)))
    }
}

/// Suggests the variable that a wrong name may stand for.
fn suggest_variable(wrong: &str) -> String {
    let plain = wrong.to_ascii_uppercase().replace('-', "_");
    let ours = format!("MYNAH_{plain}");
    let keys = || settings::all().map(|setting| setting.key);
    let meant = keys().find(|key| *key == plain || *key == ours).or_else(|| nearest_name(&plain, keys()));
    meant.map_or_else(|| "one of the variables in docs/configuration.md".to_owned(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::config::tests::sources;
    use crate::config::tests::write;

    fn validation_errors(env: &[(&str, &str)], key: &str, value: &str) -> Vec<String> {
        let problems = Config::validate_setting(&sources(env), key, value).err();
        problems.iter().flat_map(Problems::iter).map(ToString::to_string).collect()
    }

    #[test]
    fn a_value_is_validated_like_the_configuration_even_if_it_would_be_overridden() {
        assert_eq!(validation_errors(&[], "MYNAH_TYPING", "false"), [""; 0]);
        for env in [&[][..], &[("MYNAH_TYPING", "true")]] {
            let expected = "setting MYNAH_TYPING: found \"maybe\", expected true or false";
            assert_eq!(validation_errors(env, "MYNAH_TYPING", "maybe"), [expected]);
        }
        // Errors that the value would cause elsewhere.
        let code = validation_errors(&[], "MYNAH_WHO", "code");
        assert!(code.len() == 1 && code[0].starts_with("MYNAH_PAIRING_CODE: found no value"), "{code:?}");
        assert_eq!(validation_errors(&[("MYNAH_PAIRING_CODE", "sesame42")], "MYNAH_WHO", "code"), [""; 0]);
        // Errors that were there before are not reported.
        assert_eq!(validation_errors(&[("MYNAH_WORKERS", "many")], "MYNAH_TYPING", "false"), [""; 0]);
    }

    #[test]
    fn an_unknown_or_unstorable_setting_is_refused_by_name() {
        for (key, value, expected) in [
            ("MYNAH_TYPNG", "true", "setting MYNAH_TYPNG: found an unknown setting, expected MYNAH_TYPING"),
            ("typing", "true", "setting typing: found an unknown setting, expected MYNAH_TYPING"),
            (
                "OPENAI_API_KEY",
                "sk-canary",
                "setting OPENAI_API_KEY: found a secret, which cannot be stored as a setting, expected it encrypted: \
                 `mynah secret set OPENAI_API_KEY`",
            ),
            (
                "MYNAH_DATA_DIR",
                "/x",
                "setting MYNAH_DATA_DIR: found a setting that mynah needs to read the database, so it cannot be stored \
                 there, expected it as a flag or in the environment",
            ),
            (
                "OPENAI_BASE_URL",
                "http://127.0.0.1:11434/v1",
                "setting OPENAI_BASE_URL: found an address that mynah calls, which can be set only on the machine \
                 itself, expected it in the environment or in the configuration file",
            ),
            (
                "MYNAH_TYPING",
                "",
                "setting MYNAH_TYPING: found an empty value, which counts as not set, expected true or false",
            ),
        ] {
            assert_eq!(validation_errors(&[], key, value), [expected]);
        }
    }

    #[test]
    fn each_stored_setting_is_listed_with_its_effect() {
        let mut sources = sources(&[("MYNAH_WORKERS", "5")]);
        for (key, value) in [
            ("MYNAH_WORKERS", "7"),
            ("MYNAH_TYPING", "false"),
            ("MYNAH_BURST", "maybe"),
            ("OPENAI_API_KEY", "sk-canary"),
            ("MYNAH_DATA_DIR", "/elsewhere"),
            ("MYNAH_GONE", "1"),
        ] {
            sources.stored.insert(key.into(), value.into());
        }
        let stored = Config::stored_settings(&sources);
        let state_of = |key: &str| stored.iter().find(|one| one.key == key).unwrap().state.clone();
        assert_eq!(state_of("MYNAH_WORKERS"), StoredSettingState::Hidden("environment variable MYNAH_WORKERS".into()));
        assert_eq!(state_of("MYNAH_TYPING"), StoredSettingState::Counts);
        assert_eq!(
            state_of("MYNAH_BURST"),
            StoredSettingState::LeftOut("found \"maybe\", expected next or restart".into())
        );
        assert_eq!(state_of("MYNAH_GONE"), StoredSettingState::LeftOut("an unknown setting".into()));
        assert!(matches!(state_of("OPENAI_API_KEY"), StoredSettingState::LeftOut(why) if why.contains("a secret")));
        assert!(
            matches!(state_of("MYNAH_DATA_DIR"), StoredSettingState::LeftOut(why) if why.contains("read the database"))
        );
        assert!(!format!("{stored:?}").contains("canary"));
        let config = Config::load(sources).unwrap();
        assert_eq!(
            config.data.dir,
            std::path::Path::new("/nonexistent/./mynah-data"),
            "a stored setting does not move the data folder"
        );
    }

    #[test]
    fn the_data_folder_is_found_where_settings_that_are_stored_complete_the_rest() {
        let second = [("MYNAH_AI_2_MODEL", "gpt-5-mini"), ("MYNAH_AI_2_API_KEY", "sk-2"), ("MYNAH_DATA_DIR", "/srv")];
        let mut sources = sources(&second);
        assert!(Config::load(sources.clone()).is_err());
        assert_eq!(Config::load_data(sources.clone()).unwrap().database, std::path::Path::new("/srv/mynah.db"));
        sources.stored.insert("MYNAH_AI_2_PROVIDER".into(), "openai".into());
        assert!(Config::load(sources).is_ok());
    }

    #[test]
    fn a_stored_setting_counts_below_the_file_and_a_spoilt_one_is_a_warning() {
        let inside = "http://169.254.169.254/";
        let stored = [
            ("MYNAH_WORKERS", "7"),
            ("MYNAH_TYPING", "maybe"),
            ("OPENAI_API_KEY", "sk-1"),
            ("OPENAI_BASE_URL", inside),
            ("ANTHROPIC_BASE_URL", inside),
            ("MYNAH_AI_2_BASE_URL", inside),
            ("TWILIO_API_BASE_URL", inside),
        ];
        let stored: BTreeMap<_, _> = stored.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let dir = tempfile::tempdir().unwrap();
        let from = |stored: &BTreeMap<String, String>| {
            Config::load(Sources { stored: stored.clone(), base_dir: dir.path().into(), ..Sources::default() }).unwrap()
        };
        let config = from(&stored);
        assert_eq!((config.work.workers, config.work.typing, config.ai.is_none()), (7, true, true));
        assert!(!format!("{config:?}").contains("169.254"), "{config:?}");
        let warning = "stored setting MYNAH_TYPING is \"maybe\", expected true or false; mynah ignores it";
        assert_eq!(config.warnings, [warning]);
        write(&dir, "mynah.toml", "workers = 5");
        assert_eq!(from(&stored).work.workers, 5);
    }
}
