//! Prints findings: how each check ended, what was found, and on the next line what to do.

use anyhow::{Result, bail};

use super::table_columns::one_line;
use super::terminal::{self, Tone};
use crate::diagnosis::{Finding, Outcome};

/// Prints findings for people.
pub(super) fn print(findings: &[Finding]) {
    print!("{}", findings.iter().map(|finding| lines(finding, terminal::uses_color())).collect::<String>());
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
    let tone = match finding.outcome {
        Outcome::Ok => Tone::Good,
        Outcome::Warning => Tone::Warning,
        Outcome::Failed => Tone::Bad,
        Outcome::Skipped => Tone::Faint,
    };
    let word = terminal::paint(&word, tone, colour);
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
        let painted = terminal::paint("failed  ", Tone::Bad, true);
        assert_eq!(lines(&finding, true), plain.replace("failed  ", &painted));
    }
}
