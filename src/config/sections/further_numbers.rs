//! The numbers after the first, each with a file of its own. The settings in a number's file override every layer of
//! the main configuration. A number inherits the other settings one by one, except that it inherits an account or a
//! model only as a whole.
//!
//! The settings that `read_number` reads are those that a number may have of its own; every other key in the file is an
//! error. To let a number have another setting of its own, read it there.

use std::path::{Path, PathBuf};

use url::Url;

use super::contact_policy::ContactPolicyConfig;
use super::number_config::{MAIN_NUMBER, NumberConfig};
use super::twilio::{Sender, TwilioConfig};
use super::{ai, ai_choice, contact_policy, fallback, texts, twilio, work};
use crate::config::schema::parse::Parsed;
use crate::config::schema::problem::{Problem, Rejected};
use crate::config::schema::settings;
use crate::config::sources::own_settings::OwnSettings;
use crate::config::sources::reader::SettingsReader;
use crate::config::sources::value::unreadable_file;

/// The parts of the main configuration that are needed to read further numbers.
pub(in crate::config) struct SharedConfig<'a> {
    pub(in crate::config) public_url: Option<&'a Url>,
    pub(in crate::config) twilio: Option<&'a TwilioConfig>,
    pub(in crate::config) people: &'a ContactPolicyConfig,
}

/// Parses comma-separated paths, or `none`.
fn parse_paths(text: &str) -> Parsed<Vec<PathBuf>> {
    if text.trim() == "none" {
        return Ok(Vec::new());
    }
    let path = |item: &str| (!item.is_empty() && !item.contains('\0')).then(|| PathBuf::from(item));
    text.split(',').map(|item| path(item.trim())).collect::<Option<_>>().ok_or_else(Rejected::default)
}

/// Returns the number's name, which is also part of credential names and of log lines, so it may only have plain
/// characters.
fn number_name(path: &Path) -> Option<&str> {
    let name = path.file_stem()?.to_str()?;
    let plain = |char: char| char.is_ascii_alphanumeric() || char == '-' || char == '_';
    name.chars().all(plain).then_some(name)
}

/// Reads the numbers after the first. `main` holds the settings of the first number.
pub(in crate::config) fn read(reader: &mut SettingsReader, main: &SharedConfig<'_>) -> Vec<NumberConfig> {
    let mut numbers: Vec<NumberConfig> = Vec::new();
    let mut names = vec![MAIN_NUMBER.to_owned()];
    for path in reader.read_or_default(NUMBERS_KEY, parse_paths) {
        let place = list_place(reader);
        let full_path = reader.layers.sources.resolve_path(&path);
        let Some(name) = number_name(&path).map(str::to_owned) else {
            let expected = "a file name of letters, digits, - and _, because the file name is the number's name";
            reader.report(Problem::new(place, path.display().to_string(), expected));
            continue;
        };
        if names.contains(&name) {
            let found = format!("{}, although another number is already called {name}", path.display());
            reader.report(Problem::new(place, found, "a file with another name"));
            continue;
        }
        names.push(name.clone());
        let text = match reader.layers.sources.read_text(&path) {
            Ok(text) => text,
            Err(error) => {
                reader.report(unreadable_file(place, &full_path, &error, "the path of a TOML file that can be read"));
                continue;
            }
        };
        let mut broken = Vec::new();
        let own = OwnSettings::parse(full_path, name, &text, &mut broken);
        broken.into_iter().for_each(|problem| reader.report(problem));
        numbers.extend(read_own(reader, own, main, &numbers));
    }
    for (name, values) in reader.layers.sources.numbers.clone() {
        if names.contains(&name) {
            reader.warn(format!("the stored number {name} is ignored, because a file of that name describes it"));
            continue;
        }
        names.push(name.clone());
        let own = OwnSettings::of_stored_number(name, values);
        numbers.extend(read_own(reader, own, main, &numbers));
    }
    numbers
}

/// Reads a number from its own settings.
fn read_own(
    reader: &mut SettingsReader,
    own: OwnSettings,
    main: &SharedConfig<'_>,
    others: &[NumberConfig],
) -> Option<NumberConfig> {
    reader.layers.own.push(own);
    let number = read_number(reader, main, others);
    if let Some(own) = reader.layers.own.pop() {
        reader.report_shared_settings(&own);
    }
    number
}

const NUMBERS_KEY: &str = "MYNAH_NUMBERS";

/// Returns the place of the list of numbers.
fn list_place(reader: &SettingsReader) -> String {
    let setting = settings::find(NUMBERS_KEY);
    let found = setting.and_then(|setting| Some((setting, reader.layers.find(setting).ok()??)));
    found.map_or_else(
        || NUMBERS_KEY.to_owned(),
        |(setting, found)| reader.layers.describe_origin(setting, &found.origin),
    )
}

/// Reads one number. Its file is the first layer.
fn read_number(reader: &mut SettingsReader, main: &SharedConfig<'_>, others: &[NumberConfig]) -> Option<NumberConfig> {
    // No number sends for another.
    do_not_inherit(reader, [twilio::SENDER_KEY, twilio::MESSAGING_SERVICE_KEY]);
    // A number inherits an account as a whole: a key of one account does not work with the SID of another.
    if file_holds_any(reader, twilio::ACCOUNT_KEYS) || !has_any(reader, twilio::ACCOUNT_KEYS) {
        do_not_inherit(reader, twilio::ACCOUNT_KEYS);
    }
    // A number inherits a model as a whole, with its fallback models, which may be at other providers.
    let own_choice = file_holds_any(reader, [ai_choice::IN_USE_KEY]);
    let own_model = own_choice || file_holds_any(reader, ai::PROVIDER_KEYS);
    if own_model {
        do_not_inherit(reader, ai::PROVIDER_KEYS);
        do_not_inherit(reader, ai::MODEL_KEYS);
    }
    if own_model || file_holds_any(reader, fallback::all_keys()) {
        do_not_inherit(reader, fallback::all_keys());
        do_not_inherit(reader, [ai_choice::FALLBACKS_KEY, ai_choice::IN_USE_KEY]);
    }
    let before = reader.problems.len();
    let twilio = twilio::read(reader, main.public_url);
    let ai_choice::Models { first: ai, fallbacks } = ai_choice::read(reader, own_choice);
    if own_model && ai.is_none() && reader.problems.len() == before {
        reader.report_missing(
            "MYNAH_AI_PROVIDER",
            "other settings of a model are set, and a number with a model of its own inherits no provider",
        );
    }
    if twilio.as_ref().map(|own| &own.account_sid) != main.twilio.map(|main| &main.account_sid) {
        do_not_inherit(reader, [contact_policy::REOPEN_TEMPLATE_KEY]);
    }
    let people = contact_policy::read_for_number(reader);
    let (system_prompt, texts) = (work::read_prompt(reader), texts::read(reader));
    let max_context_messages = work::read_max_context_messages(reader);
    // Only the main configuration may have no Twilio settings at all.
    if !file_holds_any(reader, [twilio::SENDER_KEY, twilio::MESSAGING_SERVICE_KEY])
        && !has_any(reader, twilio::ACCOUNT_KEYS)
    {
        reader.report_missing(twilio::SENDER_KEY, "each number needs a sender of its own");
    }
    let conflict = twilio.as_ref().and_then(|own| sender_conflict(own, main, others));
    if let (Some((key, found)), Some(own)) = (conflict, reader.layers.own.last()) {
        let problem = Problem::new(own.place(key), found, "a sender of its own for each number");
        reader.report(problem);
    }
    for warning in main.people.unpriced_warnings(ai.iter().chain(&fallbacks)) {
        reader.warn(warning);
    }
    for warning in ai.iter().chain(&fallbacks).filter_map(|ai| ai.context_too_small_warning(&system_prompt)) {
        reader.warn(warning);
    }
    Some(NumberConfig {
        name: reader.layers.own.last()?.name.clone(),
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

/// Returns the setting that names a sender of another number, and a description of the conflict. Two Messaging Services
/// of one account are a conflict, because a message names its account and our address, but not the service.
fn sender_conflict(
    own: &TwilioConfig,
    main: &SharedConfig<'_>,
    others: &[NumberConfig],
) -> Option<(&'static str, String)> {
    let others = others.iter().filter_map(|other| Some((other.name.as_str(), other.twilio.as_ref()?)));
    let first = main.twilio.map(|twilio| (MAIN_NUMBER, twilio));
    first.into_iter().chain(others).find_map(|(name, other)| match (&own.sender, &other.sender) {
        (Sender::Number(own), Sender::Number(other)) if own == other => {
            Some((twilio::SENDER_KEY, format!("the sender of the number {name}")))
        }
        (Sender::MessagingService(_), Sender::MessagingService(_)) if own.account_sid == other.account_sid => {
            let found = format!("a second Messaging Service in the account of the number {name}");
            Some((twilio::MESSAGING_SERVICE_KEY, found))
        }
        _ => None,
    })
}

fn do_not_inherit<'a>(reader: &mut SettingsReader, variables: impl IntoIterator<Item = &'a str>) {
    if let Some(own) = reader.layers.own.last_mut() {
        let keys = variables.into_iter().filter_map(settings::find).map(|setting| setting.key);
        own.not_inherited.extend(keys);
    }
}

fn file_holds_any<'a>(reader: &SettingsReader, variables: impl IntoIterator<Item = &'a str>) -> bool {
    reader.layers.own.last().is_some_and(|own| own.holds_any(variables, &reader.layers.sources))
}

/// Whether any of these settings has a value, right or wrong, in the number's file or in the main configuration.
fn has_any<'a>(reader: &SettingsReader, variables: impl IntoIterator<Item = &'a str>) -> bool {
    let mut settings = variables.into_iter().filter_map(settings::find);
    settings.any(|setting| !matches!(reader.layers.find(setting), Ok(None)))
}

#[cfg(test)]
#[path = "further_numbers_tests.rs"]
mod tests;
