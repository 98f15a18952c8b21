//! `mynah demo`: a simulated phone on a web page.

use std::collections::BTreeMap;

use anyhow::Result;
use clap::Args;

use super::simulation::Simulation;
use crate::config::Config;
use crate::daemon;

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  mynah demo\n  mynah demo --listen 127.0.0.1:9000")]
pub(super) struct Arguments {
    /// Address and port of the page; if the port is taken, mynah picks a free one [MYNAH_LISTEN]
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
    let simulation = Simulation::set_up(config, listen, true).await?;
    println!("The demo is running. Open this page and write to the phone:");
    println!();
    println!("    {}", simulation.base_url);
    println!();
    simulation.print_introduction();
    println!(
        "Each message takes the whole path: a signed webhook, the database, an answer, Twilio's API (simulated here)."
    );
    println!("Press Ctrl+C to end the demo. Nothing is kept.");
    simulation.run(true, stop).await
}
