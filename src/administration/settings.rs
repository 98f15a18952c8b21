//! Stored settings.

use super::{Administration, AdministrationError};
use crate::config::{Config, Problems, StoredSetting};

impl Administration {
    /// Returns the stored settings, and whether each one takes effect.
    pub fn settings(&self) -> Result<Vec<StoredSetting>, AdministrationError> {
        Ok(Config::stored_settings(&self.sources()?))
    }

    /// Returns one stored setting.
    pub fn setting(&self, key: &str) -> Result<StoredSetting, AdministrationError> {
        if let Some(stored) = self.settings()?.into_iter().find(|stored| stored.key == key) {
            return Ok(stored);
        }
        Config::find_setting(key)?;
        Err(AdministrationError::NotStored { name: key.to_owned(), list: "mynah settings list" })
    }

    /// Stores a setting, and returns it with its effect.
    pub async fn set_setting(&self, key: &str, value: String) -> Result<StoredSetting, AdministrationError> {
        let setting = Config::validate_setting(&self.sources()?, key, &value)
            .map_err(|problems| AdministrationError::Refused { name: key.escape_debug().to_string(), problems })?;
        self.store.put_setting(setting.key, value, self.clock.now()).await?;
        self.setting(key)
    }

    /// Deletes a stored setting. Returns the errors that the configuration has without it.
    pub async fn unset_setting(&self, key: &str) -> Result<Option<Problems>, AdministrationError> {
        self.setting(key)?;
        self.store.delete_setting(key).await?;
        Ok(Config::load(self.sources()?).err())
    }
}
