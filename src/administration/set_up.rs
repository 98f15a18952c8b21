//! The first set-up: the data folder, the age identity, and several settings and secrets at once.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};

use super::{Administration, AdministrationError};
use crate::clock::Clock;
use crate::config::{Config, Sources, StoredSecret};
use crate::secrets::Secrets;

/// What a set-up created. What was there already is not named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Created {
    /// The data folder.
    pub folder: Option<PathBuf>,
    /// The database.
    pub database: Option<PathBuf>,
    /// The file of the age identity.
    pub identity: Option<PathBuf>,
}

impl Administration {
    /// Opens the database that the sources name. Creates what does not exist: the data folder, which only its owner may
    /// enter, the database, and the age identity.
    pub fn create(base: Sources, clock: Arc<dyn Clock>) -> Result<(Administration, Created), AdministrationError> {
        let data = Config::load_data(base.clone())?;
        let mut created = Created::default();
        if !data.dir.exists() {
            DirBuilder::new().recursive(true).mode(0o700).create(&data.dir).map_err(|error| {
                let why = format!("the data folder {} cannot be created: {error} (MYNAH_DATA_DIR)", data.dir.display());
                AdministrationError::NotPossible(why)
            })?;
            created.folder = Some(data.dir.clone());
        }
        let has_identity = data.age_key.path.exists();
        Secrets::open_or_create(&data.age_key)?;
        created.identity = Some(data.age_key.path).filter(|_| !has_identity);
        if !data.database.exists() {
            // An empty file is an empty database.
            fs::File::create_new(&data.database).map_err(|error| {
                let why = format!("the database {} cannot be created: {error}", data.database.display());
                AdministrationError::NotPossible(why)
            })?;
            created.database = Some(data.database.clone());
        }
        Ok((Administration::open(base, clock)?, created))
    }

    /// Stores several settings and secrets at once, by variable, because some are valid only together. All are stored or
    /// none.
    pub async fn store_together(
        &self,
        settings: BTreeMap<String, String>,
        secrets: BTreeMap<String, SecretString>,
    ) -> Result<(), AdministrationError> {
        let before = self.sources()?;
        let mut after = before.clone();
        for (key, value) in &settings {
            let setting = Config::find_setting(key)?;
            if let Some(why) = setting.why_not_storable() {
                return Err(AdministrationError::NotPossible(format!("{key} is {why}")));
            }
            after.stored.insert(key.clone(), value.clone());
        }
        for (key, value) in &secrets {
            Config::find_secret(key)?;
            after.secrets.insert(key.clone(), StoredSecret::Opened(value.clone()));
        }
        self.refuse_new_problems("this", before, after)?;
        let mut sealed = Vec::with_capacity(secrets.len());
        if !secrets.is_empty() {
            let identity = Secrets::open_or_create(&self.data.age_key)?;
            for (key, value) in secrets {
                sealed.push((key, identity.seal(value.expose_secret().as_bytes())?));
            }
        }
        self.store.put_settings_and_secrets(settings, sealed, self.clock.now()).await?;
        Ok(())
    }
}
