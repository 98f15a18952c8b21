//! Stored settings: the layer of the configuration below the file. The owner can change them while mynah runs. Secrets
//! are not among them; those are stored encrypted.

use std::collections::BTreeMap;
use std::path::Path;

use crate::clock::Time;
use crate::store::database::{Store, StoreError, Tx, args};
use crate::store::sqlite;

const ALL: &str = "SELECT key, value FROM settings WHERE key > '' ORDER BY key";

const PUT: &str = "
    INSERT INTO settings (key, value, updated_at) VALUES (?1, ?2, ?3)
    ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at";

const DELETE: &str = "DELETE FROM settings WHERE key = ?1";

impl Store {
    /// Stores a setting by its variable, such as `MYNAH_TYPING`. It takes effect at the next start.
    pub async fn put_setting(&self, key: &'static str, value: String, now: Time) -> Result<(), StoreError> {
        self.write(move |tx| tx.execute(PUT, args![key, value.as_str(), now]).map(drop)).await
    }

    /// Deletes a stored setting. Returns `false` if there was none.
    pub async fn delete_setting(&self, key: impl Into<String>) -> Result<bool, StoreError> {
        let key = key.into();
        self.write(move |tx| Ok(tx.execute(DELETE, args![key.as_str()])? > 0)).await
    }
}

/// Returns the stored settings of a database. The database may be in use, missing, or from an older program. It is only
/// read and not migrated, because the configuration is read before the lock on the data folder is taken.
pub fn stored_settings(database: &Path) -> Result<BTreeMap<String, String>, StoreError> {
    let mut stored = BTreeMap::new();
    sqlite::peek(database, "settings", &mut |tx: &mut dyn Tx| {
        tx.for_each_row(ALL, &[], &mut |row| {
            stored.insert(row.text(0)?.to_owned(), row.text(1)?.to_owned());
            Ok(())
        })
    })?;
    Ok(stored)
}
