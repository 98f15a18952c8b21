//! The settings of one further number, or of one AI configuration: in a file or in the database. They override every
//! layer of the main configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use secrecy::ExposeSecret;

use super::environment::{Sources, StoredSecret};
use super::file;
use super::file::{ConfigFile, Entry};
use super::value::{FoundValue, Origin, is_explicit_path, unreadable_file};
use crate::config::schema::problem::Problem;
use crate::config::schema::settings;
use crate::config::schema::settings::Setting;

/// The settings of one number or AI configuration, while mynah reads them. Has no `Debug`, because it holds secrets.
pub(in crate::config) struct OwnSettings {
    pub(in crate::config) name: String,
    source: Source,
    /// The keys that were read so far.
    pub(in crate::config) own_keys: BTreeSet<&'static str>,
    /// The settings, by variable, that are not inherited from the main configuration.
    pub(in crate::config) not_inherited: BTreeSet<&'static str>,
}

enum Source {
    /// A number's file.
    File { path: PathBuf, file: ConfigFile },
    /// What is stored of a number, by variable.
    StoredNumber(BTreeMap<String, String>),
    /// What is stored of an AI configuration, by variable.
    StoredAi(BTreeMap<String, String>),
}

/// The settings that an AI configuration may hold.
const AI_SETTINGS_HELP: &str = "a setting of a model: its provider, name, base URL and limits";

/// The settings that a number's file may hold.
const OWN_SETTINGS_HELP: &str = "a setting of one number: its account, sender and models, its texts, system_prompt, \
                                 max_context_messages, links, model_hand_over and reopen_template (docs/numbers.md)";

impl OwnSettings {
    /// Parses the file of a number.
    pub(in crate::config) fn parse(
        path: PathBuf,
        name: String,
        text: &str,
        problems: &mut Vec<Problem>,
    ) -> OwnSettings {
        let file = ConfigFile::parse_with_keys(&path, text, problems, |key| find_by_file_key(key).is_some());
        OwnSettings::new(name, Source::File { path, file })
    }

    /// Takes what is stored of a number.
    pub(in crate::config) fn of_stored_number(name: String, values: BTreeMap<String, String>) -> OwnSettings {
        OwnSettings::new(name, Source::StoredNumber(values))
    }

    /// Takes what is stored of an AI configuration.
    pub(in crate::config) fn of_stored_ai(name: String, values: BTreeMap<String, String>) -> OwnSettings {
        OwnSettings::new(name, Source::StoredAi(values))
    }

    fn new(name: String, source: Source) -> OwnSettings {
        OwnSettings { name, source, own_keys: BTreeSet::new(), not_inherited: BTreeSet::new() }
    }

    /// Describes where the settings lie, for errors and warnings.
    pub(in crate::config) fn describe(&self) -> String {
        match &self.source {
            Source::File { path, .. } => format!("file {}", path.display()),
            Source::StoredNumber(_) => format!("stored number {}", self.name),
            Source::StoredAi(_) => format!("AI configuration {}", self.name),
        }
    }

    /// Records that a number may have this setting of its own.
    pub(in crate::config) fn mark_own(&mut self, key: &'static str) {
        self.own_keys.insert(key);
    }

    /// Whether the number does not inherit this setting from the main configuration.
    pub(in crate::config) fn is_not_inherited(&self, variable: &str) -> bool {
        self.not_inherited.contains(variable)
    }

    /// Returns the setting's value.
    pub(in crate::config) fn find(&self, setting: &Setting, sources: &Sources) -> Result<Option<FoundValue>, Problem> {
        let found = match &self.source {
            Source::File { path, file } => self.find_in_file(path, file, setting, sources)?,
            Source::StoredNumber(values) | Source::StoredAi(values) => {
                let value = values.get(setting.key).filter(|value| !setting.secret && !value.is_empty());
                value.map(|value| FoundValue {
                    value: value.clone(),
                    origin: Origin::StoredOwn(self.place(setting.key)),
                })
            }
        };
        match found {
            Some(found) => Ok(Some(found)),
            None => self.find_secret(setting, sources),
        }
    }

    /// Returns the name under which a secret of these settings is stored encrypted; `None` if the setting is no secret
    /// that they can have.
    pub(in crate::config) fn secret_name(&self, setting: &Setting) -> Option<String> {
        match &self.source {
            _ if !setting.can_be_stored_as_secret() => None,
            Source::StoredAi(values) => {
                let provider = values.get("MYNAH_AI_PROVIDER").map_or("", String::as_str);
                let key = if provider == "anthropic" { "ANTHROPIC_API_KEY" } else { "OPENAI_API_KEY" };
                (setting.key == key).then(|| format!("ai.{}", self.name))
            }
            Source::File { .. } | Source::StoredNumber(_) => Some(format!("{}.{}", self.name, setting.key)),
        }
    }

    fn find_secret(&self, setting: &Setting, sources: &Sources) -> Result<Option<FoundValue>, Problem> {
        let Some(name) = self.secret_name(setting) else { return Ok(None) };
        let place = format!("stored secret {name}");
        match sources.secrets.get(&name) {
            None => Ok(None),
            Some(StoredSecret::Opened(value)) => {
                Ok(Some(FoundValue { value: value.expose_secret().to_owned(), origin: Origin::Own(place) }))
            }
            Some(StoredSecret::Unreadable(why)) => {
                let expected = format!(
                    "the age identity that it was encrypted for, or a new value: `{}`",
                    match &self.source {
                        Source::StoredAi(_) => format!("mynah ai update {} --key-file FILE", self.name),
                        _ => format!("mynah secret set {name}"),
                    }
                );
                Err(Problem::new(place, format!("an encrypted value that cannot be read ({why})"), expected))
            }
        }
    }

    /// Returns the setting's value in a number's file: from the file that its key with `_file` names, else from the
    /// number's credential, else from the key.
    fn find_in_file(
        &self,
        path: &Path,
        file: &ConfigFile,
        setting: &Setting,
        sources: &Sources,
    ) -> Result<Option<FoundValue>, Problem> {
        let found = |value, place| Ok(Some(FoundValue { value, origin: Origin::Own(place) }));
        let place = |key: &str, line| file::place(path, key, line);
        let plain = file.value(setting);
        let plain = plain.map_err(|(line, what)| Problem::new(place(setting.file_key, line), what, setting.expects))?;
        let named = format!("{}_file", setting.file_key);
        match file.get(&named) {
            Some((line, Entry::Scalar(_))) if plain.is_some() => {
                let found = format!("both this and {}", setting.file_key);
                return Err(Problem::new(place(&named, *line), found, "one of the two"));
            }
            Some((line, Entry::Scalar(named_path))) if !named_path.is_empty() => {
                let written = Path::new(named_path);
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

    /// Describes the place of a setting.
    pub(in crate::config) fn place(&self, variable: &str) -> String {
        let Source::File { path, file } = &self.source else { return format!("{}: {variable}", self.describe()) };
        let keys =
            settings::find(variable).map(|setting| [setting.file_key.to_owned(), format!("{}_file", setting.file_key)]);
        let found = keys.into_iter().flatten().find_map(|key| Some((file.get(&key)?.0, key)));
        found.map_or_else(|| self.describe(), |(line, key)| file::place(path, &key, line))
    }

    /// Returns an error for each setting that these may not have of their own.
    pub(in crate::config) fn shared_setting_problems(&self) -> Vec<Problem> {
        let is_own =
            |setting: Option<&'static Setting>| setting.is_some_and(|own| self.own_keys.contains(own.file_key));
        match &self.source {
            Source::File { path, file } => {
                let shared = file.keys().filter(|(key, _)| !is_own(find_by_file_key(key)));
                let to_problem = |(key, line): (&str, usize)| {
                    Problem::new(file::place(path, key, line), "a setting that all numbers share", OWN_SETTINGS_HELP)
                };
                shared.map(to_problem).collect()
            }
            Source::StoredNumber(values) | Source::StoredAi(values) => {
                let shared = values.keys().filter(|key| !is_own(settings::find(key)));
                let help = if let Source::StoredAi(_) = self.source { AI_SETTINGS_HELP } else { OWN_SETTINGS_HELP };
                shared.map(|key| Problem::new(self.place(key), "a setting that does not belong here", help)).collect()
            }
        }
    }

    /// Whether they are stored, so that one that a newer version wrote is a warning and not an error.
    pub(in crate::config) fn is_stored(&self) -> bool {
        !matches!(self.source, Source::File { .. })
    }
}

/// Returns the setting of a key, with or without `_file`.
fn find_by_file_key(key: &str) -> Option<&'static Setting> {
    let of = |key: &str| settings::all().find(|setting| !setting.file_key.is_empty() && setting.file_key == key);
    of(key).or_else(|| of(key.strip_suffix("_file")?))
}
