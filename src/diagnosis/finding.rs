//! What a check found.

use serde::Serialize;

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The name of the check, such as `database`. The names stay the same.
    pub check: &'static str,
    /// How it ended.
    pub outcome: Outcome,
    /// The number that was checked, if there are several.
    pub number: Option<String>,
    /// What was found, in a sentence without a full stop. Never a secret.
    pub found: String,
    /// What to do about it; `None` if there is nothing to do.
    pub remedy: Option<String>,
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// All is well.
    Ok,
    /// mynah works, but something should be changed.
    Warning,
    /// mynah does not work.
    Failed,
    /// The check did not run.
    Skipped,
}

impl Outcome {
    /// Returns the word for it: `ok`, `warning`, `failed` or `skipped`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Outcome::Ok => "ok",
            Outcome::Warning => "warning",
            Outcome::Failed => "failed",
            Outcome::Skipped => "skipped",
        }
    }
}

impl Finding {
    pub(super) fn ok(check: &'static str, found: impl Into<String>) -> Finding {
        Finding { check, outcome: Outcome::Ok, number: None, found: found.into(), remedy: None }
    }

    pub(super) fn skipped(check: &'static str, found: impl Into<String>) -> Finding {
        Finding { outcome: Outcome::Skipped, ..Finding::ok(check, found) }
    }

    pub(super) fn warning(check: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Finding {
        Finding { outcome: Outcome::Warning, remedy: Some(remedy.into()), ..Finding::ok(check, found) }
    }

    pub(super) fn failed(check: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Finding {
        Finding { outcome: Outcome::Failed, remedy: Some(remedy.into()), ..Finding::ok(check, found) }
    }

    /// Returns the failure that a fault describes. A fault that names a remedy does so at its end, as `…: check …` or
    /// `…; check …`. If it names none, this one is used.
    pub(super) fn of_fault(check: &'static str, why: &str, remedy: &str) -> Finding {
        let Some((found, remedy)) = split_remedy(why) else { return Finding::failed(check, why, remedy) };
        // The provider's code belongs to what was found.
        match remedy.rfind(" (Twilio ") {
            Some(at) => Finding::failed(check, format!("{found}{}", &remedy[at..]), &remedy[..at]),
            None => Finding::failed(check, found, remedy),
        }
    }

    /// Adds what to do to a check that did not run.
    #[must_use]
    pub(super) fn with_remedy(self, remedy: impl Into<String>) -> Finding {
        Finding { remedy: Some(remedy.into()), ..self }
    }

    /// Names the number that was checked, if there are several.
    #[must_use]
    pub(super) fn of_number(self, name: Option<&str>) -> Finding {
        Finding { number: name.map(str::to_owned), ..self }
    }
}

fn split_remedy(why: &str) -> Option<(&str, &str)> {
    let separators = ["; check ", ": check ", ": set ", "; set "];
    let at = separators.into_iter().filter_map(|separator| why.rfind(separator)).max()?;
    // The separator's first two bytes are not part of the remedy.
    Some((&why[..at], &why[at + 2..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_that_ends_in_its_remedy_is_split_there() {
        for (why, found, remedy) in [
            ("it answered 401: no; check OPENAI_API_KEY", "it answered 401: no", "check OPENAI_API_KEY"),
            ("a page: check A, and check B", "a page", "check A, and check B"),
            ("no such sender: check B (Twilio 63007)", "no such sender (Twilio 63007)", "check B"),
            ("it broke", "it broke", "try again"),
        ] {
            let finding = Finding::of_fault("model", why, "try again");
            assert_eq!((finding.found.as_str(), finding.remedy.as_deref()), (found, Some(remedy)), "{why}");
        }
    }
}
