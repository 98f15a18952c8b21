//! `mynah check`: prints what each check found and what to do about it. The exit status is 1 if a check fails.

use std::io::{self, IsTerminal, Write};

use anyhow::Result;
use clap::Args;

use super::findings;
use crate::config::Sources;
use crate::diagnosis;

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
        findings::print(&findings);
    }
    findings::ensure_none_failed(&findings)
}

/// Writes the names of the checks that still run over the line before.
fn print_progress(running: &[&'static str]) {
    let line = if running.is_empty() { String::new() } else { format!("checking: {}", running.join(", ")) };
    // The progress is not worth an error.
    drop(write!(io::stderr(), "\r\x1b[K{line}").and_then(|()| io::stderr().flush()));
}
