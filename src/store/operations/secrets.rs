//! Secrets in the database, encrypted for this installation's age identity.

use std::collections::BTreeMap;

use crate::clock::Time;
use crate::store::database::{Store, StoreError, Tx, args};

const ALL: &str = "SELECT name, sealed FROM secrets WHERE name > '' ORDER BY name";

const GET: &str = "SELECT sealed FROM secrets WHERE name = ?1";

const PUT: &str = "INSERT INTO secrets (name, sealed, updated_at) VALUES (?1, ?2, ?3)
    ON CONFLICT (name) DO UPDATE SET sealed = excluded.sealed, updated_at = excluded.updated_at";

impl Store {
    /// Returns the encrypted value of that name.
    pub async fn sealed_secret(&self, name: &'static str) -> Result<Option<String>, StoreError> {
        self.read(move |tx| tx.fetch_optional(GET, args![name], |row| row.text(0).map(str::to_owned))).await
    }

    /// Stores an encrypted value under that name and replaces any that exists.
    pub async fn put_sealed_secret(&self, name: &'static str, sealed: String, now: Time) -> Result<(), StoreError> {
        self.write(move |tx| tx.execute(PUT, args![name, sealed.as_str(), now]).map(drop)).await
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
