//! The simulation of `demo` and `chat`: all of mynah against the simulator, with a temporary data folder that is removed
//! at the end.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::app::App;
use crate::config::{AiConfig, AiSettingNames, Config, DataConfig, ProviderConfig, Sender, TwilioConfig};
use crate::simulator::{PhonePage, Simulator, SimulatorConfig};
use crate::{ai, daemon, http};

const ACCOUNT: &str = "AC00000000000000000000000000000000";
const OUR_NUMBER: &str = "+14155238886";

/// The contact's number in the simulation, from the range that is reserved for fiction.
pub(super) const CONTACT_NUMBER: &str = "+12025550123";

/// Everything that a simulation needs, ready to run.
pub(super) struct Simulation {
    pub(super) simulator: Simulator,
    /// The address that reaches the simulation from this machine.
    pub(super) base_url: Url,
    pub(super) app: Arc<App>,
    listener: TcpListener,
    folder: TempFolder,
}

impl Simulation {
    /// Sets up the simulation on `listen`, or on any free port of the same address if that port is taken.
    pub(super) async fn set_up(mut config: Config, listen: SocketAddr, page: bool) -> Result<Simulation> {
        let folder = TempFolder::new()?;
        let listener = match TcpListener::bind(listen).await {
            Ok(listener) => listener,
            Err(_) => TcpListener::bind(SocketAddr::new(listen.ip(), 0)).await.with_context(|| {
                format!(
                    "cannot listen on {listen} or any other port of that address; set MYNAH_LISTEN to another address"
                )
            })?,
        };
        let here = Url::parse(&format!("http://{}", http::loopback_if_unspecified(listener.local_addr()?)))?;
        let token = SecretString::from(uuid::Uuid::now_v7().simple().to_string());
        config.data = DataConfig::in_folder(folder.0.clone());
        config.work.merge_window = config.work.merge_window.min(Duration::from_millis(300));
        config.server.public_url = Some(here.clone());
        config.twilio = Some(TwilioConfig {
            account_sid: ACCOUNT.into(),
            auth_tokens: vec![token.clone()],
            api_key: None,
            sender: Sender::Number(format!("whatsapp:{OUR_NUMBER}")),
            api_base_url: Some(here.join("simulator")?),
            public_url: Some(here.clone()),
        });
        let model = config.ai.get_or_insert(AiConfig {
            provider: ProviderConfig::Offline { folder: None },
            model: None,
            max_tokens: None,
            temperature: None,
            timeout: Duration::from_secs(30),
            concurrency: 4,
            context_tokens: 4_096,
            setting_names: AiSettingNames::OPENAI,
            configuration: "environment".into(),
        });
        ai::resolve_default_model(model).await?;
        let offline = matches!(model.provider, ProviderConfig::Offline { .. });
        let clock = super::clock();
        let app = Arc::new(App::build(config, Arc::clone(&clock)).await?);
        let responder = match (app.main_number().assistants.first(), offline) {
            (_, true) => "Offline responder: no account, no key".to_owned(),
            (Some(assistant), false) => assistant.provider.name().to_owned(),
            (None, false) => String::new(),
        };
        let webhook = here.join("webhooks/twilio")?;
        let mut settings = SimulatorConfig::new(ACCOUNT, token, OUR_NUMBER, webhook, clock);
        settings.page = PhonePage {
            title: if offline { "Blue Door Bakery".into() } else { "Your assistant".into() },
            responder,
            suggestions: if offline {
                ["When are you open?", "How do I order a birthday cake?", "Is anything nut-free?"]
                    .map(str::to_owned)
                    .to_vec()
            } else {
                vec!["What can you help me with?".into()]
            },
            contact: CONTACT_NUMBER.into(),
            ..settings.page
        };
        if page {
            settings.status_delay = Duration::from_millis(600);
        }
        Ok(Simulation { simulator: Simulator::new(settings), base_url: here, app, listener, folder })
    }

    /// Prints which model answers, and the configuration's warnings.
    pub(super) fn print_introduction(&self) {
        if let Some(assistant) = self.app.main_number().assistants.first() {
            println!("Answers come from: {}", assistant.provider.name());
        }
        for warning in &self.app.config.warnings {
            println!("Note: {warning}");
        }
    }

    /// Runs the simulation until `stop`.
    pub(super) async fn run(self, page: bool, stop: CancellationToken) -> Result<()> {
        let mut routes = axum::Router::new().nest("/simulator", self.simulator.api());
        if page {
            routes = routes.merge(self.simulator.page());
        }
        let simulator = self.simulator.clone();
        let stopped = stop.clone();
        tokio::spawn(async move {
            stopped.cancelled().await;
            simulator.close();
        });
        let outcome = daemon::run(self.app, self.listener, routes, stop).await;
        drop(self.folder);
        outcome
    }
}

/// A folder that is removed when this value is dropped.
struct TempFolder(PathBuf);

impl TempFolder {
    fn new() -> Result<TempFolder> {
        let path = std::env::temp_dir().join(format!("mynah-{}", uuid::Uuid::now_v7().simple()));
        std::fs::create_dir(&path).with_context(|| format!("cannot create the temporary folder {}", path.display()))?;
        Ok(TempFolder(path))
    }
}

impl Drop for TempFolder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, folder = %self.0.display(), "cannot remove a temporary folder");
        }
    }
}
