//! `mynah chat`: the same conversation in the terminal.

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use super::stage::{CONTACT, Stage};
use crate::config::Config;
use crate::daemon;
use crate::simulator::Simulator;

#[derive(Debug, Args)]
pub(super) struct Arguments {}

/// How long the last answer is waited for once the input has ended.
const LAST: Duration = Duration::from_secs(150);

pub(super) async fn run(config: Config, _arguments: Arguments) -> Result<()> {
    let stop = daemon::stop_on_signal()?;
    let stage = Stage::set(config, SocketAddr::from(([127, 0, 0, 1], 0)), false).await?;
    let simulator = stage.simulator.clone();
    println!("You write as a contact; the assistant answers. An empty line is skipped, Ctrl+D ends.");
    let running = tokio::spawn(stage.run(false, stop.clone()));
    let outcome = talk(&simulator, &stop).await;
    stop.cancel();
    running.await??;
    outcome
}

async fn talk(simulator: &Simulator, stop: &CancellationToken) -> Result<()> {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    loop {
        prompt()?;
        let line = tokio::select! {
            line = lines.next_line() => line?,
            () = stop.cancelled() => None,
        };
        let Some(line) = line else {
            println!();
            return Ok(());
        };
        if line.trim().is_empty() {
            continue;
        }
        // Subscribed before it is sent: an answer may be there before the webhook's own.
        let mut changes = simulator.subscribe();
        let seen = answers(simulator).len();
        let delivered = simulator.deliver(CONTACT, "You", &line).await?;
        if delivered.status != 200 {
            println!("(the webhook was answered with {})", delivered.status);
            continue;
        }
        let answered = tokio::time::timeout(LAST, async {
            while answers(simulator).len() == seen {
                if let Err(RecvError::Closed) = changes.recv().await {
                    return;
                }
            }
        });
        tokio::select! {
            answered = answered => if answered.is_err() { println!("(no answer in {} s)", LAST.as_secs()); },
            () = stop.cancelled() => return Ok(()),
        }
        for text in &answers(simulator)[seen..] {
            println!("{text}");
        }
    }
}

fn answers(simulator: &Simulator) -> Vec<String> {
    let bubbles = simulator.conversation(CONTACT);
    bubbles.into_iter().filter(|bubble| !bubble.from_contact).map(|bubble| bubble.text).collect()
}

fn prompt() -> std::io::Result<()> {
    print!("> ");
    std::io::stdout().flush()
}
