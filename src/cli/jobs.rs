//! `mynah jobs`: shows the queue and acts on it. Works while `serve` runs, which picks up changes within a second.

use anyhow::{Result, bail};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use serde_json::json;

use super::table_columns::{Cell, row_lines};
use super::terminal::{self, Tone};
use super::undelivered;
use crate::clock::Time;
use crate::config::Config;
use crate::model::{TurnId, TurnState};
use crate::store::{JobRow, RequeueOutcome, Store};

/// How many turns are read at once to answer them again.
const PAGE: usize = 200;

const EXAMPLES: &str = "Examples:
  mynah jobs list
  mynah jobs list --state dead
  mynah jobs retry 12
  mynah jobs discard 12";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
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
    #[command(after_help = "Examples:\n  mynah jobs list\n  mynah jobs list --state dead --limit 10 --json")]
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
    #[command(after_help = "Examples:\n  mynah jobs retry 12\n  mynah jobs retry --all")]
    Retry {
        /// The turn's number
        #[arg(required_unless_present = "all")]
        turn: Option<i64>,
        /// Answer every dead or expired turn that can still be answered
        #[arg(long, conflicts_with = "turn")]
        all: bool,
        /// Print one JSON document on stdout
        #[arg(long)]
        json: bool,
    },
    /// Give up a turn: it ends dead, and the conversation goes on
    ///
    /// The turn must wait: for its answer, for its next message, or for evidence whether a message was sent. mynah does
    /// not send such a message again.
    #[command(after_help = "Example:\n  mynah jobs discard 12")]
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
            for (job, line) in jobs.iter().zip(row_lines(jobs.iter().map(row).collect())) {
                print!("{line}");
                for line in undelivered::lines(&job.undelivered) {
                    println!("    {line}");
                }
            }
        }
        Action::Retry { turn: None, json, .. } => retry_all(&store, now, json).await?,
        Action::Retry { turn: Some(turn), json, .. } => match store.requeue(TurnId(turn), now).await? {
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

fn row(job: &JobRow) -> [Cell; 5] {
    let undelivered = (!job.undelivered.is_empty()).then_some(Tone::Warning);
    let tone = terminal::state_tone(&job.state).or(undelivered);
    [
        job.turn.to_string().into(),
        Cell::toned(job.state.clone(), tone),
        terminal::time(&job.created_at).into(),
        format!("tries {}", job.attempts).into(),
        job.error.clone().unwrap_or_default().into(),
    ]
}

/// Requeues every dead or expired turn that can still be answered.
async fn retry_all(store: &Store, now: Time, json: bool) -> Result<()> {
    let (mut again, mut too_late, mut impossible) = (Vec::new(), 0_usize, 0_usize);
    for state in [TurnState::Dead, TurnState::Expired] {
        let mut before = None;
        loop {
            let page = store.jobs(Some(state), before, PAGE).await?;
            let Some(last) = page.last() else { break };
            before = Some(TurnId(last.turn));
            for job in &page {
                match store.requeue(TurnId(job.turn), now).await? {
                    RequeueOutcome::Requeued => again.push(job.turn),
                    RequeueOutcome::TooLate => too_late += 1,
                    RequeueOutcome::NotPossible => impossible += 1,
                }
            }
        }
    }
    if json {
        println!("{:#}", json!({ "turns": again, "state": "retry", "too_late": too_late, "not_possible": impossible }));
        return Ok(());
    }
    match again.len() {
        0 if too_late + impossible == 0 => println!("no turn is dead or expired"),
        0 => println!("no turn can be answered again"),
        1 => println!("1 turn will be answered again"),
        turns => println!("{turns} turns will be answered again"),
    }
    if too_late > 0 {
        println!("{too_late} came too late: the contact last wrote 23 hours ago or earlier");
    }
    if impossible > 0 {
        println!("{impossible} cannot be: part of the answer was sent, or the conversation has gone on since");
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
