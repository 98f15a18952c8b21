//! Reads settings one by one and collects every error, so that all are reported at once.

use std::path::PathBuf;

use super::environment::Sources;
use super::layers::Layers;
use super::own_settings::OwnSettings;
use super::value::{FoundValue, Origin};
use crate::config::schema::problem::{Problem, Rejected};
use crate::config::schema::settings::{DefaultValue, Setting};
use crate::config::schema::{parse, settings};

/// Reads settings from the layers and collects problems and warnings.
pub(in crate::config) struct SettingsReader {
    pub(in crate::config) layers: Layers,
    pub(in crate::config) problems: Vec<Problem>,
    pub(in crate::config) warnings: Vec<String>,
    /// The settings that were read, so that a test can check that no row of the table is forgotten.
    #[cfg(test)]
    pub(in crate::config) read_keys: std::collections::BTreeSet<&'static str>,
}

/// The result of reading one setting.
pub(in crate::config) enum ReadSetting<T> {
    /// No layer has a value.
    Absent,
    /// The value is wrong, and the error is recorded.
    Invalid,
    /// The value.
    Valid(T),
}

impl<T> ReadSetting<T> {
    /// Returns the value if it is valid.
    pub(in crate::config) fn valid(self) -> Option<T> {
        match self {
            ReadSetting::Valid(value) => Some(value),
            ReadSetting::Absent | ReadSetting::Invalid => None,
        }
    }

    /// Whether no layer has a value.
    pub(in crate::config) fn is_absent(&self) -> bool {
        matches!(self, ReadSetting::Absent)
    }
}

impl SettingsReader {
    pub(in crate::config) fn new(sources: Sources) -> SettingsReader {
        let mut problems = Vec::new();
        let layers = Layers::open(sources, &mut problems);
        let warnings = layers.sources.unknown_variable_warnings();
        SettingsReader {
            layers,
            problems,
            warnings,
            #[cfg(test)]
            read_keys: std::iter::once("MYNAH_CONFIG").collect(),
        }
    }

    /// Reads a setting and records errors. It does not apply a default.
    pub(in crate::config) fn read<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, Rejected>,
    ) -> ReadSetting<T> {
        #[cfg(test)]
        self.read_keys.insert(key);
        let setting = setting(key);
        for own in &mut self.layers.own {
            own.mark_own(setting.file_key);
        }
        match self.layers.find(setting) {
            Ok(None) => ReadSetting::Absent,
            Ok(Some(FoundValue { value, origin })) => match parse(&value) {
                Ok(value) => ReadSetting::Valid(value),
                // The value was valid when it was stored. A newer version that does not accept it must start all the
                // same.
                Err(_) if matches!(origin, Origin::Stored | Origin::StoredOwn(_)) && !self.layers.sources.strict => {
                    let place = self.layers.describe_origin(setting, &origin);
                    self.warn_once(format!("{place} is {value:?}, expected {}; mynah ignores it", setting.expects));
                    ReadSetting::Absent
                }
                Err(_) if matches!(origin, Origin::StoredSecret) => {
                    let place = self.layers.describe_origin(setting, &origin);
                    self.warn_once(format!("{place} is not {}; mynah ignores it", setting.expects));
                    ReadSetting::Absent
                }
                Err(why) => {
                    let place = self.layers.describe_origin(setting, &origin);
                    self.report(Problem::from_rejected(place, setting, &value, &why));
                    ReadSetting::Invalid
                }
            },
            Err(problem) => {
                self.report(problem);
                ReadSetting::Invalid
            }
        }
    }

    /// Reads a setting whose default is a value in the table. A wrong value gives the default, too: its error is
    /// recorded, so the configuration is not used anyway.
    pub(in crate::config) fn read_or_default<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, Rejected>,
    ) -> T {
        let read = self.read(key, &parse);
        read.valid().unwrap_or_else(|| table_default(key, parse))
    }

    /// Reads a path. A relative path starts from the folder of the sources.
    pub(in crate::config) fn read_path(&mut self, key: &'static str) -> Option<PathBuf> {
        let path = self.read(key, parse::path).valid()?;
        Some(self.layers.sources.resolve_path(&path))
    }

    /// Records the error that a setting is missing, and why it is needed.
    pub(in crate::config) fn report_missing(&mut self, key: &'static str, why: &str) {
        let expected = format!("{}, because {why}", setting(key).expects);
        let place = self.place_where_missing(key, self.name_where_missing(key));
        self.report(Problem::new(place, "no value", expected));
    }

    /// Returns the name of a missing setting: the variable, or the key if it is missing in a number's file.
    pub(in crate::config) fn name_where_missing(&self, key: &'static str) -> &'static str {
        let in_file = self.layers.own.last().is_some_and(|own| !own.is_stored());
        if in_file && self.is_not_inherited(key) { setting(key).file_key } else { key }
    }

    /// Describes the place where a setting is missing. `names` is what to call it there, perhaps with other settings.
    pub(in crate::config) fn place_where_missing(&self, key: &str, names: &str) -> String {
        match self.layers.own.last() {
            Some(own) if own.is_not_inherited(key) => format!("{}: {names}", own.describe()),
            _ => names.to_owned(),
        }
    }

    /// Whether the reader reads a number that does not inherit this setting from the main configuration.
    fn is_not_inherited(&self, key: &str) -> bool {
        self.layers.own.last().is_some_and(|own| own.is_not_inherited(key))
    }

    /// Records an error, once: numbers inherit settings, so the same error can occur for each number.
    pub(in crate::config) fn report(&mut self, problem: Problem) {
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    /// Records a warning. A warning about a number names its file. It is dropped if the main configuration has the same
    /// one.
    pub(in crate::config) fn warn(&mut self, warning: String) {
        match self.layers.own.last() {
            Some(_) if self.warnings.contains(&warning) => {}
            Some(own) => self.warnings.push(format!("{}: {warning}", own.describe())),
            None => self.warnings.push(warning),
        }
    }

    /// Records an error for each setting that does not belong to these own settings. If a newer version stored it, this
    /// is a warning.
    pub(in crate::config) fn report_shared_settings(&mut self, own: &OwnSettings) {
        for problem in own.shared_setting_problems() {
            if own.is_stored() && !self.layers.sources.strict {
                self.warn_once(format!("{problem}; mynah ignores it"));
            } else {
                self.report(problem);
            }
        }
    }

    fn warn_once(&mut self, warning: String) {
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }
}

/// Returns the default from the table, parsed like any value.
pub(in crate::config) fn table_default<T>(key: &'static str, parse: impl Fn(&str) -> Result<T, Rejected>) -> T {
    let DefaultValue::Value(value) = setting(key).default else { unreachable!("{key} has no default in the table") };
    parse(value).unwrap_or_else(|_| unreachable!("the default of {key} does not parse"))
}

fn setting(key: &'static str) -> &'static Setting {
    settings::find(key).expect("only settings of the table are read")
}
