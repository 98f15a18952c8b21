//! Prints findings: how each check ended, what was found, and on the next line what to do.

use std::io::{self, IsTerminal};

use anyhow::{Result, bail};

use super::table_columns::one_line;
use crate::diagnosis::{Finding, Outcome};

/// Prints findings for people.
pub(super) fn print(findings: &[Finding]) {
    print!("{}", findings.iter().map(|finding| lines(finding, uses_colour())).collect::<String>());
}

/// Whether stdout shows colors: on a terminal, unless NO_COLOR is set.
fn uses_colour() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Returns an error if a check failed.
pub(super) fn ensure_none_failed(findings: &[Finding]) -> Result<()> {
    match findings.iter().filter(|finding| finding.outcome == Outcome::Failed).count() {
        0 => Ok(()),
        1 => bail!("one check failed"),
        failed => bail!("{failed} checks failed"),
    }
}

/// Returns the lines of a finding.
fn lines(finding: &Finding, colour: bool) -> String {
    let word = format!("{:<8}", finding.outcome.as_str());
    let word = match (colour, finding.outcome) {
        (false, _) => word,
        (true, Outcome::Ok) => format!("\x1b[32m{word}\x1b[0m"),
        (true, Outcome::Warning) => format!("\x1b[33m{word}\x1b[0m"),
        (true, Outcome::Failed) => format!("\x1b[1;31m{word}\x1b[0m"),
        (true, Outcome::Skipped) => format!("\x1b[2m{word}\x1b[0m"),
    };
    let number = finding.number.iter().map(|name| format!("{name}: ")).collect::<String>();
    let found = one_line(&format!("{number}{}", finding.found));
    let mut lines = format!("{word} {:<14} {found}\n", finding.check);
    if let Some(remedy) = &finding.remedy {
        lines.push_str(&format!("{:<8} {:<14} → {}\n", "", "", one_line(remedy)));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_one_line_and_its_remedy_the_next_in_colour_only_if_asked() {
        let finding = Finding {
            check: "sender",
            outcome: Outcome::Failed,
            number: Some("sales".to_owned()),
            found: "it is\nOFFLINE\u{1b}[2J".to_owned(),
            remedy: Some("wait".to_owned()),
        };
        let plain = "failed   sender         sales: it is OFFLINE[2J\n                        → wait\n";
        assert_eq!(lines(&finding, false), plain);
        assert_eq!(lines(&finding, true), plain.replace("failed  ", "\u{1b}[1;31mfailed  \u{1b}[0m"));
    }
}
