//! The configuration: one documented struct per section. Values come from layers, and the first layer that has a value
//! wins.
//!
//! The folders, lowest first. A folder imports only folders above it in this table (`tests/api/structure` checks that).
//!
//! | folder | holds |
//! | --- | --- |
//! | `schema` | the table of settings with their defaults, the generated reference, how values are parsed |
//! | `sources` | where values come from: environment, files, credentials, stored settings, in layers |
//! | `sections` | one documented struct per section, with the function that reads it |
//!
//! `stored_settings.rs` is above them all.
//!
//! To add a setting, add a row in a file of `schema/settings/`, add a field and read it in the file of its section, and run
//! `MYNAH_BLESS=1 cargo test reference` to update `docs/configuration.md`.

mod schema;
mod sections;
mod sources;
mod stored_settings;
#[cfg(test)]
mod tests;

pub use self::schema::names::AiSettingNames;
pub use self::schema::problem::{Problem, Problems};
pub use self::schema::reference::reference;
pub use self::schema::settings::{DefaultValue, Group, Setting};
pub use self::sections::admin::AdminConfig;
pub use self::sections::ai::{AiConfig, DEFAULT_MAX_TOKENS_ANTHROPIC, DEFAULT_MAX_TOKENS_COMPATIBLE};
pub use self::sections::alerts::{AlertConfig, AlertWebhookConfig, EmailConfig, NtfyConfig};
pub use self::sections::backup::BackupConfig;
pub use self::sections::contact_policy::ContactPolicyConfig;
pub use self::sections::local_model::is_local_address;
pub use self::sections::log::{LogConfig, LogFormat};
pub use self::sections::media::{MediaConfig, TranscriptionConfig};
pub use self::sections::metrics::MetricsConfig;
pub use self::sections::network::Network;
pub use self::sections::number_config::{NumberConfig, NumberDirectory, NumberMatch};
pub use self::sections::provider::{ProviderConfig, is_openai};
pub use self::sections::server::{AgeKeyFile, AgeKeyOrigin, DataConfig, ServerConfig};
pub use self::sections::texts::Texts;
pub use self::sections::twilio::{Sender, TwilioConfig};
pub use self::sections::work::{BurstPolicy, ConversationConfig, UnknownSends, WorkConfig};
pub use self::sources::environment::{Sources, StoredSecret};
pub use self::stored_settings::{StoredSetting, StoredSettingState};

use self::sections::{
    admin, ai_choice, alerts, backup, contact_policy, further_numbers, log, media, metrics, number_config, server,
    texts, twilio, work,
};
use self::sources::reader::SettingsReader;

/// All settings. `Debug` shows no secrets.
#[derive(Clone, Debug)]
pub struct Config {
    /// The web server.
    pub server: ServerConfig,
    /// The data folder and the database.
    pub data: DataConfig,
    /// The first WhatsApp number; `None` if none of its settings is set.
    pub twilio: Option<TwilioConfig>,
    /// The language model; `None` if no provider is configured.
    pub ai: Option<AiConfig>,
    /// The fallback models, in order.
    pub fallbacks: Vec<AiConfig>,
    /// How attachments are read.
    pub media: MediaConfig,
    /// How mynah answers.
    pub work: WorkConfig,
    /// When conversations end, and how long they are kept.
    pub conversation: ConversationConfig,
    /// Who may talk, and how much.
    pub contact_policy: ContactPolicyConfig,
    /// The fixed texts that contacts read.
    pub texts: Texts,
    /// The numbers after the first, each with its own settings. See [`Config::every_number`].
    pub further_numbers: Vec<NumberConfig>,
    /// The ways in which alerts reach somebody.
    pub alerts: AlertConfig,
    /// Who may read the metrics.
    pub metrics: MetricsConfig,
    /// The admin page.
    pub admin: AdminConfig,
    /// When and where backups are made.
    pub backup: BackupConfig,
    /// What is logged.
    pub log: LogConfig,
    /// Settings that are valid but look like mistakes, one sentence each; never a secret.
    pub warnings: Vec<String>,
}

impl Config {
    /// Reads every setting. The error holds all problems, not only the first.
    pub fn load(sources: Sources) -> Result<Config, Problems> {
        Config::read(&mut SettingsReader::new(sources))
    }

    /// Finds the data folder and the database, before the settings that are stored there are known.
    pub fn load_data(sources: Sources) -> Result<DataConfig, Problems> {
        let mut reader = SettingsReader::new(sources);
        let data = server::read_data(&mut reader);
        Problems::ensure_none(reader.problems)?;
        Ok(data)
    }

    /// Reads only what a backup needs, so that one can be made while other settings have errors.
    pub fn load_backup(sources: Sources) -> Result<(DataConfig, BackupConfig), Problems> {
        let mut reader = SettingsReader::new(sources);
        let data = server::read_data(&mut reader);
        let backup = backup::read(&mut reader, &data);
        Problems::ensure_none(reader.problems)?;
        Ok((data, backup))
    }

    fn read(reader: &mut SettingsReader) -> Result<Config, Problems> {
        let server = server::read(reader);
        let data = server::read_data(reader);
        let is_simulation = reader.layers.is_simulation();
        let twilio = if is_simulation { None } else { twilio::read(reader, server.public_url.as_ref()) };
        let ai_choice::Models { first: ai, fallbacks } = ai_choice::read(reader, false);
        let media = media::read(reader, ai.as_ref());
        let work = work::read(reader);
        let conversation = work::read_conversation(reader);
        let people = contact_policy::read(reader);
        let texts = texts::read(reader);
        let metrics = metrics::read(reader);
        let alerts = alerts::read(reader);
        let admin = admin::read(reader);
        let backup = backup::read(reader, &data);
        let log = log::read(reader);
        for warning in people.unpriced_warnings(ai.iter().chain(&fallbacks)) {
            reader.warn(warning);
        }
        for warning in ai.iter().chain(&fallbacks).filter_map(|ai| ai.context_too_small_warning(&work.system_prompt)) {
            reader.warn(warning);
        }
        let mut config = Config {
            server,
            data,
            twilio,
            ai,
            fallbacks,
            media,
            work,
            conversation,
            contact_policy: people,
            texts,
            further_numbers: Vec::new(),
            alerts,
            metrics,
            admin,
            backup,
            log,
            warnings: Vec::new(),
        };
        // The simulation has a number of its own.
        if !is_simulation {
            config.further_numbers = further_numbers::read(reader, &config.shared());
        }
        if reader.layers.sources.strict {
            ai_choice::read_all_stored(reader);
        }
        Problems::ensure_none(std::mem::take(&mut reader.problems))?;
        config.warnings = std::mem::take(&mut reader.warnings);
        Ok(config)
    }
}

impl Config {
    /// Returns every number: that of the main configuration, then those of the files.
    pub fn every_number(&self) -> Vec<NumberConfig> {
        let main = NumberConfig {
            name: number_config::MAIN_NUMBER.to_owned(),
            twilio: self.twilio.clone(),
            ai: self.ai.clone(),
            fallbacks: self.fallbacks.clone(),
            system_prompt: self.work.system_prompt.clone(),
            max_context_messages: self.work.max_context_messages,
            model_may_hand_over: self.contact_policy.model_may_hand_over,
            links: self.contact_policy.links.clone(),
            reopen_template: self.contact_policy.reopen_template,
            texts: self.texts.clone(),
        };
        std::iter::once(main).chain(self.further_numbers.iter().cloned()).collect()
    }

    /// Returns the settings that the further numbers share with the first.
    fn shared(&self) -> further_numbers::SharedConfig<'_> {
        further_numbers::SharedConfig {
            public_url: self.server.public_url.as_ref(),
            twilio: self.twilio.as_ref(),
            people: &self.contact_policy,
        }
    }

    /// Returns the directory that finds the number that a contact wrote to, as an index into
    /// [`Config::every_number`].
    pub fn directory(&self) -> NumberDirectory {
        let further = self.further_numbers.iter().map(|number| number.twilio.as_ref());
        NumberDirectory::of(std::iter::once(self.twilio.as_ref()).chain(further))
    }
}
