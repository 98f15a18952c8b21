//! The accounts of the admin page.

use crate::clock::Time;
use crate::store::database::{Store, StoreError, args};

const PASSWORD_HASH: &str = "SELECT password_hash FROM admin_accounts WHERE name = ?1";

const PUT: &str = "
    INSERT INTO admin_accounts (name, password_hash, created_at, updated_at) VALUES (?1, ?2, ?3, ?3)
    ON CONFLICT (name) DO UPDATE SET password_hash = excluded.password_hash, updated_at = excluded.updated_at";

impl Store {
    /// Returns the hash of an account's password, as a PHC string; `None` if there is no such account.
    pub async fn admin_password_hash(&self, name: impl Into<String>) -> Result<Option<String>, StoreError> {
        let name = name.into();
        self.read(move |tx| {
            tx.fetch_optional(PASSWORD_HASH, args![name.as_str()], |row| row.text(0).map(str::to_owned))
        })
        .await
    }

    /// Sets the hash of an account's password, and creates the account if there is none.
    pub async fn put_admin_account(
        &self,
        name: impl Into<String>,
        password_hash: String,
        now: Time,
    ) -> Result<(), StoreError> {
        let name = name.into();
        self.write(move |tx| tx.execute(PUT, args![name.as_str(), password_hash.as_str(), now]).map(drop)).await
    }
}
