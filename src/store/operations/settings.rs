//! Stored settings: the layer of the configuration below the file. The owner can change them while mynah runs. Secrets
//! are not among them; those are stored encrypted.

use std::collections::BTreeMap;

use super::{configuration_revision, secrets};
use crate::clock::Time;
use crate::store::database::{Store, StoreError, Tx, args};

const ALL: &str = "SELECT key, value FROM settings WHERE key > '' ORDER BY key";

const PUT: &str = "
    INSERT INTO settings (key, value, updated_at) VALUES (?1, ?2, ?3)
    ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at";

const DELETE: &str = "DELETE FROM settings WHERE key = ?1";

impl Store {
    /// Stores a setting by its variable, such as `MYNAH_TYPING`. A running `serve` uses it within two seconds.
    pub async fn put_setting(&self, key: &'static str, value: String, now: Time) -> Result<(), StoreError> {
        self.write(move |tx| {
            tx.execute(PUT, args![key, value.as_str(), now])?;
            configuration_revision::raise(tx)
        })
        .await
    }

    /// Stores settings by variable, and encrypted secrets by name, in one transaction.
    pub async fn put_settings_and_secrets(
        &self,
        settings: BTreeMap<String, String>,
        sealed: Vec<(String, String)>,
        now: Time,
    ) -> Result<(), StoreError> {
        self.write(move |tx| {
            for (key, value) in &settings {
                tx.execute(PUT, args![key.as_str(), value.as_str(), now])?;
            }
            secrets::put_all(tx, &sealed, now)?;
            configuration_revision::raise(tx)
        })
        .await
    }

    /// Deletes a stored setting. Returns `false` if there was none.
    pub async fn delete_setting(&self, key: impl Into<String>) -> Result<bool, StoreError> {
        let key = key.into();
        self.write(move |tx| {
            let deleted = tx.execute(DELETE, args![key.as_str()])? > 0;
            if deleted {
                configuration_revision::raise(tx)?;
            }
            Ok(deleted)
        })
        .await
    }
}

/// Returns all stored settings.
pub(super) fn read_all(tx: &mut dyn Tx) -> Result<BTreeMap<String, String>, StoreError> {
    let mut stored = BTreeMap::new();
    tx.for_each_row(ALL, &[], &mut |row| {
        stored.insert(row.text(0)?.to_owned(), row.text(1)?.to_owned());
        Ok(())
    })?;
    Ok(stored)
}
