//! `mynah read-file`: reads one file. `serve` starts this command for each file that a contact attaches. It uses no
//! configuration and writes no log.

use anyhow::{Context, Result};
use clap::Args;

use crate::file_reader;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Do not read pictures
    #[arg(long = file_reader::NO_PICTURES)]
    no_pictures: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    file_reader::read_stdin(!arguments.no_pictures).context("cannot read the file on stdin")
}
