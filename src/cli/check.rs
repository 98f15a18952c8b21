//! `mynah check`: prints what each check found and what to do about it. The exit status is 1 if a check fails.

use std::io::{self, IsTerminal, Write};

use anyhow::{Result, bail};
use clap::Args;

use super::table_columns::one_line;
use crate::config::Sources;
use crate::diagnosis::{self, Finding, Outcome};

const EXAMPLES: &str =
    "Each line shows how a check ended (ok, warning, failed or skipped), its name, and what was found. \
The next line says what to do.

The check sends signed requests to MYNAH_PUBLIC_URL, which a running `mynah serve` recognizes and does not store. If \
none runs, the check itself listens on MYNAH_LISTEN until it ends. Each model gets a prompt of a few words, which \
costs what such a call costs.

Examples:
  mynah check
  mynah check --offline
  mynah check --json | jq '.[] | select(.outcome == \"failed\")'";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Skip the checks that call Twilio, a model or the public address
    #[arg(long)]
    offline: bool,
    /// Print one JSON document on stdout
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(sources: Sources, arguments: Arguments) -> Result<()> {
    let show_progress = !arguments.json && io::stderr().is_terminal() && io::stdout().is_terminal();
    let progress = |running: &[&'static str]| {
        if show_progress {
            print_progress(running);
        }
    };
    let findings = diagnosis::run(sources, super::clock(), arguments.offline, &progress).await;
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&findings)?);
    } else {
        print!("{}", findings.iter().map(|finding| lines(finding, uses_colour())).collect::<String>());
    }
    match findings.iter().filter(|finding| finding.outcome == Outcome::Failed).count() {
        0 => Ok(()),
        1 => bail!("one check failed"),
        failed => bail!("{failed} checks failed"),
    }
}

/// Whether stdout shows colors: on a terminal, unless NO_COLOR is set.
pub(super) fn uses_colour() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Writes the names of the checks that still run over the line before.
fn print_progress(running: &[&'static str]) {
    let line = if running.is_empty() { String::new() } else { format!("checking: {}", running.join(", ")) };
    // The progress is not worth an error.
    drop(write!(io::stderr(), "\r\x1b[K{line}").and_then(|()| io::stderr().flush()));
}

/// Returns the lines of a finding.
pub(super) fn lines(finding: &Finding, colour: bool) -> String {
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
