//! Language models: one folder per protocol, all behind [`Provider`].
//!
//! To add a provider, write a folder with an implementation of [`Provider`] and one arm in [`build_provider`].
//! Providers share the HTTP client for the servers (`api_client`), the messages that are sent (`window`) with their
//! images (`vision`), and the limits of an answer (`answer`).

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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use secrecy::SecretString;
    use url::Url;

    use super::*;
    use crate::config::AiSettingNames;

    fn lines(said: &[(Role, &str)]) -> Vec<PromptMessage> {
        said.iter().map(|(role, text)| PromptMessage::new(*role, *text)).collect()
    }

    #[test]
    fn the_oldest_lines_are_left_out_until_the_rest_fits_and_the_instructions_stay() {
        let (user, assistant) = (Role::User, Role::Assistant);
        let long = "word ".repeat(400);
        let said = [(user, "first"), (assistant, long.as_str()), (user, "second"), (assistant, "yes"), (user, "third")];
        let mut prompt = Prompt { system: "Be brief.".into(), messages: lines(&said), may_hand_over: false };
        assert_eq!((prompt.trim_to_tokens(10_000), prompt.messages.len()), (0, 5));
        assert_eq!(prompt.trim_to_tokens(100), 0);
        assert_eq!(prompt.messages, lines(&said[2..]), "and the first message is by the contact");
        assert_eq!(prompt.trim_to_tokens(0), 0);
        assert_eq!(
            (prompt.system.as_str(), prompt.messages),
            ("Be brief.", lines(&said[4..])),
            "the last message stays"
        );
    }

    #[test]
    fn a_burst_that_does_not_fit_loses_its_oldest_lines_and_not_the_instructions() {
        let long = "word ".repeat(400);
        let said = [(Role::Assistant, "yes?"), (Role::User, &long), (Role::User, &long), (Role::User, "and now?")];
        let mut prompt = Prompt { system: "Be brief.".into(), messages: lines(&said), may_hand_over: false };
        assert_eq!((prompt.trim_to_tokens(800), &prompt.messages), (1, &lines(&said[2..])));
        assert_eq!(
            (prompt.trim_to_tokens(0), prompt.messages),
            (1, lines(&said[3..])),
            "the last message always stays"
        );
    }

    #[test]
    fn instructions_take_of_the_room_and_each_character_of_another_script_is_a_token() {
        let said = [(Role::User, "one"), (Role::Assistant, "two"), (Role::User, "three")];
        let mut prompt = Prompt { system: "word ".repeat(400), messages: lines(&said), may_hand_over: false };
        prompt.trim_to_tokens(680);
        assert_eq!(prompt.messages, lines(&said[2..]), "the instructions take 671 tokens");
        let georgian = "ა".repeat(90);
        let said = [(Role::User, georgian.as_str()), (Role::Assistant, "two"), (Role::User, "three")];
        let mut prompt = Prompt { system: String::new(), messages: lines(&said), may_hand_over: false };
        prompt.trim_to_tokens(100);
        assert_eq!(prompt.messages, lines(&said[2..]));
        assert_eq!(text::estimate_tokens(&georgian), 94);
        let said = [(Role::User, "one"), (Role::Assistant, "two"), (Role::User, "three")];
        for (may_hand_over, kept) in [(false, 3), (true, 1)] {
            let mut prompt = Prompt { system: String::new(), messages: lines(&said), may_hand_over };
            prompt.trim_to_tokens(100);
            assert_eq!(prompt.messages.len(), kept, "the tool takes tokens, too");
        }
    }

    fn message_with_images(text: &str, images: usize) -> PromptMessage {
        let image = Image { media_type: "image/jpeg", bytes: Bytes::new(), width: 1_000, height: 750 };
        PromptMessage { images: vec![image; images], ..PromptMessage::new(Role::User, text) }
    }

    fn trim_and_count_images(lines: Vec<PromptMessage>, tokens: usize) -> (usize, Vec<(String, usize)>) {
        let mut prompt = Prompt { system: String::new(), messages: lines, may_hand_over: false };
        let left_out = prompt.trim_to_tokens(tokens);
        (left_out, prompt.messages.into_iter().map(|line| (line.text, line.images.len())).collect())
    }

    #[test]
    fn the_five_newest_images_are_shown_and_the_others_become_placeholders() {
        let lines = vec![
            message_with_images("1", 1),
            message_with_images("", 2),
            PromptMessage::new(Role::Assistant, "Yes?"),
            message_with_images("3", 4),
        ];
        let kept = [("1\n[an earlier image, not shown again]", 0), ("[an earlier image, not shown again]", 1)]
            .into_iter()
            .chain([("Yes?", 0), ("3", 4)])
            .map(|(text, images)| (text.to_owned(), images));
        assert_eq!(trim_and_count_images(lines, 100_000), (0, kept.collect()));
    }

    #[test]
    fn an_image_that_does_not_fit_becomes_words_before_any_line_is_left_out() {
        let lines = || {
            vec![
                message_with_images("first", 1),
                PromptMessage::new(Role::Assistant, "Yes?"),
                message_with_images("", 3),
            ]
        };
        let expected = "first\n[an earlier image, not shown again]".to_owned();
        let last = format!("{0}\n{0}", "[an earlier image, not shown again]");
        assert_eq!(
            trim_and_count_images(lines(), 3_100),
            (0, vec![(expected.clone(), 0), ("Yes?".into(), 0), (String::new(), 3)]),
            "the last three images take 3,000 tokens"
        );
        assert_eq!(
            trim_and_count_images(lines(), 1_200),
            (0, vec![(expected, 0), ("Yes?".into(), 0), (last.clone(), 1)])
        );
        assert_eq!(trim_and_count_images(lines(), 0), (0, vec![(last, 1)]), "the last image is always shown");
    }

    fn config(provider: ProviderConfig) -> AiConfig {
        let timeout = Duration::from_secs(1);
        AiConfig {
            provider,
            model: None,
            max_tokens: None,
            temperature: None,
            timeout,
            concurrency: 1,
            context_tokens: 4_096,
            setting_names: AiSettingNames::OPENAI,
        }
    }

    fn base(url: &str) -> Url {
        Url::parse(url).unwrap()
    }

    #[test]
    fn each_provider_is_connected_by_its_configuration() {
        let openai = base("https://api.openai.com/v1");
        let anthropic = base("https://api.anthropic.com");
        let key = SecretString::from("sk-1");
        for (provider, name) in [
            (ProviderConfig::OpenAi { base_url: openai, api_key: Some(key.clone()) }, "openai gpt-5-mini"),
            (ProviderConfig::Anthropic { base_url: anthropic, api_key: key }, "anthropic claude-sonnet-5"),
            (ProviderConfig::Offline { folder: None }, "offline"),
        ] {
            let provider = build_provider(&config(provider), &[("hours.md", "Nine to five.")]).unwrap();
            assert_eq!(provider.name(), name);
        }
    }

    #[test]
    fn a_configuration_that_cannot_work_is_refused() {
        let mut config = config(ProviderConfig::Offline { folder: Some("/nowhere/notes".into()) });
        let refused = |config: &AiConfig| build_provider(config, &[]).err().unwrap().to_string();
        assert!(refused(&config).starts_with("cannot read the notes in /nowhere/notes: "));
        config.max_tokens = Some(0);
        assert_eq!(refused(&config), "MYNAH_AI_MAX_TOKENS is 0: remove it, or set it to 1 or more");
    }
}
