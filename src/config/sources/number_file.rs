//! The file of one further number. It goes before every layer of the main configuration.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use super::environment::Sources;
use super::file;
use super::file::Entry;
use super::file::File;
use super::value::Found;
use super::value::Origin;
use super::value::is_plain_path;
use super::value::unreadable;
use crate::config::schema::problem::Problem;
use crate::config::schema::settings;
use crate::config::schema::settings::Setting;

/// The file of one number, while it is read. Prints nothing, because it holds secrets.
pub(in crate::config) struct NumberFile {
    path: PathBuf,
    pub(in crate::config) name: String,
    file: File,
    /// The keys asked for so far.
    pub(in crate::config) asked: BTreeSet<&'static str>,
    /// Settings by their variables that are not taken from the main configuration.
    pub(in crate::config) closed: BTreeSet<&'static str>,
}

/// What may stand in a number's file.
const OWN: &str = "what is a number's own: its account, sender and models, its texts, system_prompt, max_context_messages, \
                   links, model_hand_over and reopen_template (docs/numbers.md)";

impl NumberFile {
    pub(in crate::config) fn parse(path: PathBuf, name: String, text: &str, problems: &mut Vec<Problem>) -> NumberFile {
        let file = File::parse_with(&path, text, problems, |key| setting_of(key).is_some());
        NumberFile { path, name, file, asked: BTreeSet::new(), closed: BTreeSet::new() }
    }

    /// Where it lies.
    pub(in crate::config) fn path(&self) -> &Path {
        &self.path
    }

    /// Notes that a setting is a number's own.
    pub(in crate::config) fn ask(&mut self, key: &'static str) {
        self.asked.insert(key);
    }

    /// Whether a setting that the file does not hold is none, whatever the main configuration has.
    pub(in crate::config) fn is_closed(&self, variable: &str) -> bool {
        self.closed.contains(variable)
    }

    /// The setting's value: what its key with `_file` names, else the credential that is named after both, else the key.
    pub(in crate::config) fn find(&self, setting: &Setting, sources: &Sources) -> Result<Option<Found>, Problem> {
        let found = |value, place| Ok(Some(Found { value, origin: Origin::Number(place) }));
        let place = |key: &str, line| file::place(&self.path, key, line);
        let plain = self.file.value(setting);
        let plain = plain.map_err(|(line, what)| Problem::new(place(setting.file, line), what, setting.expects))?;
        let named = format!("{}_file", setting.file);
        match self.file.get(&named) {
            Some((line, Entry::One(_))) if plain.is_some() => {
                let found = format!("both this and {}", setting.file);
                return Err(Problem::new(place(&named, *line), found, "one of the two"));
            }
            Some((line, Entry::One(path))) if !path.is_empty() => {
                let written = Path::new(path);
                return match sources.text(written) {
                    Ok(text) if text.is_empty() => {
                        Err(Problem::new(place(&named, *line), "an empty file", setting.expects))
                    }
                    Ok(text) => found(text, format!("file named by {}", place(&named, *line))),
                    // Somebody may have put the secret itself where its path belongs.
                    Err(error) if setting.secret && !is_plain_path(written) => {
                        let found =
                            format!("a relative path, not shown, of a file that cannot be read ({})", error.kind());
                        Err(Problem::new(place(&named, *line), found, "the path of a file, from / or ./ on"))
                    }
                    Err(error) => {
                        let expected = "the path of a file that can be read";
                        Err(unreadable(place(&named, *line), &sources.here(written), &error, expected))
                    }
                };
            }
            Some((_, Entry::One(_))) | None => {}
            Some((line, Entry::List(_) | Entry::Other(_))) => {
                let expected = "the path of a file that can be read";
                return Err(Problem::new(place(&named, *line), "no text", expected));
            }
        }
        if let Some((name, path)) = self.credential(setting, sources) {
            match sources.text(&path) {
                Ok(text) if text.is_empty() => {}
                Ok(text) => return found(text, format!("systemd credential {name}")),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    let place = format!("systemd credential {name}");
                    return Err(unreadable(place, &path, &error, "a credential that can be read"));
                }
            }
        }
        match plain {
            Some((line, value)) => found(value, place(setting.file, line)),
            None => Ok(None),
        }
    }

    /// The number's name and the variable's, as a credential: `sales.openai_api_key`.
    fn credential(&self, setting: &Setting, sources: &Sources) -> Option<(String, PathBuf)> {
        let name = format!("{}.{}", self.name, setting.key.to_ascii_lowercase());
        sources.credential(&name).map(|path| (name, path))
    }

    /// Whether it holds any of these, right or wrong.
    pub(in crate::config) fn holds<'a>(&self, variables: impl IntoIterator<Item = &'a str>, sources: &Sources) -> bool {
        let settings = variables.into_iter().filter_map(settings::find);
        settings.map(|setting| self.find(setting, sources)).any(|found| !matches!(found, Ok(None)))
    }

    /// Where a setting stands in it.
    pub(in crate::config) fn place(&self, variable: &str) -> String {
        let keys = settings::find(variable).map(|setting| [setting.file.to_owned(), format!("{}_file", setting.file)]);
        let found = keys.into_iter().flatten().find_map(|key| Some((self.file.get(&key)?.0, key)));
        found.map_or_else(|| format!("file {}", self.path.display()), |(line, key)| file::place(&self.path, &key, line))
    }

    /// Each key that is no number's own.
    pub(in crate::config) fn strangers(&self) -> Vec<Problem> {
        let strange =
            self.file.keys().filter(|(key, _)| setting_of(key).is_none_or(|own| !self.asked.contains(own.file)));
        let told =
            |(key, line)| Problem::new(file::place(&self.path, key, line), "a setting that all numbers share", OWN);
        strange.map(told).collect()
    }
}

/// The setting that a key stands for, perhaps by the path of a file.
fn setting_of(key: &str) -> Option<&'static Setting> {
    let of = |key: &str| settings::all().find(|setting| !setting.file.is_empty() && setting.file == key);
    of(key).or_else(|| of(key.strip_suffix("_file")?))
}
