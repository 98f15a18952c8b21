//! Stored AI configurations: the settings of each, by variable. Its secrets are stored among the other secrets.

use std::collections::BTreeMap;

use super::{configuration_revision, secrets};
use crate::clock::Time;
use crate::store::database::{Store, StoreError, Tx, args};

const ALL: &str = "SELECT name, settings FROM ai_configurations WHERE name > '' ORDER BY name";

const PUT: &str = "
    INSERT INTO ai_configurations (name, settings, created_at, updated_at) VALUES (?1, ?2, ?3, ?3)
    ON CONFLICT (name) DO UPDATE SET settings = excluded.settings, updated_at = excluded.updated_at";

const DELETE: &str = "DELETE FROM ai_configurations WHERE name = ?1";

impl Store {
    /// Stores the settings of an AI configuration and replaces any that exist, with its encrypted secrets by name, in one transaction.
    /// Secrets that are not named stay. A running `serve` uses them within two seconds.
    pub async fn put_ai_configuration(
        &self,
        name: impl Into<String>,
        settings: BTreeMap<String, String>,
        sealed: Vec<(String, String)>,
        now: Time,
    ) -> Result<(), StoreError> {
        let (name, settings) = (name.into(), serde_json::json!(settings).to_string());
        self.write(move |tx| {
            tx.execute(PUT, args![name.as_str(), settings.as_str(), now])?;
            secrets::put_all(tx, &sealed, now)?;
            configuration_revision::raise(tx)
        })
        .await
    }

    /// Deletes an AI configuration with these secrets of its own. Returns `false` if there was none.
    pub async fn delete_ai_configuration(
        &self,
        name: impl Into<String>,
        secrets: Vec<String>,
    ) -> Result<bool, StoreError> {
        let name = name.into();
        self.write(move |tx| {
            let deleted = tx.execute(DELETE, args![name.as_str()])? > 0;
            if deleted {
                secrets::delete_all(tx, &secrets)?;
                configuration_revision::raise(tx)?;
            }
            Ok(deleted)
        })
        .await
    }
}

/// Returns all of them, by name.
pub(super) fn read_all(tx: &mut dyn Tx) -> Result<BTreeMap<String, BTreeMap<String, String>>, StoreError> {
    let mut stored = BTreeMap::new();
    tx.for_each_row(ALL, &[], &mut |row| {
        let name = row.text(0)?.to_owned();
        let settings = serde_json::from_str(row.text(1)?);
        let damaged =
            |error| StoreError::Refused(format!("the stored AI configuration {name} is no JSON object: {error}"));
        let settings = settings.map_err(damaged)?;
        stored.insert(name, settings);
        Ok(())
    })?;
    Ok(stored)
}
