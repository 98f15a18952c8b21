//! Language models: one folder per protocol, all behind [`Provider`].
//!
//! To add a provider, write a folder with an implementation of [`Provider`] and one arm in [`build_provider`].
//! Providers share the HTTP client for the servers (`api_client`), the messages that are sent (`messages`, `prompt_window`) with their
//! images (`vision`), and the limits of an answer (`completion`).

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::config::{AiConfig, ProviderConfig, TranscriptionConfig};
use crate::fault::Fault;
use crate::model::{Role, Usage};
use crate::text;

mod anthropic;
mod api_client;
mod completion;
mod handover_tool;
mod messages;
mod model_list;
mod offline;
mod openai;
mod prompt_window;
#[cfg(test)]
mod tests;
mod thinking;
mod usage_meter;
mod vision;

pub use self::openai::Transcriber;
pub use self::usage_meter::{Meter, MeteredUsage};
pub use crate::media::Image;

/// Answers prompts: a language model, or the offline responder.
#[async_trait]
pub trait Provider: Send + Sync {
    /// Returns the provider and model for logs and records, such as `openai gpt-5-mini`.
    fn name(&self) -> &str;

    /// Returns one answer. Many tasks may call this at once.
    async fn complete(&self, prompt: &Prompt) -> Result<Completion, Fault>;

    /// Like [`complete`](Provider::complete), but records each call in `meter` as it is made. The default
    /// implementation is for a provider that makes a single call.
    async fn complete_metered(&self, prompt: &Prompt, meter: &Meter) -> Result<Completion, Fault> {
        meter.record_sent();
        let completion = self.complete(prompt).await?;
        meter.record_usage(completion.usage);
        Ok(completion)
    }

    /// Tries the address, the key and the model. Returns a sentence that says what works.
    async fn check(&self) -> Result<String, Fault>;

    /// Returns how the model is called, after what its server was found to need; `None` if no server is called.
    fn call_form(&self) -> Option<CallForm> {
        None
    }
}

/// How a model is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallForm {
    /// The parameter that limits the answer, such as `max_completion_tokens`; `None` if no limit is sent.
    pub token_limit: Option<&'static str>,
    /// Whether a temperature is sent.
    pub temperature: TemperatureUse,
    /// Whether the instructions are sent under a role of their own, and not before the first message.
    pub has_system_role: bool,
}

/// Whether a temperature is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TemperatureUse {
    /// The configured one is sent.
    Sent,
    /// None is configured.
    NotConfigured,
    /// One is configured, and the server refused it.
    Refused,
}

impl TemperatureUse {
    fn of(configured: Option<f64>, sent: Option<f64>) -> TemperatureUse {
        match (configured, sent) {
            (None, _) => TemperatureUse::NotConfigured,
            (Some(_), None) => TemperatureUse::Refused,
            (Some(_), Some(_)) => TemperatureUse::Sent,
        }
    }
}

/// The input for one answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// The owner's instructions.
    pub system: String,
    /// The window of the history, oldest first. The first and the last message are by the user.
    pub messages: Vec<PromptMessage>,
    /// Whether the model may hand the conversation over to a person, with a tool if it supports tools.
    pub may_hand_over: bool,
}

impl Prompt {
    /// Drops the oldest messages until the rest fits into `tokens`, together with the instructions and the tool.
    /// Returns how many of the messages that the contact wrote since the last answer were dropped.
    ///
    /// mynah does this because Ollama and similar servers drop the oldest text without an error, and the instructions
    /// first (ollama docs, "context length"). The instructions and the last message are never dropped: a model that
    /// cannot take them returns an error.
    ///
    /// The five newest images stay as far as they fit. The others become placeholders. The last message always keeps
    /// one of its images.
    pub fn trim_to_tokens(&mut self, tokens: usize) -> usize {
        let tool_tokens = if self.may_hand_over { handover_tool::definition_tokens() } else { 0 };
        let mut remaining_tokens = tokens.saturating_sub(text::estimate_tokens(&self.system) + tool_tokens);
        let (mut images, mut kept) = (vision::MAX_IMAGES, 0);
        for line in self.messages.iter_mut().rev() {
            let least = usize::from(kept == 0);
            while line.images.len() > images || (line.images.len() > least && line.tokens() > remaining_tokens) {
                line.replace_oldest_image();
            }
            let wants = line.tokens();
            if wants > remaining_tokens && kept > 0 {
                break;
            }
            images -= line.images.len();
            remaining_tokens = remaining_tokens.saturating_sub(wants);
            kept += 1;
        }
        let unanswered = self.messages.iter().rev().take_while(|line| line.role == Role::User).count();
        self.messages.drain(..self.messages.len() - kept);
        let leading = self.messages.iter().take_while(|line| line.role != Role::User).count();
        self.messages.drain(..leading);
        unanswered.saturating_sub(kept)
    }
}

/// One message of the window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromptMessage {
    /// Who wrote it.
    pub role: Role,
    /// The text. May be empty if there are images.
    pub text: String,
    /// The images, oldest first. Only the contact's are sent as images. A placeholder stands for each image by the
    /// business.
    pub images: Vec<Image>,
}

impl PromptMessage {
    /// Returns a message that holds only text.
    pub fn new(role: Role, text: impl Into<String>) -> PromptMessage {
        PromptMessage { role, text: text.into(), images: Vec::new() }
    }

    /// Estimates how many tokens the message takes.
    fn tokens(&self) -> usize {
        text::estimate_tokens(&self.text) + self.images.iter().map(Image::tokens).sum::<usize>()
    }

    /// Replaces the oldest image with a placeholder.
    fn replace_oldest_image(&mut self) {
        self.images.remove(0);
        vision::append_placeholder(&mut self.text, vision::EARLIER_IMAGE_PLACEHOLDER);
    }
}

/// A model's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// The answer in Markdown, at most 32,000 characters. Empty only if the model refused or handed the conversation
    /// over without a text.
    pub text: String,
    /// How the answer ended.
    pub finish: Finish,
    /// The tokens that the answer took.
    pub usage: Usage,
    /// The model that answered, as the provider names it.
    pub model: String,
    /// Why the model hands the conversation over to a person, if it does.
    pub hand_over: Option<String>,
}

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// The model finished its answer.
    Stop,
    /// The answer reached its length limit; the text is truncated.
    Length,
    /// The model or its content filter refused. The text says so, if there is any.
    Refusal,
}

/// Why a provider cannot be built from the configuration.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No model is set, and the server has no default model.
    #[error("no model is chosen for the server at {host}: set {variable} to one that it offers")]
    NoModel {
        /// The setting that is missing.
        variable: &'static str,
        /// The server's host.
        host: String,
    },
    /// No model is set, and the server's list of models gave none.
    #[error("found no model on the server at {host} ({why}): set {variable} to one that it offers")]
    ModelListUnavailable {
        /// The setting that is missing.
        variable: &'static str,
        /// The server's host.
        host: String,
        /// What happened when mynah asked for the list.
        why: String,
    },
    /// The provider's own server needs a key, and none is set.
    #[error("{host} needs a key: set {variable}")]
    NoKey {
        /// The setting that is missing.
        variable: &'static str,
        /// The server's host.
        host: String,
    },
    /// The key cannot be sent in an HTTP header.
    #[error("{0} contains characters that a key cannot have, such as a line break: copy the key again")]
    BadKey(&'static str),
    /// The temperature is outside the provider's range.
    #[error("MYNAH_AI_TEMPERATURE is {given}: {provider} accepts 0 to {most}")]
    TemperatureOutOfRange {
        /// The temperature that is set.
        given: f64,
        /// The provider's stored name.
        provider: &'static str,
        /// The highest temperature that the provider accepts.
        most: f64,
    },
    /// The token limit is 0, so the model could not answer.
    #[error("MYNAH_AI_MAX_TOKENS is 0: remove it, or set it to 1 or more")]
    ZeroMaxTokens,
    /// A file or folder of notes cannot be read.
    #[error("cannot read the notes in {path}: {source}")]
    UnreadableNotes {
        /// The file or folder.
        path: PathBuf,
        /// The error.
        source: std::io::Error,
    },
    /// The folder contains no notes.
    #[error("the folder {0} contains no notes: add at least one Markdown file (.md) with some text")]
    NoNotes(PathBuf),
    /// A note is not UTF-8 text.
    #[error("the note {0} is not UTF-8 text: save it as UTF-8")]
    NoteNotUtf8(PathBuf),
    /// A note is larger than the limit.
    #[error("the note {0} is larger than 1 MiB: split it")]
    NoteTooLarge(PathBuf),
    /// All notes together are larger than the limit.
    #[error("the notes in {0} are larger than 64 MiB in total: remove some")]
    NotesTooLarge(PathBuf),
    /// SQLite cannot build the index of the notes.
    #[error("cannot build the index of the notes: {0}")]
    Index(#[from] rusqlite::Error),
}

/// Builds the provider that `config` describes. `example` holds the built-in example business as names and texts of
/// Markdown files; the offline provider uses it if it has no folder of its own. Makes no network call. Reads the
/// offline provider's folder.
pub fn build_provider(config: &AiConfig, example: &[(&str, &str)]) -> Result<Arc<dyn Provider>, Error> {
    if config.max_tokens == Some(0) {
        return Err(Error::ZeroMaxTokens);
    }
    Ok(match &config.provider {
        ProviderConfig::OpenAi { base_url, api_key } => {
            Arc::new(openai::OpenAi::new(config, base_url, api_key.as_ref())?)
        }
        ProviderConfig::Anthropic { base_url, api_key } => {
            Arc::new(anthropic::Anthropic::new(config, base_url, api_key)?)
        }
        ProviderConfig::Offline { folder: Some(folder) } => Arc::new(offline::Offline::from_folder(folder)?),
        ProviderConfig::Offline { folder: None } => Arc::new(offline::Offline::from_example(example)?),
    })
}

/// Builds the transcriber that `config` describes. Makes no network call.
pub fn build_transcriber(config: &TranscriptionConfig, timeout: Duration) -> Result<Transcriber, Error> {
    Transcriber::new(config, timeout)
}

/// Sets the model if the owner set none and the server has no default: the first suitable model that the server lists.
/// Calls the server only in that case.
pub async fn resolve_default_model(config: &mut AiConfig) -> Result<(), Error> {
    if config.model.is_none()
        && let ProviderConfig::OpenAi { base_url, api_key } = &config.provider
    {
        config.model = openai::first_model(config, base_url, api_key.as_ref()).await?;
    }
    Ok(())
}

/// Returns the temperature that is set, or an error if the provider does not accept it.
fn checked_temperature(config: &AiConfig, provider: &'static str, most: f64) -> Result<Option<f64>, Error> {
    match config.temperature {
        Some(given) if !(0.0..=most).contains(&given) => Err(Error::TemperatureOutOfRange { given, provider, most }),
        given => Ok(given),
    }
}
