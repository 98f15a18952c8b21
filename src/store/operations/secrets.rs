//! Secrets in the database, encrypted for this installation's age identity.

use std::collections::BTreeMap;

use super::configuration_revision;
use crate::clock::Time;
use crate::store::database::{Store, StoreError, Tx, args};

const ALL: &str = "SELECT name, sealed, updated_at FROM secrets WHERE name > '' ORDER BY name";

const CREATE: &str = "INSERT INTO secrets (name, sealed, updated_at) VALUES (?1, ?2, ?3) ON CONFLICT (name) DO NOTHING";

const DELETE: &str = "DELETE FROM secrets WHERE name = ?1";

const GET: &str = "SELECT sealed FROM secrets WHERE name = ?1";

const PUT: &str = "INSERT INTO secrets (name, sealed, updated_at) VALUES (?1, ?2, ?3)
    ON CONFLICT (name) DO UPDATE SET sealed = excluded.sealed, updated_at = excluded.updated_at";

/// A secret as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedSecret {
    /// Its name: the variable of a setting, with the name of a number or of an AI configuration before it where it is
    /// theirs, or the name of a key that mynah made for itself.
    pub name: String,
    /// The encrypted value, in ASCII armor.
    pub sealed: String,
    /// When it was set.
    pub updated_at: Time,
}

impl Store {
    /// Returns the encrypted value of that name.
    pub async fn sealed_secret(&self, name: impl Into<String>) -> Result<Option<String>, StoreError> {
        let name = name.into();
        self.read(move |tx| tx.fetch_optional(GET, args![name.as_str()], |row| row.text(0).map(str::to_owned))).await
    }

    /// Returns every secret, encrypted.
    pub async fn sealed_secrets(&self) -> Result<Vec<SealedSecret>, StoreError> {
        self.read(|tx| {
            tx.fetch_all(ALL, &[], |row| {
                let (name, sealed) = (row.text(0)?.to_owned(), row.text(1)?.to_owned());
                Ok(SealedSecret { name, sealed, updated_at: Time(row.int(2)?) })
            })
        })
        .await
    }

    /// Stores an encrypted value under that name and replaces any that exists. A running `serve` uses it within two
    /// seconds.
    pub async fn put_sealed_secret(
        &self,
        name: impl Into<String>,
        sealed: String,
        now: Time,
    ) -> Result<(), StoreError> {
        let name = name.into();
        self.write(move |tx| {
            tx.execute(PUT, args![name.as_str(), sealed.as_str(), now])?;
            configuration_revision::raise(tx)
        })
        .await
    }

    /// Stores a key that mynah made for itself, unless another process was faster. Returns the one that is stored.
    pub async fn create_sealed_secret(
        &self,
        name: &'static str,
        sealed: String,
        now: Time,
    ) -> Result<String, StoreError> {
        self.write(move |tx| {
            tx.execute(CREATE, args![name, sealed.as_str(), now])?;
            let stored = tx.fetch_optional(GET, args![name], |row| row.text(0).map(str::to_owned))?;
            Ok(stored.unwrap_or_else(|| sealed.clone()))
        })
        .await
    }

    /// Deletes a secret. Returns `false` if there was none.
    pub async fn delete_secret(&self, name: impl Into<String>) -> Result<bool, StoreError> {
        let name = name.into();
        self.write(move |tx| {
            let deleted = tx.execute(DELETE, args![name.as_str()])? > 0;
            if deleted {
                configuration_revision::raise(tx)?;
            }
            Ok(deleted)
        })
        .await
    }

    /// Replaces the encrypted values of `before` by those of `after`, which has the same names, all or none. Returns
    /// `false`, and changes nothing, if the stored ones are not those of `before` any more.
    pub async fn replace_sealed_secrets(
        &self,
        before: Vec<SealedSecret>,
        after: Vec<SealedSecret>,
    ) -> Result<bool, StoreError> {
        self.write(move |tx| {
            let stored = read_all(tx)?;
            let expected = before.iter().map(|secret| (secret.name.clone(), secret.sealed.clone())).collect();
            if stored != expected {
                return Ok(false);
            }
            for secret in &after {
                tx.execute(PUT, args![secret.name.as_str(), secret.sealed.as_str(), secret.updated_at])?;
            }
            configuration_revision::raise(tx)?;
            Ok(true)
        })
        .await
    }
}

/// Returns all secrets, encrypted, by name.
pub(super) fn read_all(tx: &mut dyn Tx) -> Result<BTreeMap<String, String>, StoreError> {
    let mut sealed = BTreeMap::new();
    tx.for_each_row(ALL, &[], &mut |row| {
        sealed.insert(row.text(0)?.to_owned(), row.text(1)?.to_owned());
        Ok(())
    })?;
    Ok(sealed)
}

/// Stores encrypted values by name and replaces those that exist.
pub(super) fn put_all(tx: &mut dyn Tx, sealed: &[(String, String)], now: Time) -> Result<(), StoreError> {
    for (name, value) in sealed {
        tx.execute(PUT, args![name.as_str(), value.as_str(), now])?;
    }
    Ok(())
}

/// Deletes the secrets of these names.
pub(super) fn delete_all(tx: &mut dyn Tx, names: &[String]) -> Result<(), StoreError> {
    for name in names {
        tx.execute(DELETE, args![name.as_str()])?;
    }
    Ok(())
}
