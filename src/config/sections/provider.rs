//! The protocol of a model, with its address and key.

use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};
use url::Url;

/// Whether the host is OpenAI's own server.
pub fn is_openai(host: &str) -> bool {
    host == "api.openai.com" || host.ends_with(".api.openai.com")
}

/// The protocol of a model, with its address and key.
#[derive(Clone, Debug)]
pub enum ProviderConfig {
    /// OpenAI's Chat Completions, at OpenAI or any compatible server.
    OpenAi {
        /// With `/v1`, as in OpenAI's SDKs. A path never ends in a slash, but an empty path prints as `/`.
        base_url: Url,
        /// The key; servers without keys need none.
        api_key: Option<SecretString>,
    },
    /// Anthropic's Messages.
    Anthropic {
        /// Without `/v1`, as in Anthropic's SDKs. A path never ends in a slash, but an empty path prints as `/`.
        base_url: Url,
        /// The key.
        api_key: SecretString,
    },
    /// No model: mynah answers with the best passage from a folder of Markdown files.
    Offline {
        /// The folder; `None` for the built-in example business.
        folder: Option<PathBuf>,
    },
}

impl ProviderConfig {
    /// Whether both are the same server, called with the same key.
    pub(in crate::config) fn is_same_server(&self, other: &ProviderConfig) -> bool {
        let key = |key: &SecretString| key.expose_secret().to_owned();
        match (self, other) {
            (
                ProviderConfig::OpenAi { base_url, api_key },
                ProviderConfig::OpenAi { base_url: other, api_key: other_key },
            ) => base_url == other && api_key.as_ref().map(key) == other_key.as_ref().map(key),
            (
                ProviderConfig::Anthropic { base_url, api_key },
                ProviderConfig::Anthropic { base_url: other, api_key: other_key },
            ) => base_url == other && key(api_key) == key(other_key),
            (ProviderConfig::Offline { folder }, ProviderConfig::Offline { folder: other }) => folder == other,
            _ => false,
        }
    }
}
