//! The files of further numbers. What a number's file holds goes before every layer of the main configuration, from which
//! the rest is taken: each setting for itself, but an account and a model only whole.
//!
//! Which settings are a number's own is told by [`number`], which reads them: what else stands in the file is an error. To
//! let a number have another of its own, read it there.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use super::file::{self, Entry, File};
use super::layers::{Found, Layers, Origin, is_plain_path, unreadable};
use super::number::MAIN;
use super::parse::Parsed;
use super::problem::{Problem, Rejected};
use super::reader::Reader;
use super::settings::{self, Setting};
use super::{Config, NumberConfig, Sender, ai, fallback, people, texts, twilio, work};

/// The file of one number, while it is read. Prints nothing, because it holds secrets.
pub(super) struct NumberFile {
    path: PathBuf,
    name: String,
    file: File,
    /// The keys asked for so far.
    asked: BTreeSet<&'static str>,
    /// Settings by their variables that are not taken from the main configuration.
    closed: BTreeSet<&'static str>,
}

/// What may stand in a number's file.
const OWN: &str = "what is a number's own: its account, sender and models, its texts, system_prompt, max_context_messages, \
                   links, model_hand_over and reopen_template (docs/numbers.md)";

impl NumberFile {
    fn parse(path: PathBuf, name: String, text: &str, problems: &mut Vec<Problem>) -> NumberFile {
        let file = File::parse_with(&path, text, problems, |key| setting_of(key).is_some());
        NumberFile { path, name, file, asked: BTreeSet::new(), closed: BTreeSet::new() }
    }

    /// Where it lies.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Notes that a setting is a number's own.
    pub(super) fn ask(&mut self, key: &'static str) {
        self.asked.insert(key);
    }

    /// Whether a setting that the file does not hold is none, whatever the main configuration has.
    pub(super) fn is_closed(&self, variable: &str) -> bool {
        self.closed.contains(variable)
    }

    /// The setting's value: what its key with `_file` names, else the credential that is named after both, else the key.
    pub(super) fn find(&self, setting: &Setting, layers: &Layers) -> Result<Option<Found>, Problem> {
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
                return match layers.text(written) {
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
                        Err(unreadable(place(&named, *line), &layers.here(written), &error, expected))
                    }
                };
            }
            Some((_, Entry::One(_))) | None => {}
            Some((line, Entry::List(_) | Entry::Other(_))) => {
                let expected = "the path of a file that can be read";
                return Err(Problem::new(place(&named, *line), "no text", expected));
            }
        }
        if let Some((name, path)) = self.credential(setting, layers) {
            match layers.text(&path) {
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
    fn credential(&self, setting: &Setting, layers: &Layers) -> Option<(String, PathBuf)> {
        let name = format!("{}.{}", self.name, setting.key.to_ascii_lowercase());
        layers.credential(&name).map(|path| (name, path))
    }

    /// Whether it holds any of these, right or wrong.
    fn holds<'a>(&self, variables: impl IntoIterator<Item = &'a str>, layers: &Layers) -> bool {
        let settings = variables.into_iter().filter_map(settings::find);
        settings.map(|setting| self.find(setting, layers)).any(|found| !matches!(found, Ok(None)))
    }

    /// Where a setting stands in it.
    fn place(&self, variable: &str) -> String {
        let keys = settings::find(variable).map(|setting| [setting.file.to_owned(), format!("{}_file", setting.file)]);
        let found = keys.into_iter().flatten().find_map(|key| Some((self.file.get(&key)?.0, key)));
        found.map_or_else(|| format!("file {}", self.path.display()), |(line, key)| file::place(&self.path, &key, line))
    }

    /// Each key that is no number's own.
    fn strangers(&self) -> Vec<Problem> {
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

/// Paths with commas between, or `none`.
fn paths(text: &str) -> Parsed<Vec<PathBuf>> {
    if text.trim() == "none" {
        return Ok(Vec::new());
    }
    let path = |item: &str| (!item.is_empty() && !item.contains('\0')).then(|| PathBuf::from(item));
    text.split(',').map(|item| path(item.trim())).collect::<Option<_>>().ok_or_else(Rejected::default)
}

/// A number's name may be that of a credential, and stands in logs.
fn name(path: &Path) -> Option<&str> {
    let name = path.file_stem()?.to_str()?;
    let plain = |char: char| char.is_ascii_alphanumeric() || char == '-' || char == '_';
    name.chars().all(plain).then_some(name)
}

/// Reads the numbers beside the first, whose own settings `main` holds.
pub(super) fn read(reader: &mut Reader, main: &Config) -> Vec<NumberConfig> {
    let mut numbers: Vec<NumberConfig> = Vec::new();
    let mut names = vec![MAIN.to_owned()];
    for path in reader.or_default(NUMBERS, paths) {
        let place = list_place(reader);
        let whole = reader.layers.here(&path);
        let Some(name) = name(&path).map(str::to_owned) else {
            let expected = "a file name of letters, digits, - and _, which is the number's name";
            reader.tell(Problem::new(place, path.display().to_string(), expected));
            continue;
        };
        if names.contains(&name) {
            let found = format!("{}, though a number is called {name} already", path.display());
            reader.tell(Problem::new(place, found, "a file of another name"));
            continue;
        }
        names.push(name.clone());
        let text = match reader.layers.text(&path) {
            Ok(text) => text,
            Err(error) => {
                reader.tell(unreadable(place, &whole, &error, "the path of a TOML file that can be read"));
                continue;
            }
        };
        let mut broken = Vec::new();
        let own = NumberFile::parse(whole, name, &text, &mut broken);
        broken.into_iter().for_each(|problem| reader.tell(problem));
        reader.layers.own = Some(own);
        let number = number(reader, main, &numbers);
        let own = reader.layers.own.take();
        own.iter().flat_map(NumberFile::strangers).for_each(|problem| reader.tell(problem));
        numbers.extend(number);
    }
    numbers
}

const NUMBERS: &str = "MYNAH_NUMBERS";

/// Where the list of numbers stands.
fn list_place(reader: &Reader) -> String {
    let setting = settings::find(NUMBERS);
    let found = setting.and_then(|setting| Some((setting, reader.layers.find(setting).ok()??)));
    found.map_or_else(|| NUMBERS.to_owned(), |(setting, found)| reader.layers.place(setting, &found.origin))
}

/// Reads one number through its file.
fn number(reader: &mut Reader, main: &Config, others: &[NumberConfig]) -> Option<NumberConfig> {
    // Nobody sends for somebody else.
    close(reader, [twilio::FROM, twilio::SERVICE]);
    // An account is taken whole: a key of one with the SID of another opens neither.
    if holds(reader, twilio::ACCOUNT) || !has(reader, twilio::ACCOUNT) {
        close(reader, twilio::ACCOUNT);
    }
    // So is a model, with those that stand behind it, who may be of another house.
    let own_model = holds(reader, ai::WHO);
    if own_model {
        close(reader, ai::WHO);
        close(reader, ai::HOW);
    }
    if own_model || holds(reader, fallback::keys()) {
        close(reader, fallback::keys());
    }
    let before = reader.problems.len();
    let twilio = twilio::read(reader, main.server.public_url.as_ref());
    let ai = ai::read(reader);
    if own_model && ai.is_none() && reader.problems.len() == before {
        reader.missing("MYNAH_AI_PROVIDER", "a setting of a model is set, and whoever names a model names all of it");
    }
    let fallbacks = fallback::read(reader, ai.as_ref());
    if twilio.as_ref().map(|own| &own.account_sid) != main.twilio.as_ref().map(|main| &main.account_sid) {
        close(reader, [people::REOPEN]);
    }
    let people = people::read_own(reader);
    let (system_prompt, texts) = (work::read_prompt(reader), texts::read(reader));
    let max_context_messages = work::read_window(reader);
    // Nothing of Twilio at all is fine in the main configuration alone.
    if !holds(reader, [twilio::FROM, twilio::SERVICE]) && !has(reader, twilio::ACCOUNT) {
        reader.missing(twilio::FROM, "each number has a sender of its own");
    }
    let taken = twilio.as_ref().and_then(|own| taken(own, main, others));
    if let (Some((key, found)), Some(own)) = (taken, &reader.layers.own) {
        let problem = Problem::new(own.place(key), found, "one sender for each number");
        reader.tell(problem);
    }
    for warning in main.people.unpriced(ai.iter().chain(&fallbacks)) {
        reader.warn(warning);
    }
    for warning in ai.iter().chain(&fallbacks).filter_map(|ai| ai.crowded(&system_prompt)) {
        reader.warn(warning);
    }
    Some(NumberConfig {
        name: reader.layers.own.as_ref()?.name.clone(),
        twilio: Some(twilio?),
        ai,
        fallbacks,
        system_prompt,
        max_context_messages,
        model_may_hand_over: people.model_may_hand_over,
        links: people.links,
        reopen_template: people.reopen_template,
        texts,
    })
}

/// The setting that names a sender which another number has, with what is wrong about it. Two that send through services of
/// one account cannot be told apart: a message names its account and our address, and not the service.
fn taken(own: &super::TwilioConfig, main: &Config, others: &[NumberConfig]) -> Option<(&'static str, String)> {
    let others = others.iter().filter_map(|other| Some((other.name.as_str(), other.twilio.as_ref()?)));
    let first = main.twilio.as_ref().map(|twilio| (MAIN, twilio));
    first.into_iter().chain(others).find_map(|(name, other)| match (&own.sender, &other.sender) {
        (Sender::Number(own), Sender::Number(other)) if own == other => {
            Some((twilio::FROM, format!("the sender that the number {name} has")))
        }
        (Sender::MessagingService(_), Sender::MessagingService(_)) if own.account_sid == other.account_sid => {
            let found = format!("a Messaging Service of the account in which the number {name} has one, too");
            Some((twilio::SERVICE, found))
        }
        _ => None,
    })
}

fn close<'a>(reader: &mut Reader, variables: impl IntoIterator<Item = &'a str>) {
    if let Some(own) = &mut reader.layers.own {
        let keys = variables.into_iter().filter_map(settings::find).map(|setting| setting.key);
        own.closed.extend(keys);
    }
}

fn holds<'a>(reader: &Reader, variables: impl IntoIterator<Item = &'a str>) -> bool {
    reader.layers.own.as_ref().is_some_and(|own| own.holds(variables, &reader.layers))
}

/// Whether the number has any of these, be they its own or the main configuration's, right or wrong.
fn has<'a>(reader: &Reader, variables: impl IntoIterator<Item = &'a str>) -> bool {
    let mut settings = variables.into_iter().filter_map(settings::find);
    settings.any(|setting| !matches!(reader.layers.find(setting), Ok(None)))
}

#[cfg(test)]
#[path = "number_file_tests.rs"]
mod tests;
