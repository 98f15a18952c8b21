//! `mynah cleanup`: runs the regular jobs now. Works while `serve` runs.

use std::sync::Arc;

use anyhow::{Result, bail};
use clap::Args;
use serde_json::{Value, json};

use crate::app::App;
use crate::config::Config;
use crate::work::schedule;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Print one JSON document on stdout
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(config: Config, arguments: Arguments) -> Result<()> {
    let app = Arc::new(App::build(config, super::clock()).await?);
    let runs = schedule::run(&app, true).await?;
    if arguments.json {
        let runs = runs.iter().map(|run| json!({ "job": run.job, "result": run.result, "failed": run.failed }));
        println!("{:#}", Value::from(runs.collect::<Vec<_>>()));
    } else {
        for run in &runs {
            println!("{:<26} {}", run.job, run.result);
        }
    }
    if let Some(failed) = runs.iter().find(|run| run.failed) {
        bail!("{} failed: {}", failed.job, failed.result);
    }
    Ok(())
}
