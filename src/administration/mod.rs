//! Changes to what is stored of the configuration, as an owner makes them at the shell or on a page.
//!
//! Each change is checked against the whole configuration and refused with every error before anything is stored. It is
//! stored in one transaction, which also raises the revision that a running `serve` watches. To add a change, add a
//! method in the file of its noun.

mod admin_account;
mod ai;
mod numbers;
mod secrets;
mod set_up;
mod settings;

use std::path::PathBuf;
use std::sync::Arc;

use crate::app::load_sources;
use crate::clock::Clock;
use crate::config::{Config, DataConfig, Problem, Problems, Sources};
use crate::secrets::SecretsError;
use crate::store::{LockError, Store, StoreError, StoreOptions};

pub use self::admin_account::OWNER;
pub use self::ai::{AiEntry, AiRole, AiTest, SettingChanges};
pub use self::numbers::{NumberEntry, NumberSource};
pub use self::secrets::{KeptSecret, Rotation, SecretState, StoredSecretChange};
pub use self::set_up::Created;

impl From<SecretsError> for AdministrationError {
    fn from(error: SecretsError) -> AdministrationError {
        AdministrationError::Secrets(Box::new(error))
    }
}

/// The stored configuration of one database.
pub struct Administration {
    /// The sources of the process, without what is stored.
    base: Sources,
    data: DataConfig,
    store: Store,
    clock: Arc<dyn Clock>,
}

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
pub enum AdministrationError {
    /// There is no database to change.
    #[error("there is no database at {}; check MYNAH_DATA_DIR, or run `mynah init` first", .0.display())]
    NoDatabase(PathBuf),
    /// The change would make the configuration invalid.
    #[error("{name} was not stored:\n{}", list(.problems))]
    Refused {
        /// What was to be stored.
        name: String,
        /// The errors that it would cause.
        problems: Problems,
    },
    /// The configuration has errors without the change.
    #[error(transparent)]
    Invalid(#[from] Problems),
    /// There is nothing of that name.
    #[error(transparent)]
    Unknown(#[from] Problem),
    /// Nothing of that name is stored.
    #[error("{name} is not stored; `{list}` shows what is stored")]
    NotStored {
        /// The name.
        name: String,
        /// The command that lists what is stored.
        list: &'static str,
    },
    /// A secret cannot be encrypted or decrypted.
    #[error(transparent)]
    Secrets(Box<SecretsError>),
    /// A secret cannot be decrypted, so nothing was changed.
    #[error(
        "the stored secret {name} cannot be decrypted, so nothing was changed: {why}; set it again or remove it first"
    )]
    Unreadable {
        /// The secret.
        name: String,
        /// Why.
        why: String,
    },
    /// Another process changed the same at the same time.
    #[error("the stored configuration was changed by another process at the same time; nothing was changed, try again")]
    Conflict,
    /// The change cannot be made this way.
    #[error("{0}")]
    NotPossible(String),
    /// The data folder is in use.
    #[error(transparent)]
    Locked(#[from] LockError),
    /// The database cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn list(problems: &Problems) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

impl Administration {
    /// Opens the database that the sources name. It must exist. The stored configuration may have errors, so that it can
    /// be repaired.
    pub fn open(base: Sources, clock: Arc<dyn Clock>) -> Result<Administration, AdministrationError> {
        let data = Config::load_data(base.clone())?;
        if !data.database.exists() {
            return Err(AdministrationError::NoDatabase(data.database));
        }
        // The options concern messages, which this value does not touch.
        let options = StoreOptions::new(std::time::Duration::ZERO, std::time::Duration::ZERO);
        let store = Store::open(&data.database, options)?;
        Ok(Administration { base, data, store, clock })
    }

    /// Returns the sources of the process with what is stored now.
    pub fn sources(&self) -> Result<Sources, AdministrationError> {
        Ok(load_sources(self.base.clone())?.0)
    }
}
