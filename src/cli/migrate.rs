//! `mynah migrate`: brings the database schema up to date, as `serve` does when it starts.

use anyhow::Result;
use clap::Args;
use serde_json::json;

use crate::app::open_store;
use crate::config::Config;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Print one JSON document on stdout
    #[arg(long)]
    json: bool,
}

pub(super) fn run(config: &Config, arguments: &Arguments) -> Result<()> {
    std::fs::create_dir_all(&config.data.dir)?;
    open_store(config)?;
    let database = config.data.database.display();
    if arguments.json {
        println!("{:#}", json!({ "database": database.to_string(), "up_to_date": true }));
    } else {
        println!("the database {database} is up to date");
    }
    Ok(())
}
