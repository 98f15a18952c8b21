//! `mynah jobs`: shows the queue and acts on it. Works while `serve` runs, which picks up changes within a second.

use anyhow::{Result, bail};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use serde_json::json;

use super::undelivered;
use crate::config::Config;
use crate::model::{TurnId, TurnState};
use crate::store::RequeueOutcome;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List turns, the newest first
    ///
    /// Without --state, this lists the turns that wait, failed or were skipped, and done turns with an undelivered
    /// message.
    List {
        /// List only turns in this state
        #[arg(long, value_parser = PossibleValuesParser::new(TurnState::ALL.map(TurnState::as_str)).try_map(parse_state))]
        state: Option<TurnState>,
        /// List only turns with a lower number than this
        #[arg(long, value_name = "TURN")]
        before: Option<i64>,
        /// The maximum number of turns
        #[arg(long, default_value_t = 50)]
        limit: usize,
        /// Print one JSON document on stdout
        #[arg(long)]
        json: bool,
    },
    /// Answer a dead or expired turn again
    Retry {
        /// The turn's number
        turn: i64,
        /// Print one JSON document on stdout
        #[arg(long)]
        json: bool,
    },
    /// Give up a turn: it ends dead, and the conversation goes on
    ///
    /// The turn must wait: for its answer, for its next message, or for evidence whether a message was sent. mynah does
    /// not send such a message again.
    Discard {
        /// The turn's number
        turn: i64,
        /// Print one JSON document on stdout
        #[arg(long)]
        json: bool,
    },
}

fn parse_state(text: String) -> Result<TurnState, &'static str> {
    TurnState::parse(&text).ok_or("no such state")
}

pub(super) async fn run(config: Config, arguments: Arguments) -> Result<()> {
    let store = super::open_existing_store(&config)?;
    let now = super::clock().now();
    match arguments.action {
        Action::List { state, before, limit, json } => {
            let jobs = store.jobs(state, before.map(TurnId), limit).await?;
            if json {
                let mut document = serde_json::to_value(&jobs)?;
                for (job, facts) in jobs.iter().zip(document.as_array_mut().into_iter().flatten()) {
                    facts["undelivered"] = undelivered::to_json(&job.undelivered);
                }
                println!("{document:#}");
                return Ok(());
            }
            if jobs.is_empty() {
                println!(
                    "no turns{}",
                    if state.is_some() { " in this state" } else { " wait, failed or were skipped" }
                );
            }
            for job in jobs {
                let error = job.error.unwrap_or_default();
                println!("{:>8}  {:<8} {}  tries {}  {error}", job.turn, job.state, job.created_at, job.attempts);
                for line in undelivered::lines(&job.undelivered) {
                    println!("          {line}");
                }
            }
        }
        Action::Retry { turn, json } => match store.requeue(TurnId(turn), now).await? {
            RequeueOutcome::Requeued => print_result(turn, TurnState::Retry, json, "will be answered again"),
            RequeueOutcome::TooLate => bail!(
                "turn {turn} can no longer be answered: the contact last wrote 23 hours ago or earlier, and WhatsApp \
                 accepts no free text after 24 hours; mynah can answer when the contact writes again"
            ),
            RequeueOutcome::NotPossible => bail!(
                "turn {turn} cannot be answered again: it is not dead or expired, part of its answer was sent, or its \
                 conversation has gone on since then"
            ),
        },
        Action::Discard { turn, json } => {
            if !store.discard(TurnId(turn), now).await? {
                bail!("turn {turn} does not wait: a worker is processing it, or it has ended");
            }
            print_result(turn, TurnState::Dead, json, "is discarded");
        }
    }
    Ok(())
}

/// Prints the new state of a turn, as text or as JSON.
fn print_result(turn: i64, state: TurnState, json: bool, words: &str) {
    if json {
        println!("{:#}", json!({ "turn": turn, "state": state.as_str() }));
    } else {
        println!("turn {turn} {words}");
    }
}
