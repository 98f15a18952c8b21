//! `mynah.toml`: one flat table of keys.

use std::collections::BTreeMap;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use crate::config::schema::nearest_name::nearest_name;
use crate::config::schema::problem::Problem;
use crate::config::schema::settings;
use crate::config::schema::settings::Setting;

/// The values of a configuration file.
#[derive(Default)]
pub(in crate::config) struct ConfigFile {
    values: BTreeMap<String, (usize, Entry)>,
}

/// One value, as text.
pub(in crate::config) enum Entry {
    /// A string, number or boolean.
    Scalar(String),
    /// An array of strings, joined with commas.
    List(String),
    /// A description of a value that no setting accepts.
    Unsupported(&'static str),
}

impl ConfigFile {
    /// Parses a file's text and adds errors of syntax and unknown keys to `problems`. It keeps the values that it can
    /// read in a broken file, so that these are checked too.
    pub(in crate::config) fn parse(path: &Path, text: &str, problems: &mut Vec<Problem>) -> ConfigFile {
        ConfigFile::parse_with_keys(path, text, problems, |key| settings::all().any(|setting| setting.file_key == key))
    }

    /// Like `parse`, for a file with other known keys.
    pub(in crate::config) fn parse_with_keys(
        path: &Path,
        text: &str,
        problems: &mut Vec<Problem>,
        is_known: impl Fn(&str) -> bool,
    ) -> ConfigFile {
        let (table, errors) = DeTable::parse_recoverable(text);
        let mut problems_by_line: Vec<(usize, Problem)> = Vec::new();
        for error in errors {
            // Use the message and not the error's Display, which prints the line, and the line may hold a secret.
            let line = error.span().map_or(1, |span| line_number(text, span.start));
            let place = format!("file {} line {line}", path.display());
            problems_by_line.push((
                line,
                Problem::new(
                    place,
                    format!("broken TOML ({})", error.message()),
                    "TOML, such as listen = \"127.0.0.1:8080\"",
                ),
            ));
        }
        // One mistake causes several errors on a line. The first one describes it.
        problems_by_line.dedup_by_key(|(line, _)| *line);
        let mut values = BTreeMap::new();
        for (key, value) in table.into_inner() {
            let line = line_number(text, key.span().start);
            let key = key.into_inner().into_owned();
            if key.is_empty() || !is_known(&key) {
                let place = place(path, &key, line);
                problems_by_line.push((line, Problem::new(place, "an unknown key", suggest_key(&key))));
            } else {
                values.insert(key, (line, to_entry(value.into_inner())));
            }
        }
        problems_by_line.sort_by_key(|(line, _)| *line);
        problems.extend(problems_by_line.into_iter().map(|(_, problem)| problem));
        ConfigFile { values }
    }

    /// Returns a setting's value with its line; `None` if it is missing or an empty text. The error describes a value
    /// of the wrong type.
    pub(in crate::config) fn value(&self, setting: &Setting) -> Result<Option<(usize, String)>, (usize, &'static str)> {
        match self.get(setting.file_key) {
            Some((line, Entry::Scalar(value))) if !value.is_empty() => Ok(Some((*line, value.clone()))),
            // An empty list is a value, unlike an empty text.
            Some((line, Entry::List(items))) if setting.is_list && items.is_empty() => Ok(Some((*line, "none".into()))),
            Some((line, Entry::List(items))) if setting.is_list => Ok(Some((*line, items.clone()))),
            Some((line, Entry::List(_))) => Err((*line, "an array")),
            Some((line, Entry::Unsupported(what))) => Err((*line, *what)),
            Some((_, Entry::Scalar(_))) | None => Ok(None),
        }
    }

    /// Iterates over the keys, each with its line.
    pub(in crate::config) fn keys(&self) -> impl Iterator<Item = (&str, usize)> {
        self.values.iter().map(|(key, (line, _))| (key.as_str(), *line))
    }

    /// Returns the line of a key, counted from 1, and its value.
    pub(in crate::config) fn get(&self, key: &str) -> Option<&(usize, Entry)> {
        self.values.get(key)
    }
}

/// Describes the place of a key, for errors.
pub(in crate::config) fn place(path: &Path, key: &str, line: usize) -> String {
    format!("file {} key {} (line {line})", path.display(), key.escape_debug())
}

fn line_number(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count()
}

fn suggest_key(wrong: &str) -> String {
    let plain = wrong.to_ascii_lowercase().replace('-', "_");
    let plain = plain.strip_prefix("mynah_").unwrap_or(&plain);
    let names = settings::all().map(|setting| setting.file_key).filter(|name| !name.is_empty());
    nearest_name(plain, names).map_or_else(|| "one of the keys in docs/configuration.md".to_owned(), str::to_owned)
}

fn to_entry(value: DeValue<'_>) -> Entry {
    match value {
        DeValue::String(text) => Entry::Scalar(text.into_owned()),
        DeValue::Boolean(yes) => Entry::Scalar(yes.to_string()),
        DeValue::Float(number) => Entry::Scalar(number.as_str().to_owned()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or(Entry::Unsupported("a whole number that is too large"), |number| Entry::Scalar(number.to_string())),
        DeValue::Array(items) => {
            let mut texts = Vec::with_capacity(items.len());
            for item in items {
                match item.into_inner() {
                    DeValue::String(text) => texts.push(text),
                    _ => return Entry::Unsupported("an array with items that are not strings"),
                }
            }
            Entry::List(texts.join(","))
        }
        DeValue::Table(_) => Entry::Unsupported("a table"),
        DeValue::Datetime(_) => Entry::Unsupported("a date or time"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(text: &str) -> Vec<String> {
        let mut problems = Vec::new();
        ConfigFile::parse(Path::new("mynah.toml"), text, &mut problems);
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line_and_the_nearest_right_one() {
        for (text, error) in [
            ("\nlitsen = 'x'", "file mynah.toml key litsen (line 2): found an unknown key, expected listen"),
            ("mynah_listen = 'x'", "file mynah.toml key mynah_listen (line 1): found an unknown key, expected listen"),
            ("MYNAH_LISTEN = 'x'", "file mynah.toml key MYNAH_LISTEN (line 1): found an unknown key, expected listen"),
            (
                "OPENAI_API_KEY = 'x'",
                "file mynah.toml key OPENAI_API_KEY (line 1): found an unknown key, expected openai_api_key",
            ),
            (
                "[log]\nlevel = 1\n[ai-model]",
                "file mynah.toml key ai-model (line 3): found an unknown key, expected ai_model",
            ),
            (
                "config = 'x'",
                "file mynah.toml key config (line 1): found an unknown key, expected one of the keys in \
                 docs/configuration.md",
            ),
            (
                "\"\" = 'x'",
                "file mynah.toml key  (line 1): found an unknown key, expected one of the keys in \
                 docs/configuration.md",
            ),
        ] {
            assert_eq!(errors(text), [error]);
        }
    }

    #[test]
    fn an_error_in_a_broken_file_names_the_line_and_not_its_text() {
        for text in [
            "listen = 'x'\nopenai_api_key = canary-1",
            "listen = 'x'\nopenai_api_key = \"canary-1",
            "listen = 'x'\ncanary-1 canary-2",
        ] {
            let errors = errors(text);
            assert!(errors[0].starts_with("file mynah.toml line 2: found broken TOML ("), "{errors:?}");
            assert!(!errors[0].contains("canary"), "{errors:?}");
        }
    }

    #[test]
    fn the_sound_lines_of_a_broken_file_still_count() {
        let file = ConfigFile::parse(Path::new("m"), "workers = = 3\nlisten = \"y\"\n", &mut Vec::new());
        assert!(matches!(file.get("listen"), Some((2, Entry::Scalar(text))) if text == "y"));
    }
}
