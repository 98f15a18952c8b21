//! The accounts of the admin page.

use crate::clock::Time;
use crate::model::AdminRole;
use crate::store::database::{Store, StoreError, args};

const PASSWORD_HASH: &str = "SELECT password_hash FROM admin_accounts WHERE name = ?1";

const ANY: &str = "SELECT 1 FROM admin_accounts WHERE name > '' LIMIT 1";

/// The role of an account that exists stays.
const PUT: &str = "
    INSERT INTO admin_accounts (name, password_hash, created_at, updated_at, role) VALUES (?1, ?2, ?3, ?3, ?4)
    ON CONFLICT (name) DO UPDATE SET password_hash = excluded.password_hash, updated_at = excluded.updated_at";

const END_SESSIONS: &str = "DELETE FROM admin_sessions WHERE account = ?1";

impl Store {
    /// Returns the hash of an account's password, as a PHC string; `None` if there is no such account.
    pub async fn admin_password_hash(&self, name: impl Into<String>) -> Result<Option<String>, StoreError> {
        let name = name.into();
        self.read(move |tx| {
            tx.fetch_optional(PASSWORD_HASH, args![name.as_str()], |row| row.text(0).map(str::to_owned))
        })
        .await
    }

    /// Whether there is an account.
    pub async fn has_admin_accounts(&self) -> Result<bool, StoreError> {
        self.read(|tx| Ok(tx.fetch_optional(ANY, &[], |_| Ok(()))?.is_some())).await
    }

    /// Sets the hash of an account's password, and ends its sessions: whoever knew the old password is out. Creates the
    /// account with this role if there is none.
    pub async fn put_admin_account(
        &self,
        name: impl Into<String>,
        password_hash: String,
        role_of_new: AdminRole,
        now: Time,
    ) -> Result<(), StoreError> {
        let name = name.into();
        self.write(move |tx| {
            tx.execute(PUT, args![name.as_str(), password_hash.as_str(), now, role_of_new.as_str()])?;
            tx.execute(END_SESSIONS, args![name.as_str()]).map(drop)
        })
        .await
    }
}
