//! The file of one further number. It overrides every layer of the main configuration.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use super::environment::Sources;
use super::file;
use super::file::ConfigFile;
use super::file::Entry;
use super::value::FoundValue;
use super::value::Origin;
use super::value::is_explicit_path;
use super::value::unreadable_file;
use crate::config::schema::problem::Problem;
use crate::config::schema::settings;
use crate::config::schema::settings::Setting;

/// The file of one number, while mynah reads it. Has no `Debug`, because it holds secrets.
pub(in crate::config) struct NumberFile {
    path: PathBuf,
    pub(in crate::config) name: String,
    file: ConfigFile,
    /// The keys that were read so far.
    pub(in crate::config) own_keys: BTreeSet<&'static str>,
    /// The settings, by variable, that the number does not inherit from the main configuration.
    pub(in crate::config) not_inherited: BTreeSet<&'static str>,
}

/// The settings that a number's file may hold.
const OWN_SETTINGS_HELP: &str = "a setting of one number: its account, sender and models, its texts, system_prompt, \
                                 max_context_messages, links, model_hand_over and reopen_template (docs/numbers.md)";

impl NumberFile {
    pub(in crate::config) fn parse(path: PathBuf, name: String, text: &str, problems: &mut Vec<Problem>) -> NumberFile {
        let file = ConfigFile::parse_with_keys(&path, text, problems, |key| find_by_file_key(key).is_some());
        NumberFile { path, name, file, own_keys: BTreeSet::new(), not_inherited: BTreeSet::new() }
    }

    /// Returns the path of the file.
    pub(in crate::config) fn path(&self) -> &Path {
        &self.path
    }

    /// Records that a number may have this setting of its own.
    pub(in crate::config) fn mark_own(&mut self, key: &'static str) {
        self.own_keys.insert(key);
    }

    /// Whether the number does not inherit this setting from the main configuration.
    pub(in crate::config) fn is_not_inherited(&self, variable: &str) -> bool {
        self.not_inherited.contains(variable)
    }

    /// Returns the setting's value: from the file that its key with `_file` names, else from the number's credential,
    /// else from the key.
    pub(in crate::config) fn find(&self, setting: &Setting, sources: &Sources) -> Result<Option<FoundValue>, Problem> {
        let found = |value, place| Ok(Some(FoundValue { value, origin: Origin::NumberFile(place) }));
        let place = |key: &str, line| file::place(&self.path, key, line);
        let plain = self.file.value(setting);
        let plain = plain.map_err(|(line, what)| Problem::new(place(setting.file_key, line), what, setting.expects))?;
        let named = format!("{}_file", setting.file_key);
        match self.file.get(&named) {
            Some((line, Entry::Scalar(_))) if plain.is_some() => {
                let found = format!("both this and {}", setting.file_key);
                return Err(Problem::new(place(&named, *line), found, "one of the two"));
            }
            Some((line, Entry::Scalar(path))) if !path.is_empty() => {
                let written = Path::new(path);
                return match sources.read_text(written) {
                    Ok(text) if text.is_empty() => {
                        Err(Problem::new(place(&named, *line), "an empty file", setting.expects))
                    }
                    Ok(text) => found(text, format!("file named by {}", place(&named, *line))),
                    // Somebody may have put the secret itself where its path belongs, so do not show it.
                    Err(error) if setting.secret && !is_explicit_path(written) => {
                        let found =
                            format!("a relative path (not shown) of a file that cannot be read ({})", error.kind());
                        Err(Problem::new(place(&named, *line), found, "the path of a file, which begins with / or ./"))
                    }
                    Err(error) => {
                        let expected = "the path of a file that can be read";
                        Err(unreadable_file(place(&named, *line), &sources.resolve_path(written), &error, expected))
                    }
                };
            }
            Some((_, Entry::Scalar(_))) | None => {}
            Some((line, Entry::List(_) | Entry::Unsupported(_))) => {
                let expected = "the path of a file that can be read";
                return Err(Problem::new(place(&named, *line), "a value that is not a string", expected));
            }
        }
        if let Some((name, path)) = self.credential(setting, sources) {
            match sources.read_text(&path) {
                Ok(text) if text.is_empty() => {}
                Ok(text) => return found(text, format!("systemd credential {name}")),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    let place = format!("systemd credential {name}");
                    return Err(unreadable_file(place, &path, &error, "a credential that can be read"));
                }
            }
        }
        match plain {
            Some((line, value)) => found(value, place(setting.file_key, line)),
            None => Ok(None),
        }
    }

    /// Returns the credential named after the number and the variable, such as `sales.openai_api_key`, and its path.
    fn credential(&self, setting: &Setting, sources: &Sources) -> Option<(String, PathBuf)> {
        let name = format!("{}.{}", self.name, setting.key.to_ascii_lowercase());
        sources.credential(&name).map(|path| (name, path))
    }

    /// Whether the number sets any of these, right or wrong.
    pub(in crate::config) fn holds_any<'a>(
        &self,
        variables: impl IntoIterator<Item = &'a str>,
        sources: &Sources,
    ) -> bool {
        let settings = variables.into_iter().filter_map(settings::find);
        settings.map(|setting| self.find(setting, sources)).any(|found| !matches!(found, Ok(None)))
    }

    /// Describes the place of a setting in the file.
    pub(in crate::config) fn place(&self, variable: &str) -> String {
        let keys =
            settings::find(variable).map(|setting| [setting.file_key.to_owned(), format!("{}_file", setting.file_key)]);
        let found = keys.into_iter().flatten().find_map(|key| Some((self.file.get(&key)?.0, key)));
        found.map_or_else(|| format!("file {}", self.path.display()), |(line, key)| file::place(&self.path, &key, line))
    }

    /// Returns an error for each key that a number may not have of its own.
    pub(in crate::config) fn shared_setting_problems(&self) -> Vec<Problem> {
        let shared = self
            .file
            .keys()
            .filter(|(key, _)| find_by_file_key(key).is_none_or(|own| !self.own_keys.contains(own.file_key)));
        let to_problem = |(key, line)| {
            Problem::new(file::place(&self.path, key, line), "a setting that all numbers share", OWN_SETTINGS_HELP)
        };
        shared.map(to_problem).collect()
    }
}

/// Returns the setting of a key, with or without `_file`.
fn find_by_file_key(key: &str) -> Option<&'static Setting> {
    let of = |key: &str| settings::all().find(|setting| !setting.file_key.is_empty() && setting.file_key == key);
    of(key).or_else(|| of(key.strip_suffix("_file")?))
}
