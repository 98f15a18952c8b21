//! The language model.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

/// Which model answers, and how.
#[derive(Clone, Debug)]
pub struct AiConfig {
    /// The protocol, with its address and key.
    pub provider: ProviderConfig,
    /// The model's name; `None` takes the provider's default.
    pub model: Option<String>,
    /// The most tokens an answer may take; `None` takes the provider's default.
    pub max_tokens: Option<u32>,
    /// Sampling temperature; `None` sends none.
    pub temperature: Option<f64>,
    /// The whole of one call.
    pub timeout: Duration,
    /// Calls at once.
    pub concurrency: usize,
}

/// The protocol to speak.
#[derive(Clone, Debug)]
pub enum ProviderConfig {
    /// OpenAI's Chat Completions, at OpenAI or any compatible server.
    OpenAi {
        /// With `/v1`, as in OpenAI's SDKs; never ends in a slash.
        base_url: Url,
        /// The key; servers without keys need none.
        api_key: Option<SecretString>,
    },
    /// Anthropic's Messages.
    Anthropic {
        /// Without `/v1`, as in Anthropic's SDKs; never ends in a slash.
        base_url: Url,
        /// The key.
        api_key: SecretString,
    },
    /// No model: the best passage of a folder of Markdown files.
    Offline {
        /// The folder; `None` takes the example business that is built in.
        folder: Option<PathBuf>,
    },
}
