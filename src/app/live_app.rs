//! The current snapshot of the app, and how it is replaced when the configuration changes.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use anyhow::Result;
use tokio::sync::Mutex;
use tracing::{info, warn};

use super::App;
use super::installation_key::is_installation_key;
use crate::config::{Config, DataConfig, LogConfig, Problems, Sources, StoredSecret};
use crate::secrets::Secrets;
use crate::store::{StoreError, StoredConfiguration, stored_configuration};

/// Hands out the current [`App`]. Clones share it.
#[derive(Clone)]
pub struct LiveApp(Arc<Shared>);

struct Shared {
    current: RwLock<Arc<App>>,
    /// The flags, environment and files of the process; `None` if the configuration never changes.
    sources: Option<Sources>,
    /// The revision of the stored configuration that was read last. Held while the configuration is read, so that an
    /// older one never replaces a newer one.
    revision: Mutex<i64>,
}

/// What a look at the stored configuration led to.
#[derive(Debug, PartialEq, Eq)]
pub enum ReloadOutcome {
    /// Nothing was changed since the last look.
    Unchanged,
    /// A new snapshot is in use.
    Replaced {
        /// Changed settings that count only after a restart, by variable.
        needs_restart: Vec<&'static str>,
    },
}

/// Why a changed configuration cannot be used. The current one stays.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// It has errors.
    #[error("the changed configuration is not used, because it has errors: {0}")]
    Invalid(#[from] Problems),
    /// The database cannot be read.
    #[error("the changed configuration cannot be read: {0}")]
    Store(#[from] StoreError),
    /// Something that it names cannot be set up.
    #[error("the changed configuration cannot be used: {0:#}")]
    SetUp(anyhow::Error),
}

impl LiveApp {
    /// Starts with this app, which was made from these sources and from the stored configuration of this revision.
    pub fn new(app: Arc<App>, sources: Sources, revision: i64) -> LiveApp {
        LiveApp::over(app, Some(sources), revision)
    }

    fn over(app: Arc<App>, sources: Option<Sources>, revision: i64) -> LiveApp {
        LiveApp(Arc::new(Shared { current: RwLock::new(app), sources, revision: Mutex::new(revision) }))
    }

    /// Returns the current snapshot. Whoever begins a piece of work takes one and keeps it to the end.
    pub fn current(&self) -> Arc<App> {
        Arc::clone(&self.0.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether the snapshot is ever replaced.
    pub fn can_change(&self) -> bool {
        self.0.sources.is_some()
    }

    /// Replaces the snapshot if the stored configuration was changed since the last look, by whichever process.
    pub async fn reload_if_changed(&self) -> Result<ReloadOutcome, ReloadError> {
        let mut seen = self.0.revision.lock().await;
        let revision = self.current().store.configuration_revision().await?;
        if revision == *seen {
            return Ok(ReloadOutcome::Unchanged);
        }
        // An invalid configuration is not read again before the next change.
        *seen = revision;
        self.reload_holding(&mut seen).await
    }

    /// Reads every layer of the configuration again, including the files, and replaces the snapshot.
    pub async fn reload(&self) -> Result<ReloadOutcome, ReloadError> {
        let mut seen = self.0.revision.lock().await;
        self.reload_holding(&mut seen).await
    }

    async fn reload_holding(&self, seen: &mut i64) -> Result<ReloadOutcome, ReloadError> {
        let Some(sources) = self.0.sources.clone() else { return Ok(ReloadOutcome::Unchanged) };
        let before = self.current();
        let data = before.config.data.clone();
        let read = tokio::task::spawn_blocking(move || {
            let stored = stored_configuration(&data.database)?;
            let revision = stored.revision;
            Ok((Config::load(with_stored(sources, &data, stored))?, revision))
        });
        let (mut config, revision) = match read.await {
            Ok(read) => read.map_err(|error: ReloadError| error)?,
            Err(error) => return Err(ReloadError::SetUp(error.into())),
        };
        let needs_restart = keep_what_needs_a_restart(&mut config, &before.config);
        for key in &needs_restart {
            warn!(setting = key, "this setting was changed; it counts after a restart");
        }
        for warning in config.warnings.iter().filter(|warning| !before.config.warnings.contains(warning)) {
            warn!("{warning}");
        }
        let next = before.with_config(config).await.map_err(ReloadError::SetUp)?;
        *self.0.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
        *seen = revision;
        info!(revision, "the configuration was changed; new messages and turns use it");
        before.wake.notify_one();
        Ok(ReloadOutcome::Replaced { needs_restart })
    }
}

/// An app whose configuration never changes.
impl From<Arc<App>> for LiveApp {
    fn from(app: Arc<App>) -> LiveApp {
        LiveApp::over(app, None, 0)
    }
}

/// Gives the settings that a running process cannot change their current values. Returns those that differed.
fn keep_what_needs_a_restart(config: &mut Config, current: &Config) -> Vec<&'static str> {
    let mut changed = Vec::new();
    if config.server.listen != current.server.listen {
        config.server.listen = current.server.listen;
        changed.push("MYNAH_LISTEN");
    }
    if config.data.dir != current.data.dir {
        config.data.dir.clone_from(&current.data.dir);
        changed.push("MYNAH_DATA_DIR");
    }
    if config.data.database != current.data.database {
        config.data.database.clone_from(&current.data.database);
        changed.push("DATABASE_URL");
    }
    // The filter of the log changes while mynah runs.
    let filter = std::mem::take(&mut config.log.filter);
    for (differs, key) in [
        (config.log.format != current.log.format, "MYNAH_LOG_FORMAT"),
        (config.log.dir != current.log.dir, "MYNAH_LOG_DIR"),
        (config.log.max_files != current.log.max_files, "MYNAH_LOG_RETENTION"),
    ] {
        changed.extend(differs.then_some(key));
    }
    config.log = LogConfig { filter, ..current.log.clone() };
    changed
}

/// Loads the configuration from every layer, including what is stored in the database that the other layers name.
/// Returns it with the revision of the stored configuration.
pub fn load_configuration(sources: Sources) -> Result<(Config, i64)> {
    let (sources, revision) = load_sources(sources)?;
    Ok((Config::load(sources)?, revision))
}

/// Adds what is stored in the database that the sources name. Returns them with the revision of the stored
/// configuration.
pub fn load_sources(sources: Sources) -> Result<(Sources, i64), StoreError> {
    let Ok(data) = Config::load_data(sources.clone()) else {
        // `Config::load` reports this error, together with all others.
        return Ok((sources, 0));
    };
    let stored = stored_configuration(&data.database)?;
    let revision = stored.revision;
    Ok((with_stored(sources, &data, stored), revision))
}

/// Adds what is stored to the other sources. Decrypts the secrets.
fn with_stored(sources: Sources, data: &DataConfig, stored: StoredConfiguration) -> Sources {
    let sealed = stored.sealed_secrets.into_iter().filter(|(name, _)| !is_installation_key(name));
    let mut sealed = sealed.peekable();
    let mut secrets = BTreeMap::new();
    if sealed.peek().is_some() {
        let identity = Secrets::open(&data.age_key).map_err(|error| error.to_string());
        secrets.extend(sealed.map(|(name, value)| {
            let opened = match &identity {
                Ok(identity) => identity.unseal_text(&value).map_err(|error| error.to_string()),
                Err(why) => Err(why.clone()),
            };
            (name, opened.map_or_else(StoredSecret::Unreadable, StoredSecret::Opened))
        }));
    }
    Sources {
        stored: stored.settings,
        secrets,
        ai_configurations: stored.ai_configurations,
        numbers: stored.numbers,
        ..sources
    }
}
