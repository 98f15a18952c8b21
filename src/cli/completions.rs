//! `mynah completions SHELL`: prints the completion script of a shell.

use std::io::{self, Write};

use anyhow::{Context, Result};
use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::Cli;

#[derive(Debug, Args)]
#[command(after_long_help = "\
Example, for bash:
  mynah completions bash > ~/.local/share/bash-completion/completions/mynah")]
pub(super) struct Arguments {
    /// Shell to write the script for
    shell: Shell,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    // Into memory first: the generator panics if the reader of a pipe has gone.
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "mynah", &mut script);
    io::stdout().write_all(&script).context("cannot print the completion script")
}
