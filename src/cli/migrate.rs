//! `mynah migrate`: brings the database schema up to date, as `serve` does when it starts.

use anyhow::Result;
use clap::Args;
use serde_json::json;

use super::progress;
use crate::app::open_store;
use crate::config::Config;

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  mynah migrate\n  mynah migrate --json")]
pub(super) struct Arguments {
    /// Print one JSON document on stdout
    #[arg(long)]
    json: bool,
}

pub(super) fn run(config: &Config, arguments: &Arguments) -> Result<()> {
    std::fs::create_dir_all(&config.data.dir)?;
    let running = progress::spinner("bringing the database up to date");
    let opened = open_store(config);
    running.finish_and_clear();
    opened?;
    let database = config.data.database.display();
    if arguments.json {
        println!("{:#}", json!({ "database": database.to_string(), "up_to_date": true }));
    } else {
        println!("the database {database} is up to date");
    }
    Ok(())
}
