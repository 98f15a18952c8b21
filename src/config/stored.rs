//! Stored settings: which values may be stored, and what comes of those that are.

use crate::config::Config;
use crate::config::schema::nearest_name::nearest_name;
use crate::config::schema::problem::Problem;
use crate::config::schema::problem::Problems;
use crate::config::schema::settings;
use crate::config::schema::settings::Setting;
use crate::config::sources::environment::Sources;
use crate::config::sources::reader::SettingsReader;
use crate::config::sources::value::Origin;
use crate::config::sources::value::candidate_place;

/// A stored setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSetting {
    /// Its variable.
    pub key: String,
    /// Its value; `None` where it is a secret's, which does not belong there.
    pub value: Option<String>,
    /// What comes of it.
    pub state: StoredSettingState,
}

/// What comes of a stored setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoredSettingState {
    /// It holds.
    Counts,
    /// A higher layer has a value, too: this one, such as `environment variable MYNAH_TYPING`.
    Hidden(String),
    /// It cannot be used, for this reason.
    LeftOut(String),
}

impl Config {
    /// Judges a value that is to be stored as if it were there already, whatever higher layers say. The errors are those that
    /// it brings; what was wrong before is another matter.
    pub fn validate_setting(sources: &Sources, key: &str, value: &str) -> Result<&'static Setting, Problems> {
        let refused =
            |found: &str, expected: String| Problems::from_one(Problem::new(candidate_place(key), found, expected));
        let setting = Config::find_setting(key).map_err(Problems::from_one)?;
        if let Some(why) = setting.why_not_storable() {
            let key = setting.key;
            let elsewhere = match (setting.secret, setting.file_key.is_empty() || key == "MYNAH_DATA_DIR") {
                (true, _) => {
                    format!("it in the environment, in a file that {key}_FILE names, or as a systemd credential")
                }
                (false, true) => "it as a flag or in the environment".to_owned(),
                (false, false) => "it in the environment or in the configuration file".to_owned(),
            };
            return Err(refused(why, elsewhere));
        }
        if value.is_empty() {
            return Err(refused("an empty value, which counts as none", setting.expects.to_owned()));
        }
        let before = Config::load(sources.clone()).err();
        let trial = Some((setting.key, value.to_owned()));
        match Config::load(Sources { candidate: trial, ..sources.clone() }) {
            Ok(_) => Ok(setting),
            Err(after) => after.without(before.as_ref()).map_or(Ok(setting), Err),
        }
    }

    /// The stored settings, each with what comes of it.
    pub fn stored_settings(sources: &Sources) -> Vec<StoredSetting> {
        let reader = SettingsReader::new(sources.clone());
        let fate = |key: &str, value: &str| {
            let Some(setting) = settings::find(key) else {
                return StoredSettingState::LeftOut("no setting of that name".to_owned());
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
            StoredSetting { key: key.clone(), value: (!secret).then(|| value.clone()), state: fate(key, value) }
        });
        stored.collect()
    }

    /// The setting of that name; the error names the one that may be meant.
    pub fn find_setting(key: &str) -> Result<&'static Setting, Problem> {
        settings::find(key)
            .ok_or_else(|| Problem::new(candidate_place(key), "no setting of that name", suggest_variable(key)))
    }
}

/// The variable that is meant by another name.
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
    fn a_value_is_judged_as_the_configuration_judges_it_also_where_it_would_be_hidden() {
        assert_eq!(validation_errors(&[], "MYNAH_TYPING", "false"), [""; 0]);
        for env in [&[][..], &[("MYNAH_TYPING", "true")]] {
            let told = "setting MYNAH_TYPING: found \"maybe\", expected true or false";
            assert_eq!(validation_errors(env, "MYNAH_TYPING", "maybe"), [told]);
        }
        // What it would take with it.
        let code = validation_errors(&[], "MYNAH_WHO", "code");
        assert!(code.len() == 1 && code[0].starts_with("MYNAH_PAIRING_CODE: found no value"), "{code:?}");
        assert_eq!(validation_errors(&[("MYNAH_PAIRING_CODE", "sesame42")], "MYNAH_WHO", "code"), [""; 0]);
        // What was wrong before is not its fault.
        assert_eq!(validation_errors(&[("MYNAH_WORKERS", "many")], "MYNAH_TYPING", "false"), [""; 0]);
    }

    #[test]
    fn what_is_no_setting_or_cannot_be_one_is_refused_and_named() {
        for (key, value, told) in [
            ("MYNAH_TYPNG", "true", "setting MYNAH_TYPNG: found no setting of that name, expected MYNAH_TYPING"),
            ("typing", "true", "setting typing: found no setting of that name, expected MYNAH_TYPING"),
            (
                "OPENAI_API_KEY",
                "sk-canary",
                "setting OPENAI_API_KEY: found a secret, which is not stored among the settings, expected it in the \
                 environment, in a file that OPENAI_API_KEY_FILE names, or as a systemd credential",
            ),
            (
                "MYNAH_DATA_DIR",
                "/x",
                "setting MYNAH_DATA_DIR: found what tells where stored settings lie, and so cannot be one, expected it as a \
                 flag or in the environment",
            ),
            (
                "OPENAI_BASE_URL",
                "http://127.0.0.1:11434/v1",
                "setting OPENAI_BASE_URL: found an address that is called, which only whoever has the machine may set, \
                 expected it in the environment or in the configuration file",
            ),
            (
                "MYNAH_TYPING",
                "",
                "setting MYNAH_TYPING: found an empty value, which counts as none, expected true or false",
            ),
        ] {
            assert_eq!(validation_errors(&[], key, value), [told]);
        }
    }

    #[test]
    fn each_stored_setting_is_told_with_what_comes_of_it() {
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
        let told = Config::stored_settings(&sources);
        let fate = |key: &str| told.iter().find(|one| one.key == key).unwrap().state.clone();
        assert_eq!(fate("MYNAH_WORKERS"), StoredSettingState::Hidden("environment variable MYNAH_WORKERS".into()));
        assert_eq!(fate("MYNAH_TYPING"), StoredSettingState::Counts);
        assert_eq!(
            fate("MYNAH_BURST"),
            StoredSettingState::LeftOut("found \"maybe\", expected next or restart".into())
        );
        assert_eq!(fate("MYNAH_GONE"), StoredSettingState::LeftOut("no setting of that name".into()));
        assert!(matches!(fate("OPENAI_API_KEY"), StoredSettingState::LeftOut(why) if why.contains("a secret")));
        assert!(
            matches!(fate("MYNAH_DATA_DIR"), StoredSettingState::LeftOut(why) if why.contains("where stored settings lie"))
        );
        assert!(!format!("{told:?}").contains("canary"));
        let config = Config::load(sources).unwrap();
        assert_eq!(
            config.data.dir,
            std::path::Path::new("/nonexistent/./mynah-data"),
            "it does not move its own folder"
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
        let told = "stored setting MYNAH_TYPING is \"maybe\", expected true or false; it is left out";
        assert_eq!(config.warnings, [told]);
        write(&dir, "mynah.toml", "workers = 5");
        assert_eq!(from(&stored).work.workers, 5);
    }
}
