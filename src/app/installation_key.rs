//! Keys that mynah makes for itself, once for each installation, and stores encrypted in the database.

use anyhow::{Context, Result, anyhow};

use crate::clock::Clock;
use crate::config::DataConfig;
use crate::secrets::Secrets;
use crate::store::Store;

/// The name of the key that proves that a reference in a status callback is ours.
pub(super) const CALLBACK_KEY: &str = "status-callback-key";

/// Returns the key of this name; creates it if there is none.
pub(super) async fn get_or_create(
    name: &'static str,
    store: &Store,
    data: &DataConfig,
    clock: &dyn Clock,
) -> Result<[u8; 32]> {
    let sealed = match store.sealed_secret(name).await? {
        Some(sealed) => sealed,
        None => {
            let mut key = [0; 32];
            getrandom::fill(&mut key).map_err(|error| anyhow!("the system returned no random bytes: {error}"))?;
            let sealed = Secrets::open_or_create(&data.age_key)?.seal(&key)?;
            store.create_sealed_secret(name, sealed, clock.now()).await?
        }
    };
    let key = Secrets::open(&data.age_key).and_then(|secrets| secrets.unseal(&sealed)).with_context(|| {
        format!(
            "the {name} in the database cannot be decrypted; put the age identity back that belongs to this database, \
             or, if it is lost, have mynah make a new key: `mynah secret remove {name}`"
        )
    })?;
    key.try_into().map_err(|_| anyhow!("the stored {name} is not 32 bytes"))
}

/// Whether a stored secret is a key that mynah made for itself. Other secrets have the names of settings.
pub fn is_installation_key(name: &str) -> bool {
    name == CALLBACK_KEY
}
