//! Stored AI configurations: which models there are, which one answers, and whether it works.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret, SecretString};

use super::{Administration, AdministrationError};
use crate::ai::{CallForm, Prompt, PromptMessage};
use crate::app::connect_provider;
use crate::config::{AiConfig, Config, Problems, Sources, StoredSecret};
use crate::fault::Fault;
use crate::model::{Role, Usage};
use crate::secrets::Secrets;

const IN_USE: &str = "MYNAH_AI_CONFIGURATION";
const FALLBACKS: &str = "MYNAH_AI_FALLBACKS";

/// What a model is asked in a test.
const TEST_INSTRUCTIONS: &str = "You are being tested. Follow the request exactly.";
const TEST_PROMPT: &str = "Answer with one word: hello";

/// An AI configuration, without its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AiEntry {
    /// Its name; `environment` for what the environment and the file describe.
    pub name: String,
    /// The protocol: `openai`, `anthropic` or `offline`.
    pub provider: String,
    /// The model; `None` for the provider's default.
    pub model: Option<String>,
    /// The address of the server; `None` for the provider's own.
    pub base_url: Option<String>,
    /// Whether it has a key.
    pub has_key: bool,
    /// How it is used on the first number.
    pub role: AiRole,
    /// The other numbers that use it.
    pub numbers: Vec<String>,
}

/// How an AI configuration is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AiRole {
    /// It answers.
    InUse,
    /// It stands in, as the first, the second, and so on, from 1.
    Fallback(usize),
    /// Not at all.
    Unused,
}

/// The answer of a model to a test.
#[derive(Clone, Debug, PartialEq)]
pub struct AiTest {
    /// The provider and model, such as `openai gpt-5-mini`.
    pub provider: String,
    /// The model that answered, as the server names it.
    pub model: String,
    /// What it answered.
    pub answer: String,
    /// How long it took.
    pub took: Duration,
    /// The tokens that it read and wrote.
    pub usage: Usage,
    /// How the server was found to need to be called.
    pub form: Option<CallForm>,
}

/// Changes to the settings of an AI configuration or a number: by variable, a new value, or `None` to leave it to the
/// default.
pub type SettingChanges = BTreeMap<String, Option<String>>;

impl Administration {
    /// Returns the AI configurations: first what the environment and the file describe, then the stored ones by name. If
    /// the configuration has errors, none is shown as used.
    pub fn ai_configurations(&self) -> Result<Vec<AiEntry>, AdministrationError> {
        let sources = self.sources()?;
        let config = Config::load(sources.clone()).ok();
        let numbers = config.as_ref().map(Config::every_number).unwrap_or_default();
        let first: Vec<&str> =
            numbers.first().map(|number| names_of(number.ai.iter().chain(&number.fallbacks))).unwrap_or_default();
        let role_of = |name: &str| match first.iter().position(|used| *used == name) {
            None => AiRole::Unused,
            Some(0) => AiRole::InUse,
            Some(at) => AiRole::Fallback(at),
        };
        let numbers_with = |name: &str| -> Vec<String> {
            let others = numbers.iter().skip(1);
            let with = others.filter(|number| names_of(number.ai.iter().chain(&number.fallbacks)).contains(&name));
            with.map(|number| number.name.clone()).collect()
        };
        let mut entries = Vec::new();
        let described = config.as_ref().and_then(|config| config.ai.as_ref());
        if let Some(ai) = described.filter(|ai| !sources.ai_configurations.contains_key(&ai.configuration)) {
            entries.push(AiEntry {
                name: ai.configuration.clone(),
                provider: ai.provider.protocol().to_owned(),
                model: ai.effective_model().map(str::to_owned),
                base_url: ai.provider.own_base_url(),
                has_key: ai.provider.has_key(),
                role: role_of(&ai.configuration),
                numbers: numbers_with(&ai.configuration),
            });
        }
        for (name, values) in &sources.ai_configurations {
            let value = |key: &str| values.get(key).cloned();
            entries.push(AiEntry {
                name: name.clone(),
                provider: value("MYNAH_AI_PROVIDER").unwrap_or_default(),
                model: value("MYNAH_AI_MODEL"),
                base_url: value("OPENAI_BASE_URL").or_else(|| value("ANTHROPIC_BASE_URL")),
                has_key: sources.secrets.contains_key(&key_name(name)),
                role: role_of(name),
                numbers: numbers_with(name),
            });
        }
        Ok(entries)
    }

    /// Stores a new AI configuration.
    pub async fn add_ai(
        &self,
        name: &str,
        settings: SettingChanges,
        key: Option<SecretString>,
    ) -> Result<(), AdministrationError> {
        Config::validate_own_name(name)?;
        if self.sources()?.ai_configurations.contains_key(name) {
            let why = format!("there is an AI configuration {name} already; `mynah ai update {name}` changes it");
            return Err(AdministrationError::NotPossible(why));
        }
        self.store_ai(name, settings, key).await
    }

    /// Changes a stored AI configuration. What is not named stays.
    pub async fn update_ai(
        &self,
        name: &str,
        changes: SettingChanges,
        key: Option<SecretString>,
    ) -> Result<(), AdministrationError> {
        self.require_stored_ai(name)?;
        self.store_ai(name, changes, key).await
    }

    async fn store_ai(
        &self,
        name: &str,
        changes: SettingChanges,
        key: Option<SecretString>,
    ) -> Result<(), AdministrationError> {
        let before = self.sources()?;
        let mut after = before.clone();
        let settings = after.ai_configurations.entry(name.to_owned()).or_default();
        apply(settings, changes);
        let settings = settings.clone();
        if let Some(key) = &key {
            after.secrets.insert(key_name(name), StoredSecret::Opened(key.clone()));
        }
        self.refuse_new_problems(&format!("the AI configuration {name}"), before, after)?;
        let mut sealed = Vec::new();
        if let Some(key) = key {
            let identity = Secrets::open_or_create(&self.data.age_key)?;
            sealed.push((key_name(name), identity.seal(key.expose_secret().as_bytes())?));
        }
        self.store.put_ai_configuration(name, settings, sealed, self.clock.now()).await?;
        Ok(())
    }

    /// Has a stored AI configuration answer. Returns the place of what goes before it, if the environment or the file
    /// describes a model.
    pub async fn use_ai(&self, name: &str) -> Result<Option<String>, AdministrationError> {
        self.require_stored_ai(name)?;
        self.set_setting(IN_USE, name.to_owned()).await?;
        Ok(Config::model_on_machine(&self.sources()?))
    }

    /// Sets which stored AI configurations stand in, in order.
    pub async fn set_ai_fallbacks(&self, names: &[String]) -> Result<(), AdministrationError> {
        if names.is_empty() {
            self.store.delete_setting(FALLBACKS).await?;
        } else {
            self.set_setting(FALLBACKS, names.join(",")).await?;
        }
        Ok(())
    }

    /// Deletes a stored AI configuration with its key. One that is used is refused.
    pub async fn remove_ai(&self, name: &str) -> Result<(), AdministrationError> {
        self.require_stored_ai(name)?;
        let before = self.sources()?;
        let mut after = before.clone();
        after.ai_configurations.remove(name);
        after.secrets.remove(&key_name(name));
        self.refuse_new_problems(&format!("without the AI configuration {name}, the configuration"), before, after)?;
        self.store.delete_ai_configuration(name, vec![key_name(name)]).await?;
        Ok(())
    }

    /// Asks the model of an AI configuration for one word. Without a name, that of the one in use.
    pub async fn test_ai(&self, name: Option<&str>) -> Result<Result<AiTest, Fault>, AdministrationError> {
        let config = self.ai_config(name)?;
        let provider =
            connect_provider(&config).map_err(|error| AdministrationError::NotPossible(format!("{error:#}")))?;
        let prompt = Prompt {
            system: TEST_INSTRUCTIONS.to_owned(),
            messages: vec![PromptMessage::new(Role::User, TEST_PROMPT)],
            may_hand_over: false,
        };
        let began = Instant::now();
        let completion = provider.complete(&prompt).await;
        let took = began.elapsed();
        Ok(completion.map(|completion| AiTest {
            provider: provider.name().to_owned(),
            model: completion.model,
            answer: completion.text,
            took,
            usage: completion.usage,
            form: provider.call_form(),
        }))
    }

    fn ai_config(&self, name: Option<&str>) -> Result<AiConfig, AdministrationError> {
        let sources = self.sources()?;
        let config = match name {
            Some(name) if sources.ai_configurations.contains_key(name) => {
                // As if it were in use, and nothing went before it.
                return Ok(Config::stored_ai(&sources, name)?);
            }
            _ => Config::load(sources)?,
        };
        let models = config.ai.into_iter().chain(config.fallbacks);
        let mut models = models.filter(|ai| name.is_none_or(|name| ai.configuration == name));
        models.next().ok_or_else(|| match name {
            Some(name) => AdministrationError::NotStored { name: name.to_owned(), list: "mynah ai list" },
            None => AdministrationError::NotPossible("no model is configured; add one with `mynah ai add`".to_owned()),
        })
    }

    fn require_stored_ai(&self, name: &str) -> Result<(), AdministrationError> {
        if self.sources()?.ai_configurations.contains_key(name) {
            return Ok(());
        }
        Err(AdministrationError::NotStored { name: format!("the AI configuration {name}"), list: "mynah ai list" })
    }

    /// Returns an error if the sources after a change have errors that those before it have not.
    pub(super) fn refuse_new_problems(
        &self,
        what: &str,
        before: Sources,
        after: Sources,
    ) -> Result<(), AdministrationError> {
        let load = |sources: Sources| -> Option<Problems> { Config::load(Sources { strict: true, ..sources }).err() };
        let (known, found) = (load(before), load(after));
        match found.and_then(|found| found.without(known.as_ref())) {
            None => Ok(()),
            Some(problems) => Err(AdministrationError::Refused { name: what.to_owned(), problems }),
        }
    }
}

/// Applies the changes to stored settings.
pub(super) fn apply(settings: &mut BTreeMap<String, String>, changes: SettingChanges) {
    for (key, value) in changes {
        match value {
            Some(value) => drop(settings.insert(key, value)),
            None => drop(settings.remove(&key)),
        }
    }
}

fn names_of<'a>(models: impl Iterator<Item = &'a AiConfig>) -> Vec<&'a str> {
    models.map(|ai| ai.configuration.as_str()).collect()
}

/// The name under which the key of an AI configuration is stored.
fn key_name(name: &str) -> String {
    format!("ai.{name}")
}
