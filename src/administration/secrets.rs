//! Stored secrets, and the age identity that they are encrypted for.

use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

use super::{Administration, AdministrationError};
use crate::app::is_installation_key;
use crate::clock::Time;
use crate::config::{AgeKeyFile, AgeKeyOrigin, Config, Problems, Sources, StoredSecret};
use crate::secrets::{Secrets, SecretsError};
use crate::store::SealedSecret;

/// A stored secret, without its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptSecret {
    /// Its name: the variable of a setting, or the name of a key that mynah made for itself.
    pub name: String,
    /// When it was set.
    pub updated_at: Time,
    /// Whether it takes effect.
    pub state: SecretState,
}

/// Whether a stored secret takes effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretState {
    /// It takes effect.
    Counts,
    /// A higher layer overrides it: this one.
    Hidden(String),
    /// No setting has its name.
    Unknown,
    /// It cannot be decrypted, for this reason.
    Unreadable(String),
    /// mynah made it for itself.
    InstallationKey,
}

/// What storing a secret led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSecretChange {
    /// The secret.
    pub secret: KeptSecret,
    /// The identity file that was created for it, if there was none.
    pub created_identity: Option<PathBuf>,
    /// Other stored secrets that cannot be decrypted.
    pub unreadable: Vec<String>,
}

/// A rotation of the identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// How many secrets were encrypted again.
    pub secrets: usize,
    /// The recipient that they are encrypted for now: `age1…`.
    pub recipient: String,
    /// The file that holds the new identity.
    pub identity_file: PathBuf,
    /// Whether mynah still looks for its identity elsewhere, so that the owner has to move the file or change a setting.
    pub must_be_put_in_place: bool,
}

impl Administration {
    /// Returns every stored secret, without the values.
    pub async fn secrets(&self) -> Result<Vec<KeptSecret>, AdministrationError> {
        let sources = self.sources()?;
        let identity = Secrets::open(&self.data.age_key);
        let all = self.store.sealed_secrets().await?;
        let numbers = Config::load(sources.clone()).map(|config| config.every_number()).unwrap_or_default();
        let numbers: Vec<_> = numbers.into_iter().map(|number| number.name).collect();
        let state_of = |secret: &SealedSecret| {
            let readable = match &identity {
                Ok(identity) => identity.unseal(&secret.sealed).map(drop).map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            };
            match readable {
                Err(why) => SecretState::Unreadable(why),
                Ok(()) if is_installation_key(&secret.name) => SecretState::InstallationKey,
                Ok(()) if secret.name.contains('.') => {
                    if has_owner(&sources, &numbers, &secret.name) {
                        SecretState::Counts
                    } else {
                        SecretState::Unknown
                    }
                }
                Ok(()) => match Config::overriding_layer(&sources, &secret.name) {
                    Ok(None) => SecretState::Counts,
                    Ok(Some(layer)) => SecretState::Hidden(layer),
                    Err(_) => SecretState::Unknown,
                },
            }
        };
        let kept = all.iter().map(|secret| KeptSecret {
            name: secret.name.clone(),
            updated_at: secret.updated_at,
            state: state_of(secret),
        });
        Ok(kept.collect())
    }

    /// Encrypts and stores the secret of a setting, such as `TWILIO_AUTH_TOKEN`. Creates the identity if there is none.
    pub async fn set_secret(&self, name: &str, value: SecretString) -> Result<StoredSecretChange, AdministrationError> {
        let stored_name = self.validate_secret(name, &value)?;
        let created = !self.data.age_key.path.exists();
        let identity = Secrets::open_or_create(&self.data.age_key)?;
        let sealed = identity.seal(value.expose_secret().as_bytes())?;
        self.store.put_sealed_secret(stored_name.clone(), sealed, self.clock.now()).await?;
        let mut secrets = self.secrets().await?;
        let unreadable = secrets.iter().filter(|secret| matches!(secret.state, SecretState::Unreadable(_)));
        let unreadable = unreadable.map(|secret| secret.name.clone()).collect();
        let at = secrets.iter().position(|secret| secret.name == stored_name);
        let secret = at.map(|at| secrets.swap_remove(at)).ok_or(AdministrationError::Conflict)?;
        let created_identity = created.then(|| self.data.age_key.path.clone());
        Ok(StoredSecretChange { secret, created_identity, unreadable })
    }

    /// Checks a secret against the whole configuration. Returns the name to store it under.
    fn validate_secret(&self, name: &str, value: &SecretString) -> Result<String, AdministrationError> {
        let refused = |problems| AdministrationError::Refused { name: name.escape_debug().to_string(), problems };
        let before = self.sources()?;
        let Some((owner, variable)) = name.split_once('.') else {
            let setting = Config::validate_secret(&before, name, value).map_err(refused)?;
            return Ok(setting.key.to_owned());
        };
        if owner == "ai" {
            let why =
                format!("the key of an AI configuration is set with `mynah ai update {variable} --key-file FILE`");
            return Err(AdministrationError::NotPossible(why));
        }
        let numbers = self.numbers()?;
        if !numbers.iter().skip(1).any(|number| number.name == owner) {
            return Err(AdministrationError::NotStored {
                name: format!("the number {owner}"),
                list: "mynah number list",
            });
        }
        Config::find_secret(variable).map_err(|problem| refused(problem.into()))?;
        let mut after = before.clone();
        after.secrets.insert(name.to_owned(), StoredSecret::Opened(value.clone()));
        self.refuse_new_problems(name, before, after)?;
        Ok(name.to_owned())
    }

    /// Deletes a stored secret. Needs no identity. Returns the errors that the configuration has without it.
    pub async fn remove_secret(&self, name: &str) -> Result<Option<Problems>, AdministrationError> {
        if !self.store.delete_secret(name).await? {
            return Err(AdministrationError::NotStored { name: name.to_owned(), list: "mynah secret list" });
        }
        Ok(Config::load(self.sources()?).err())
    }

    /// Encrypts all secrets for a new identity, in one transaction. Without `new_identity`, a new one is made and put in
    /// the place of the old one. With it, that file holds the new identity, and the owner puts it in place.
    ///
    /// A crash at any point leaves every secret readable: until all are encrypted again, the identity file holds both
    /// identities.
    pub async fn rotate_identity(&self, new_identity: Option<&Path>) -> Result<Rotation, AdministrationError> {
        let own_file = &self.data.age_key;
        let old = Secrets::open(own_file)?;
        let before = self.store.sealed_secrets().await?;
        let mut opened = Vec::with_capacity(before.len());
        for secret in &before {
            let plain = old
                .unseal(&secret.sealed)
                .map_err(|why| AdministrationError::Unreadable { name: secret.name.clone(), why: why.to_string() })?;
            opened.push((secret, plain));
        }
        let new = match new_identity {
            Some(path) => {
                let file = AgeKeyFile { path: path.to_owned(), origin: AgeKeyOrigin::Setting };
                Secrets::open(&file)?
            }
            None => {
                if own_file.origin == AgeKeyOrigin::Credential {
                    let why = "the identity is a systemd credential, which mynah cannot write: make a new one with \
                               `age-keygen -o new-identity.txt`, run `mynah secret rotate --to new-identity.txt`, and \
                               put it in the place of the credential before the next restart";
                    return Err(AdministrationError::NotPossible(why.to_owned()));
                }
                let new = Secrets::generate();
                new.save_with_older(&old, &own_file.path)?;
                new
            }
        };
        let sealed =
            opened.iter().map(|(secret, plain)| Ok(SealedSecret { sealed: new.seal(plain)?, ..(*secret).clone() }));
        let after = sealed.collect::<Result<Vec<_>, SecretsError>>()?;
        let secrets = after.len();
        crate::failpoint::hit("rotate-before-commit");
        if !self.store.replace_sealed_secrets(before, after).await? {
            if new_identity.is_none() {
                old.save(&own_file.path)?;
            }
            return Err(AdministrationError::Conflict);
        }
        crate::failpoint::hit("rotate-after-commit");
        if new_identity.is_none() {
            new.save(&own_file.path)?;
        }
        Ok(Rotation {
            secrets,
            recipient: new.recipient().to_string(),
            identity_file: new_identity.unwrap_or(&own_file.path).to_owned(),
            must_be_put_in_place: new_identity.is_some_and(|path| path != own_file.path),
        })
    }
}

/// Whether a secret with a name such as `sales.OPENAI_API_KEY` or `ai.fast` belongs to a number or AI configuration.
fn has_owner(sources: &Sources, numbers: &[String], name: &str) -> bool {
    match name.split_once('.') {
        Some(("ai", configuration)) => sources.ai_configurations.contains_key(configuration),
        Some((number, variable)) => {
            numbers.iter().skip(1).any(|known| known == number) && Config::find_setting(variable).is_ok()
        }
        None => false,
    }
}
