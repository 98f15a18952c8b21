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
    /// Returns the name of the protocol, as `MYNAH_AI_PROVIDER` takes it.
    pub fn protocol(&self) -> &'static str {
        match self {
            ProviderConfig::OpenAi { .. } => "openai",
            ProviderConfig::Anthropic { .. } => "anthropic",
            ProviderConfig::Offline { .. } => "offline",
        }
    }

    /// Returns the address of the server, unless it is the provider's own.
    pub fn own_base_url(&self) -> Option<String> {
        match self {
            ProviderConfig::OpenAi { base_url, .. } if !is_openai(base_url.host_str().unwrap_or_default()) => {
                Some(base_url.to_string())
            }
            ProviderConfig::Anthropic { base_url, .. } if base_url.host_str() != Some("api.anthropic.com") => {
                Some(base_url.to_string())
            }
            _ => None,
        }
    }

    /// Whether a key is set.
    pub fn has_key(&self) -> bool {
        match self {
            ProviderConfig::OpenAi { api_key, .. } => api_key.is_some(),
            ProviderConfig::Anthropic { .. } => true,
            ProviderConfig::Offline { .. } => false,
        }
    }

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
