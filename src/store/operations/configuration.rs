//! What is stored of the configuration, read as a whole.

use std::collections::BTreeMap;
use std::path::Path;

use super::{configuration_revision, secrets, settings, stored_ai_configurations, stored_numbers};
use crate::store::database::StoreError;
use crate::store::sqlite;

/// What a database holds of the configuration. Empty if there is no database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredConfiguration {
    /// Rises with each change; 0 if nothing was ever changed.
    pub revision: i64,
    /// The settings, by variable.
    pub settings: BTreeMap<String, String>,
    /// The secrets, by name, each encrypted.
    pub sealed_secrets: BTreeMap<String, String>,
    /// The AI configurations by name, with the settings of each by variable.
    pub ai_configurations: BTreeMap<String, BTreeMap<String, String>>,
    /// The numbers, likewise.
    pub numbers: BTreeMap<String, BTreeMap<String, String>>,
}

/// Reads the stored configuration of a database. The database may be in use, missing, or from an older program. It is
/// only read and not migrated, because the configuration is read before the lock on the data folder is taken.
pub fn stored_configuration(database: &Path) -> Result<StoredConfiguration, StoreError> {
    let mut stored = StoredConfiguration::default();
    sqlite::peek(database, &mut |table, tx| {
        match table {
            "configuration" => stored.revision = configuration_revision::read(tx)?,
            "settings" => stored.settings = settings::read_all(tx)?,
            "secrets" => stored.sealed_secrets = secrets::read_all(tx)?,
            "ai_configurations" => stored.ai_configurations = stored_ai_configurations::read_all(tx)?,
            "numbers" => stored.numbers = stored_numbers::read_all(tx)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(stored)
}
