//! The revision of the stored configuration, by which a running process sees a change.

use crate::store::database::{Store, StoreError, Tx};

const REVISION: &str = "SELECT revision FROM configuration WHERE id = 1";

const RAISE_REVISION: &str = "UPDATE configuration SET revision = revision + 1 WHERE id = 1";

impl Store {
    /// Returns the revision of the stored configuration.
    pub async fn configuration_revision(&self) -> Result<i64, StoreError> {
        self.read(|tx| read(tx)).await
    }
}

pub(super) fn read(tx: &mut dyn Tx) -> Result<i64, StoreError> {
    Ok(tx.fetch_optional(REVISION, &[], |row| row.int(0))?.unwrap_or_default())
}

/// Raises the revision. Every transaction that changes the stored configuration calls this.
pub(in crate::store) fn raise(tx: &mut dyn Tx) -> Result<(), StoreError> {
    tx.execute(RAISE_REVISION, &[]).map(drop)
}
