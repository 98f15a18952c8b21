//! `mynah cleanup`: runs the regular jobs now. Works while `serve` runs.

use std::sync::Arc;

use anyhow::{Result, bail};
use clap::Args;
use serde_json::{Value, json};

use super::progress;
use super::table_columns::{Cell, columns};
use super::terminal::Tone;
use crate::app::App;
use crate::config::Config;
use crate::store::ScheduledJob;
use crate::work::schedule;

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  mynah cleanup\n  mynah cleanup --json")]
pub(super) struct Arguments {
    /// Print one JSON document on stdout
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(config: Config, arguments: Arguments) -> Result<()> {
    let app = Arc::new(App::build(config, super::clock()).await?);
    let running = progress::spinner("running the regular jobs");
    let runs = schedule::run(&app, true).await;
    running.finish_and_clear();
    let runs = runs?;
    if arguments.json {
        let runs = runs.iter().map(|run| json!({ "job": run.job, "result": run.result, "failed": run.failed }));
        println!("{:#}", Value::from(runs.collect::<Vec<_>>()));
    } else {
        let row = |run: &ScheduledJob| {
            [run.job.clone().into(), Cell::toned(run.result.clone(), run.failed.then_some(Tone::Bad))]
        };
        print!("{}", columns(runs.iter().map(row).collect()));
    }
    if let Some(failed) = runs.iter().find(|run| run.failed) {
        bail!("{} failed: {}", failed.job, failed.result);
    }
    Ok(())
}
