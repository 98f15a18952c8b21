//! `mynah chat`: the demo's conversation, in the terminal.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio_util::sync::CancellationToken;

use super::simulation::{CONTACT_NUMBER, Simulation};
use crate::app::App;
use crate::config::Config;
use crate::daemon;
use crate::model::TurnState;
use crate::simulator::{Bubble, Simulator};

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  mynah chat")]
pub(super) struct Arguments {}

/// How long the chat waits for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(150);

/// How often the chat checks whether the answer is complete. The last change in the database does not show on the
/// phone, so waiting for the phone alone is not enough.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

pub(super) async fn run(config: Config) -> Result<()> {
    let stop = daemon::stop_on_signal()?;
    let simulation = Simulation::set_up(config, SocketAddr::from(([127, 0, 0, 1], 0)), false).await?;
    let talk =
        TerminalChat { simulator: simulation.simulator.clone(), app: Arc::clone(&simulation.app), last_sid: None };
    simulation.print_introduction();
    println!("You write as a contact, and the assistant answers. Empty lines are ignored. Press Ctrl+D to end.");
    let mut running = tokio::spawn(simulation.run(false, stop.clone()));
    let outcome = tokio::select! {
        biased;
        outcome = talk.run(&stop) => outcome,
        ended = &mut running => return ended?,
    };
    stop.cancel();
    running.await??;
    outcome
}

/// The person at the terminal, with a simulated phone.
struct TerminalChat {
    simulator: Simulator,
    app: Arc<App>,
    /// The last bubble that was printed. A count would not do: the phone keeps only a limited number of bubbles.
    last_sid: Option<String>,
}

impl TerminalChat {
    async fn run(mut self, stop: &CancellationToken) -> Result<()> {
        let mut lines = BufReader::new(tokio::io::stdin()).lines();
        loop {
            print_prompt()?;
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
            let delivered = self.simulator.send_inbound(CONTACT_NUMBER, "You", &line).await?;
            if delivered.status != 200 {
                println!("(the webhook returned status {})", delivered.status);
                continue;
            }
            tokio::select! {
                answered = tokio::time::timeout(ANSWER_TIMEOUT, self.print_answers()) => match answered {
                    Ok(answered) => answered?,
                    Err(_) => {
                        println!("(no answer within {} s; set MYNAH_LOG=info to see why)", ANSWER_TIMEOUT.as_secs());
                    },
                },
                () = stop.cancelled() => return Ok(()),
            }
        }
    }

    /// Prints what arrives until the answer is complete.
    async fn print_answers(&mut self) -> Result<()> {
        let mut changes = self.simulator.subscribe();
        let mut printed = false;
        loop {
            // Checked before the phone is read: if the queue is done by then, the phone has the whole answer.
            let complete = is_queue_done(&self.app).await?;
            for text in new_answers(self.simulator.conversation(CONTACT_NUMBER), &mut self.last_sid) {
                println!("{text}");
                printed = true;
            }
            if complete {
                if !printed {
                    println!("(no answer; set MYNAH_LOG=info to see why)");
                }
                return Ok(());
            }
            // A receiver that missed changes returns an error. The phone is read in any case.
            drop(tokio::time::timeout(POLL_INTERVAL, changes.recv()).await);
        }
    }
}

/// Returns whether nothing is left to answer or send.
async fn is_queue_done(app: &App) -> Result<bool> {
    let jobs = app.store.jobs(None, None, 10).await?;
    let final_states =
        [TurnState::Done, TurnState::Dead, TurnState::Expired, TurnState::Skipped].map(TurnState::as_str);
    Ok(jobs.iter().all(|job| final_states.contains(&job.state.as_str())))
}

/// Returns what the assistant has said since the bubble `last`, and moves `last` on.
fn new_answers(bubbles: Vec<Bubble>, last: &mut Option<String>) -> Vec<String> {
    let seen = last.as_ref().and_then(|sid| bubbles.iter().rposition(|bubble| bubble.sid == *sid));
    let new = bubbles.into_iter().skip(seen.map_or(0, |at| at + 1));
    let mut texts = Vec::new();
    for bubble in new {
        if !bubble.from_contact {
            texts.push(bubble.text);
        }
        *last = Some(bubble.sid);
    }
    texts
}

fn print_prompt() -> std::io::Result<()> {
    print!("> ");
    std::io::stdout().flush()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use tower::ServiceExt;
    use url::Url;

    use super::*;
    use crate::clock::{ManualClock, Time};
    use crate::simulator::SimulatorConfig;

    const OURS: &str = "+14155238886";

    fn simulator() -> Simulator {
        let clock = Arc::new(ManualClock::new(Time(0)));
        let nowhere = Url::parse("http://127.0.0.1:9/webhooks/twilio").unwrap();
        Simulator::new(SimulatorConfig::new("AC1", "token", OURS, nowhere, clock))
    }

    /// Sends a message as the assistant.
    async fn send(simulator: &Simulator, text: &str) {
        let fields =
            [("To", format!("whatsapp:{CONTACT_NUMBER}")), ("From", format!("whatsapp:{OURS}")), ("Body", text.into())];
        let request = Request::post("/2010-04-01/Accounts/AC1/Messages.json")
            .header("authorization", "Basic QUMxOnRva2Vu") // AC1:token
            .body(Body::from(url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()))
            .unwrap();
        assert_eq!(simulator.api().oneshot(request).await.unwrap().status(), 201);
    }

    #[tokio::test]
    async fn every_part_is_printed_once_even_if_the_phone_forgets_the_oldest() {
        let simulator = simulator();
        let mut last = None;
        let mut printed = || new_answers(simulator.conversation(CONTACT_NUMBER), &mut last);
        // A phone keeps 500 bubbles. Three times as many arrive.
        for number in 0..500 {
            simulator.add_inbound(CONTACT_NUMBER, "a question");
            let parts = [format!("{number} first"), format!("{number} second")];
            send(&simulator, &parts[0]).await;
            if number % 2 == 0 {
                assert_eq!(printed(), [parts[0].clone()]);
                send(&simulator, &parts[1]).await;
                assert_eq!(printed(), [parts[1].clone()]);
            } else {
                send(&simulator, &parts[1]).await;
                assert_eq!(printed(), parts);
            }
            assert_eq!(printed(), [""; 0]);
        }
        for number in 0..501 {
            send(&simulator, &number.to_string()).await;
        }
        assert_eq!(printed().len(), 500, "everything that the phone still has");
    }
}
