//! `mynah demo`: a phone on a web page that answers.

use std::net::SocketAddr;

use anyhow::Result;
use clap::Args;

use super::stage::Stage;
use crate::config::Config;
use crate::daemon;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Address and port of the page; where it is taken, a free port is found
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
}

pub(super) async fn run(config: Config, arguments: Arguments) -> Result<()> {
    let stop = daemon::stop_on_signal()?;
    let stage = Stage::set(config, arguments.listen, true).await?;
    println!("The demo runs. Open the phone and write to it:");
    println!();
    println!("    http://{}/", stage.address);
    println!();
    println!("Every message takes the whole path: signed webhook, database, answer, Twilio's API (simulated here).");
    println!("Ctrl+C ends it, and nothing is kept.");
    stage.run(true, stop).await
}
