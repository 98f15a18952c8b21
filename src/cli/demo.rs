//! `mynah demo`: a phone on a web page that answers.

use std::collections::BTreeMap;

use anyhow::Result;
use clap::Args;

use super::sandbox::Sandbox;
use crate::config::Config;
use crate::daemon;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Address and port of the page; where it is taken, a free port is found [MYNAH_LISTEN]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
}

impl Arguments {
    pub(super) fn add_to(self, flags: &mut BTreeMap<String, String>) {
        flags.extend(self.listen.map(|listen| ("MYNAH_LISTEN".to_owned(), listen)));
    }
}

pub(super) async fn run(config: Config) -> Result<()> {
    let stop = daemon::stop_on_signal()?;
    let listen = config.server.listen;
    let stage = Sandbox::set_up(config, listen, true).await?;
    println!("The demo runs. Open the phone and write to it:");
    println!();
    println!("    {}", stage.base_url);
    println!();
    stage.print_introduction();
    println!("Every message takes the whole path: signed webhook, database, answer, Twilio's API (simulated here).");
    println!("Ctrl+C ends it, and nothing is kept.");
    stage.run(true, stop).await
}
