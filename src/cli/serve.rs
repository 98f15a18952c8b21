//! `mynah serve`: runs the web server, the queue workers and the regular jobs.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result};
use axum::Router;
use clap::Args;
use tokio::net::TcpListener;

use crate::app::{App, LiveApp};
use crate::config::Config;
use crate::daemon;
use crate::store::FolderLock;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  mynah serve\n  mynah serve --listen 0.0.0.0:8080 --public-url https://bot.example.org"
)]
pub(super) struct Arguments {
    /// Address and port to listen on [MYNAH_LISTEN]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// The address that Twilio calls, such as https://bot.example.org [MYNAH_PUBLIC_URL]
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
}

impl Arguments {
    pub(super) fn add_to(self, flags: &mut BTreeMap<String, String>) {
        let pairs = [("MYNAH_LISTEN", self.listen), ("MYNAH_PUBLIC_URL", self.public_url)];
        flags.extend(pairs.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
    }
}

/// `live` makes the app replaceable.
pub(super) async fn run(config: Config, live: impl FnOnce(Arc<App>) -> LiveApp) -> Result<()> {
    let stop = daemon::stop_on_signal()?;
    let folder = config.data.dir.clone();
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot create the data folder {} (MYNAH_DATA_DIR)", folder.display()))?;
    let _lock = FolderLock::take(&folder)?;
    let listen = config.server.listen;
    let app = Arc::new(App::build(config, super::clock()).await?);
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("cannot listen on {listen}; set MYNAH_LISTEN to a free address and port"))?;
    daemon::run(live(app), listener, Router::new(), stop).await
}
