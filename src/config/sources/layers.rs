//! Finds a setting's value: the first layer that has one wins.
//!
//! To add a layer, add a variant of [`Origin`] and a step in [`Layers::find`].

use std::io;
use std::path::{Path, PathBuf};

use secrecy::ExposeSecret;

use super::environment::{Sources, StoredSecret};
use super::file;
use super::file::ConfigFile;
use super::own_settings::OwnSettings;
use super::value::{FoundValue, Origin, candidate_place, is_explicit_path, read_file, unreadable_file};
use crate::config::schema::problem::Problem;
use crate::config::schema::settings;
use crate::config::schema::settings::Setting;

/// The layers, with the configuration file if there is one.
pub(in crate::config) struct Layers {
    pub(in crate::config) sources: Sources,
    file: ConfigFile,
    file_path: PathBuf,
    /// The own settings of the number that is being read, and of the AI configuration that is being read for it. Each
    /// overrides those before it and every layer.
    pub(in crate::config) own: Vec<OwnSettings>,
}

impl Layers {
    /// Finds and reads the configuration file. If `MYNAH_CONFIG` names a file, it must exist.
    pub(in crate::config) fn open(sources: Sources, problems: &mut Vec<Problem>) -> Layers {
        let mut layers = Layers { sources, file: ConfigFile::default(), file_path: PathBuf::new(), own: Vec::new() };
        for key in layers.sources.flags.keys().filter(|key| settings::find(key).is_none()) {
            problems.push(Problem::new(
                format!("flag for {key}"),
                "an unknown setting",
                "one of the settings in docs/configuration.md",
            ));
        }
        let config = settings::find("MYNAH_CONFIG").expect("the settings table has MYNAH_CONFIG");
        let named = layers.find(config).unwrap_or_else(|problem| {
            problems.push(problem);
            None
        });
        if let Some(FoundValue { value, origin }) = named {
            let path = layers.sources.resolve_path(Path::new(&value));
            match read_file(&path) {
                Ok(text) => layers.take_file(path, &text, problems),
                Err(error) => {
                    let place = layers.describe_origin(config, &origin);
                    problems.push(unreadable_file(place, &path, &error, config.expects));
                }
            }
            return layers;
        }
        // Find the data folder through the layers above the file. The reader reports errors of MYNAH_DATA_DIR later.
        let data = settings::find("MYNAH_DATA_DIR").and_then(|setting| layers.find(setting).ok().flatten());
        let data = data.map_or_else(
            || layers.sources.default_data_dir(),
            |found| layers.sources.resolve_path(Path::new(&found.value)),
        );
        for path in [layers.sources.resolve_path(Path::new("mynah.toml")), data.join("mynah.toml")] {
            match read_file(&path) {
                Ok(text) => layers.take_file(path, &text, problems),
                Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                    continue;
                }
                Err(error) => {
                    problems.push(unreadable_file(format!("file {}", path.display()), &path, &error, config.expects));
                }
            }
            break;
        }
        layers
    }

    fn take_file(&mut self, path: PathBuf, text: &str, problems: &mut Vec<Problem>) {
        self.file = ConfigFile::parse(&path, text, problems);
        self.file_path = path;
    }

    /// Returns the setting's value from the first layer that has one. The error says why this layer cannot be read.
    pub(in crate::config) fn find(&self, setting: &Setting) -> Result<Option<FoundValue>, Problem> {
        for own in self.own.iter().rev() {
            let found = own.find(setting, &self.sources)?;
            if found.is_some() || own.is_not_inherited(setting.key) {
                return Ok(found);
            }
        }
        let found = |value, origin| Ok(Some(FoundValue { value, origin }));
        if let Some((_, value)) = self.sources.candidate.as_ref().filter(|(key, _)| *key == setting.key) {
            return found(value.clone(), Origin::Candidate);
        }
        if let Some(value) = self.sources.flags.get(setting.key) {
            return found(value.clone(), Origin::Flag);
        }
        if let Some(value) = self.sources.env_var(setting.key) {
            return match value.to_str() {
                Some(value) => found(value.to_owned(), Origin::Env),
                None => Err(Problem::new(
                    self.describe_origin(setting, &Origin::Env),
                    "a value that is not UTF-8",
                    setting.expects,
                )),
            };
        }
        // Only MYNAH_CONFIG has no file key. It has no other layers.
        if setting.file_key.is_empty() {
            return Ok(None);
        }
        let named = format!("{}_FILE", setting.key);
        if let Some(written) = self.sources.env_var(&named).map(Path::new) {
            let path = self.sources.resolve_path(written);
            let place = || format!("environment variable {named}");
            return match read_file(&path) {
                Ok(text) if text.is_empty() => Err(Problem::new(place(), "an empty file", setting.expects)),
                Ok(text) => found(text, Origin::EnvFile),
                // Somebody may have put the secret itself where its path belongs, so do not show it.
                Err(error) if setting.secret && !is_explicit_path(written) => {
                    let found = format!("a relative path (not shown) of a file that cannot be read ({})", error.kind());
                    Err(Problem::new(place(), found, "the path of a file, which begins with / or ./"))
                }
                Err(error) => Err(unreadable_file(place(), &path, &error, "the path of a file that can be read")),
            };
        }
        if let Some(path) = self.sources.credential(&setting.key.to_ascii_lowercase()) {
            match read_file(&path) {
                Ok(text) if text.is_empty() => {}
                Ok(text) => return found(text, Origin::Credential),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    let place = self.describe_origin(setting, &Origin::Credential);
                    return Err(unreadable_file(place, &path, &error, "a credential that can be read"));
                }
            }
        }
        let in_file = self.file.value(setting);
        let in_file = in_file.map_err(|(line, what)| {
            Problem::new(self.describe_origin(setting, &Origin::File(line)), what, setting.expects)
        })?;
        match in_file {
            Some((line, value)) => found(value, Origin::File(line)),
            None => self.find_stored(setting),
        }
    }

    /// Returns the setting's value from the database, else the command's default.
    fn find_stored(&self, setting: &Setting) -> Result<Option<FoundValue>, Problem> {
        let found = |value, origin| Ok(Some(FoundValue { value, origin }));
        if let Some(stored) = self.sources.secrets.get(setting.key).filter(|_| setting.can_be_stored_as_secret()) {
            return match stored {
                StoredSecret::Opened(value) => found(value.expose_secret().to_owned(), Origin::StoredSecret),
                StoredSecret::Unreadable(why) => {
                    let place = self.describe_origin(setting, &Origin::StoredSecret);
                    let expected = format!(
                        "the age identity that it was encrypted for, or a new value: `mynah secret set {}`",
                        setting.key
                    );
                    Err(Problem::new(place, format!("an encrypted value that cannot be read ({why})"), expected))
                }
            };
        }
        let stored = self.sources.stored.get(setting.key);
        let stored = stored.filter(|value| setting.can_be_stored() && !value.is_empty());
        match (stored, self.sources.command_defaults.get(setting.key)) {
            (Some(value), _) => found(value.clone(), Origin::Stored),
            (None, Some(value)) => found(value.clone(), Origin::CommandDefault),
            (None, None) => Ok(None),
        }
    }

    /// Returns the place of the first of these settings that a flag, the environment, a file or a credential sets, and not
    /// the database.
    pub(in crate::config) fn find_on_machine<'a>(&self, keys: impl IntoIterator<Item = &'a str>) -> Option<String> {
        keys.into_iter().filter_map(settings::find).find_map(|setting| match self.find(setting) {
            Ok(Some(found)) if !found.is_stored() => Some(self.describe_origin(setting, &found.origin)),
            Ok(_) => None,
            Err(problem) => Some(problem.place().to_owned()),
        })
    }

    /// Whether the command runs in a simulation.
    pub(in crate::config) fn is_simulation(&self) -> bool {
        self.sources.simulation
    }

    /// Describes the place of a value, for errors.
    pub(in crate::config) fn describe_origin(&self, setting: &Setting, origin: &Origin) -> String {
        match origin {
            Origin::Candidate => candidate_place(setting.key),
            Origin::Flag => format!("flag --{}", setting.flag()),
            Origin::Env => format!("environment variable {}", setting.key),
            Origin::EnvFile => format!("file named by environment variable {}_FILE", setting.key),
            Origin::Credential => format!("systemd credential {}", setting.key.to_ascii_lowercase()),
            Origin::File(line) => file::place(&self.file_path, setting.file_key, *line),
            Origin::Own(place) | Origin::StoredOwn(place) => place.clone(),
            Origin::Stored => format!("stored setting {}", setting.key),
            Origin::StoredSecret => format!("stored secret {}", setting.key),
            Origin::CommandDefault => format!("the command's default for {}", setting.key),
        }
    }
}
