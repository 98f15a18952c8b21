//! `mynah man`: prints the manual page, or writes the pages of all commands into a folder.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, CommandFactory};
use clap_mangen::Man;

use super::Cli;

#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  mynah man | man -l -
  mynah man --dir ~/.local/share/man/man1")]
pub(super) struct Arguments {
    /// Write a page for each command into this folder, such as mynah.1 and mynah-serve.1
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub(super) fn run(arguments: Arguments) -> Result<()> {
    match arguments.dir {
        None => {
            let mut page = Vec::new();
            Man::new(Cli::command()).render(&mut page).context("cannot make the manual page")?;
            io::stdout().write_all(&page).context("cannot print the manual page")
        }
        Some(folder) => {
            let failed = || format!("cannot write the manual pages to {}", folder.display());
            fs::create_dir_all(&folder).with_context(failed)?;
            clap_mangen::generate_to(Cli::command(), &folder).with_context(failed)
        }
    }
}
