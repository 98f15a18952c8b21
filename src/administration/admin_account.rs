//! The accounts of the admin page.

use secrecy::SecretString;

use super::{Administration, AdministrationError};
use crate::model::AdminRole;
use crate::password;

/// The name of the first account.
pub const OWNER: &str = "owner";

impl Administration {
    /// Sets the password of an account of the admin page, and creates the account if there is none.
    pub async fn set_admin_password(&self, name: &str, password: &SecretString) -> Result<(), AdministrationError> {
        let fits = |char: char| char.is_alphanumeric() || "-_.@".contains(char);
        if name.is_empty() || name.len() > 80 || !name.chars().all(fits) {
            let why = "the name of an account has at most 80 letters, digits and the characters - _ . @";
            return Err(AdministrationError::NotPossible(why.to_owned()));
        }
        let hash = password::hash(password).map_err(|error| AdministrationError::NotPossible(error.to_string()))?;
        self.store.put_admin_account(name, hash, AdminRole::Owner, self.clock.now()).await?;
        Ok(())
    }

    /// Whether an account of the admin page exists.
    pub async fn has_admin_account(&self, name: &str) -> Result<bool, AdministrationError> {
        Ok(self.store.admin_password_hash(name).await?.is_some())
    }
}
