//! `mynah migrate`: brings the schema up to date, as `serve` does at its start.

use anyhow::Result;
use clap::Args;

use crate::app::open_store;
use crate::config::Config;

#[derive(Debug, Args)]
pub(super) struct Arguments {}

pub(super) fn run(config: &Config) -> Result<()> {
    std::fs::create_dir_all(&config.data.dir)?;
    open_store(config)?;
    println!("the database {} is up to date", config.data.database.display());
    Ok(())
}
