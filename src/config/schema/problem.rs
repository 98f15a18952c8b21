//! The errors of a configuration. All of them are reported at once, and none shows a secret.

use std::fmt;

use super::settings::Setting;

/// One error: its place, what was found there, and what is expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    place: String,
    found: String,
    expected: String,
}

/// All errors of a configuration, at least one. Displays their number on the first line, then each on its own line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

/// Why a text is not a valid value of its setting. A `None` field is filled from the settings table.
#[derive(Debug, Default)]
pub(in crate::config) struct Rejected {
    pub(in crate::config) found: Option<&'static str>,
    pub(in crate::config) expected: Option<&'static str>,
}

impl Problem {
    pub(in crate::config) fn new(
        place: impl Into<String>,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> Problem {
        Problem { place: place.into(), found: found.into(), expected: expected.into() }
    }

    pub(in crate::config) fn from_rejected(place: String, setting: &Setting, value: &str, why: &Rejected) -> Problem {
        let found = why.found.map_or_else(|| printable_value(setting, value), str::to_owned);
        Problem::new(place, found, why.expected.unwrap_or(setting.expects))
    }

    /// Returns the place of the error.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Returns what was found there; never a secret.
    pub fn found(&self) -> &str {
        &self.found
    }

    /// Returns what is expected there.
    pub fn expected(&self) -> &str {
        &self.expected
    }

    /// Describes the error without its place.
    pub(in crate::config) fn description(&self) -> String {
        format!("found {}, expected {}", self.found, self.expected)
    }
}

/// The most characters of a value that an error shows.
const MAX_SHOWN_CHARS: usize = 60;

/// Formats a value for an error. People paste keys where addresses belong, and put passwords into addresses, so a value
/// that may contain a secret is not shown either.
fn printable_value(setting: &Setting, value: &str) -> String {
    if setting.secret {
        return "a value that is not shown".to_owned();
    }
    if value.is_empty() {
        return "an empty value".to_owned();
    }
    let credentials = value.contains(['@', '?']) || value.trim_start().starts_with("sk-");
    let key = value.len() >= 20
        && value.trim().bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=_-".contains(&byte))
        && value.bytes().any(|byte| byte.is_ascii_digit());
    if credentials || key {
        let count = value.chars().count();
        return format!("a value of {count} characters that is not shown because it may contain a secret");
    }
    match value.char_indices().nth(MAX_SHOWN_CHARS) {
        Some((end, _)) => format!("{:?}…", &value[..end]),
        None => format!("{value:?}"),
    }
}

impl Problems {
    /// Returns `Err` if there are any problems.
    pub(in crate::config) fn ensure_none(problems: Vec<Problem>) -> Result<(), Problems> {
        if problems.is_empty() { Ok(()) } else { Err(Problems(problems)) }
    }

    /// Removes the errors that are also in `others`; `None` if no error is left.
    pub fn without(self, others: Option<&Problems>) -> Option<Problems> {
        let known = |problem: &Problem| others.is_some_and(|others| others.0.contains(problem));
        let new: Vec<_> = self.0.into_iter().filter(|problem| !known(problem)).collect();
        (!new.is_empty()).then_some(Problems(new))
    }

    /// Iterates over the errors.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Problems {
        Problems(vec![problem])
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.description())
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => f.write_str("the configuration has 1 error")?,
            many => write!(f, "the configuration has {many} errors")?,
        }
        self.0.iter().try_for_each(|problem| write!(f, "\n{problem}"))
    }
}

impl std::error::Error for Problem {}
impl std::error::Error for Problems {}
