//! Stored numbers: the numbers after the first that have no file.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};

use super::ai::{SettingChanges, apply};
use super::{Administration, AdministrationError};
use crate::config::{Config, StoredSecret};
use crate::secrets::Secrets;

/// One of our numbers, as an owner sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NumberEntry {
    /// Its name: `main` for the first.
    pub name: String,
    /// Where its settings lie.
    pub source: NumberSource,
    /// The sender: a WhatsApp number or a Messaging Service.
    pub sender: Option<String>,
    /// The account at the provider.
    pub account: Option<String>,
    /// The AI configuration that answers, then those that stand in.
    pub models: Vec<String>,
}

/// Where the settings of a number lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberSource {
    /// It is the number of the main configuration.
    Main,
    /// In a file.
    File,
    /// In the database.
    Stored,
}

impl Administration {
    /// Returns our numbers, the first one first.
    pub fn numbers(&self) -> Result<Vec<NumberEntry>, AdministrationError> {
        let sources = self.sources()?;
        let files = Config::load(crate::config::Sources { numbers: BTreeMap::new(), ..sources.clone() });
        let in_files: Vec<String> = files
            .map(|config| config.every_number().into_iter().map(|number| number.name).collect())
            .unwrap_or_default();
        let config = Config::load(sources)?;
        let entries = config.every_number().into_iter().enumerate().map(|(at, number)| NumberEntry {
            source: match at {
                0 => NumberSource::Main,
                _ if in_files.contains(&number.name) => NumberSource::File,
                _ => NumberSource::Stored,
            },
            sender: number.twilio.as_ref().map(|twilio| twilio.sender.to_string()),
            account: number.twilio.as_ref().map(|twilio| twilio.account_sid.clone()),
            models: number.ai.iter().chain(&number.fallbacks).map(|ai| ai.configuration.clone()).collect(),
            name: number.name,
        });
        Ok(entries.collect())
    }

    /// Returns the settings of a stored number, by variable.
    pub fn number_settings(&self, name: &str) -> Result<BTreeMap<String, String>, AdministrationError> {
        let not_stored =
            || AdministrationError::NotStored { name: format!("the number {name}"), list: "mynah number list" };
        self.sources()?.numbers.remove(name).ok_or_else(not_stored)
    }

    /// Stores a new number. `secrets`: by variable.
    pub async fn add_number(
        &self,
        name: &str,
        settings: SettingChanges,
        secrets: BTreeMap<String, SecretString>,
    ) -> Result<(), AdministrationError> {
        Config::validate_own_name(name)?;
        let known = Config::load(self.sources()?).map(|config| config.every_number()).unwrap_or_default();
        if self.sources()?.numbers.contains_key(name) || known.iter().any(|number| number.name == name) {
            let why = format!("there is a number {name} already; `mynah number update {name}` changes a stored one");
            return Err(AdministrationError::NotPossible(why));
        }
        self.store_number(name, settings, secrets).await
    }

    /// Changes a stored number. What is not named stays.
    pub async fn update_number(
        &self,
        name: &str,
        changes: SettingChanges,
        secrets: BTreeMap<String, SecretString>,
    ) -> Result<(), AdministrationError> {
        self.number_settings(name)?;
        self.store_number(name, changes, secrets).await
    }

    async fn store_number(
        &self,
        name: &str,
        changes: SettingChanges,
        secrets: BTreeMap<String, SecretString>,
    ) -> Result<(), AdministrationError> {
        let before = self.sources()?;
        let mut after = before.clone();
        let settings = after.numbers.entry(name.to_owned()).or_default();
        apply(settings, changes);
        let settings = settings.clone();
        for (variable, value) in &secrets {
            after.secrets.insert(format!("{name}.{variable}"), StoredSecret::Opened(value.clone()));
        }
        self.refuse_new_problems(&format!("the number {name}"), before, after)?;
        let mut sealed = Vec::with_capacity(secrets.len());
        if !secrets.is_empty() {
            let identity = Secrets::open_or_create(&self.data.age_key)?;
            for (variable, value) in secrets {
                sealed.push((format!("{name}.{variable}"), identity.seal(value.expose_secret().as_bytes())?));
            }
        }
        self.store.put_number(name, settings, sealed, self.clock.now()).await?;
        Ok(())
    }

    /// Deletes a stored number with its secrets. Conversations on it stay; contacts who write to it are answered by the
    /// account's first number.
    pub async fn remove_number(&self, name: &str) -> Result<(), AdministrationError> {
        self.number_settings(name)?;
        let before = self.sources()?;
        let own = format!("{name}.");
        let secrets: Vec<String> = before.secrets.keys().filter(|key| key.starts_with(&own)).cloned().collect();
        let mut after = before.clone();
        after.numbers.remove(name);
        self.refuse_new_problems(&format!("without the number {name}, the configuration"), before, after)?;
        self.store.delete_number(name, secrets).await?;
        Ok(())
    }
}
