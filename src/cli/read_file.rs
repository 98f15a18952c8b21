//! `mynah read-file`: reads one file, as `serve` has it done for each that a contact attaches. No configuration, no log.

use anyhow::{Context, Result};
use clap::Args;

use crate::reader;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Leave pictures alone
    #[arg(long = reader::NO_PICTURES)]
    no_pictures: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    reader::read_stdin(!arguments.no_pictures).context("the file on stdin cannot be read")
}
