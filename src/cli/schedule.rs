//! `mynah schedule`: shows when the regular jobs last ran, with what result, and when they run next. Works while
//! `serve` runs.

use anyhow::Result;
use clap::Args;
use serde_json::{Value, json};

use super::table_columns::{Cell, columns};
use super::terminal::{self, Tone};
use crate::config::Config;
use crate::store::ScheduledJob;

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  mynah schedule\n  mynah schedule --json")]
pub(super) struct Arguments {
    /// Print one JSON document on stdout
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(config: Config, arguments: Arguments) -> Result<()> {
    let jobs = super::open_existing_store(&config)?.schedule().await?;
    if arguments.json {
        println!("{:#}", Value::from(jobs.iter().map(job_json).collect::<Vec<_>>()));
    } else if jobs.is_empty() {
        println!(
            "no regular job has run yet: `mynah serve` runs them by the clock, and `mynah cleanup` runs them at once"
        );
    } else {
        print!("{}", columns(jobs.into_iter().map(row).collect()));
    }
    Ok(())
}

fn job_json(job: &ScheduledJob) -> Value {
    json!({
        "job": job.job,
        "last_run_at": job.last_run_at.to_string(),
        "took_ms": job.took_ms,
        "result": job.result,
        "failed": job.failed,
        "next_run_at": job.next_run_at.to_string(),
    })
}

fn row(job: ScheduledJob) -> [Cell; 5] {
    let failed = if job.failed { "failed: " } else { "" };
    let (last, next) = (terminal::time(job.last_run_at), terminal::time(job.next_run_at));
    [
        job.job.into(),
        format!("last {last}").into(),
        format!("{} ms", job.took_ms).into(),
        format!("next {next}").into(),
        Cell::toned(failed.to_owned() + &job.result, job.failed.then_some(Tone::Bad)),
    ]
}
