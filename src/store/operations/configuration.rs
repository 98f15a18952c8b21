//! What is stored of the configuration, read as a whole, and the revision by which a running process sees a change.

use std::collections::BTreeMap;
use std::path::Path;

use super::{secrets, settings};
use crate::store::database::{Store, StoreError, Tx, args};
use crate::store::sqlite;

const REVISION: &str = "SELECT revision FROM configuration WHERE id = 1";

const RAISE_REVISION: &str = "UPDATE configuration SET revision = revision + 1 WHERE id = 1";

/// What a database holds of the configuration. Empty if there is no database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredConfiguration {
    /// Rises with each change; 0 if nothing was ever changed.
    pub revision: i64,
    /// The settings, by variable.
    pub settings: BTreeMap<String, String>,
    /// The secrets, by name, each encrypted.
    pub sealed_secrets: BTreeMap<String, String>,
}

impl Store {
    /// Returns the revision of the stored configuration.
    pub async fn configuration_revision(&self) -> Result<i64, StoreError> {
        self.read(read_revision).await
    }
}

/// Reads the stored configuration of a database. The database may be in use, missing, or from an older program. It is
/// only read and not migrated, because the configuration is read before the lock on the data folder is taken.
pub fn stored_configuration(database: &Path) -> Result<StoredConfiguration, StoreError> {
    let mut stored = StoredConfiguration::default();
    sqlite::peek(database, &mut |table, tx| {
        match table {
            "configuration" => stored.revision = read_revision(tx)?,
            "settings" => stored.settings = settings::read_all(tx)?,
            "secrets" => stored.sealed_secrets = secrets::read_all(tx)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(stored)
}

fn read_revision(tx: &mut dyn Tx) -> Result<i64, StoreError> {
    Ok(tx.fetch_optional(REVISION, &[], |row| row.int(0))?.unwrap_or_default())
}

/// Raises the revision. Every transaction that changes the stored configuration calls this.
pub(in crate::store) fn raise_revision(tx: &mut dyn Tx) -> Result<(), StoreError> {
    tx.execute(RAISE_REVISION, args![]).map(drop)
}
