//! The configuration: one documented struct per concern, made from layers of which the first that has a value wins.
//!
//! To add a setting: a row in a file of `settings/`, a field and the line that reads it in the file of its concern, and
//! `MYNAH_BLESS=1 cargo test reference` for `docs/configuration.md`.

mod schema;
mod sections;
mod sources;
mod stored;
#[cfg(test)]
mod tests;

pub use self::schema::names::AiNames;
pub use self::schema::problem::{Problem, Problems};
pub use self::schema::reference::reference;
pub use self::schema::settings::{Fallback, Group, Setting};
pub use self::sections::ai::{ANTHROPIC_CAP, AiConfig, OPENAI_CAP};
pub use self::sections::local_model::is_at_home;
pub use self::sections::log::{LogConfig, LogFormat};
pub use self::sections::media::{MediaConfig, TranscriptionConfig};
pub use self::sections::network::Network;
pub use self::sections::number::{Directory, Fit, NumberConfig};
pub use self::sections::people::PeopleConfig;
pub use self::sections::provider::{ProviderConfig, is_openai};
pub use self::sections::server::{DataConfig, ServerConfig};
pub use self::sections::texts::Texts;
pub use self::sections::twilio::{Sender, TwilioConfig};
pub use self::sections::work::{Burst, ConversationConfig, UnknownSends, WorkConfig};
pub use self::sources::environment::Sources;
pub use self::stored::{Fate, StoredSetting};

use self::sections::{ai, fallback, log, media, number, numbers, people, server, texts, twilio, work};
use self::sources::reader::Reader;

/// All that can be set. Its `Debug` shows no secret.
#[derive(Clone, Debug)]
pub struct Config {
    /// The web server.
    pub server: ServerConfig,
    /// Where data is kept.
    pub data: DataConfig,
    /// The first WhatsApp number; `None` where nothing of it is set.
    pub twilio: Option<TwilioConfig>,
    /// The language model; `None` where nothing of it is set.
    pub ai: Option<AiConfig>,
    /// The models that answer where that one cannot, in order.
    pub fallbacks: Vec<AiConfig>,
    /// How attachments are read.
    pub media: MediaConfig,
    /// How answers are made.
    pub work: WorkConfig,
    /// When a conversation ends.
    pub conversation: ConversationConfig,
    /// Who may talk, and how much.
    pub people: PeopleConfig,
    /// What contacts read that no model wrote.
    pub texts: Texts,
    /// The numbers beside the first, each with all that is its own. See [`Config::every_number`].
    pub numbers: Vec<NumberConfig>,
    /// What is logged.
    pub log: LogConfig,
    /// What is no error and yet seems not meant, a sentence each; never a secret.
    pub warnings: Vec<String>,
}

impl Config {
    /// Reads every setting. The error holds all that is wrong, not the first alone.
    pub fn load(sources: Sources) -> Result<Config, Problems> {
        Config::read(&mut Reader::new(sources))
    }

    /// Where data is kept, which is found before the settings that are stored there.
    pub fn data(sources: Sources) -> Result<DataConfig, Problems> {
        let mut reader = Reader::new(sources);
        let data = server::read_data(&mut reader);
        Problems::none(reader.problems)?;
        Ok(data)
    }

    fn read(reader: &mut Reader) -> Result<Config, Problems> {
        let server = server::read(reader);
        let data = server::read_data(reader);
        let staged = reader.layers.stage();
        let twilio = if staged { None } else { twilio::read(reader, server.public_url.as_ref()) };
        let ai = ai::read(reader);
        let fallbacks = fallback::read(reader, ai.as_ref());
        let media = media::read(reader, ai.as_ref());
        let work = work::read(reader);
        let conversation = work::read_conversation(reader);
        let people = people::read(reader);
        let texts = texts::read(reader);
        let log = log::read(reader);
        for warning in people.unpriced(ai.iter().chain(&fallbacks)) {
            reader.warn(warning);
        }
        for warning in ai.iter().chain(&fallbacks).filter_map(|ai| ai.crowded(&work.system_prompt)) {
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
            people,
            texts,
            numbers: Vec::new(),
            log,
            warnings: Vec::new(),
        };
        // The stage has a number of its own.
        if !staged {
            config.numbers = numbers::read(reader, &config.main());
        }
        Problems::none(std::mem::take(&mut reader.problems))?;
        config.warnings = std::mem::take(&mut reader.warnings);
        Ok(config)
    }
}

impl Config {
    /// Every number: that of the main configuration, then those of files.
    pub fn every_number(&self) -> Vec<NumberConfig> {
        let main = NumberConfig {
            name: number::MAIN.to_owned(),
            twilio: self.twilio.clone(),
            ai: self.ai.clone(),
            fallbacks: self.fallbacks.clone(),
            system_prompt: self.work.system_prompt.clone(),
            max_context_messages: self.work.max_context_messages,
            model_may_hand_over: self.people.model_may_hand_over,
            links: self.people.links.clone(),
            reopen_template: self.people.reopen_template,
            texts: self.texts.clone(),
        };
        std::iter::once(main).chain(self.numbers.iter().cloned()).collect()
    }

    /// What the numbers beside the first share with it.
    fn main(&self) -> numbers::Main<'_> {
        numbers::Main {
            public_url: self.server.public_url.as_ref(),
            twilio: self.twilio.as_ref(),
            people: &self.people,
        }
    }

    /// Finds the number on which somebody wrote, as an index into [`Config::every_number`].
    pub fn directory(&self) -> Directory {
        let further = self.numbers.iter().map(|number| number.twilio.as_ref());
        Directory::of(std::iter::once(self.twilio.as_ref()).chain(further))
    }
}
