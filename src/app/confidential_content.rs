//! What the answers of a number must not reveal.

use secrecy::ExposeSecret;

use crate::config::{Config, NumberConfig, ProviderConfig};
use crate::text::{ConfidentialText, Credentials};

/// The shortest of our own credentials to search for.
const MIN_CREDENTIAL_LENGTH: usize = 6;

/// Collected once, because every answer is searched for it.
pub struct ConfidentialContent {
    /// Our own credentials, of every number, and the credentials in the number's instructions.
    pub secrets: Credentials,
    /// The number's instructions.
    pub instructions: ConfidentialText,
}

impl ConfidentialContent {
    /// Collects the confidential content of `own`, which is one of `numbers`.
    pub(super) fn collect(config: &Config, numbers: &[NumberConfig], own: &NumberConfig) -> ConfidentialContent {
        let mut secrets = Credentials::find_in(&own.system_prompt);
        let twilio = numbers.iter().flat_map(|number| &number.twilio);
        let tokens = twilio.clone().flat_map(|twilio| &twilio.auth_tokens);
        let keys = twilio.flat_map(|twilio| &twilio.api_key).map(|(_, secret)| secret);
        let models = numbers.iter().flat_map(|number| number.ai.iter().chain(&number.fallbacks));
        let models = models.filter_map(|ai| match &ai.provider {
            ProviderConfig::OpenAi { api_key, .. } => api_key.as_ref(),
            ProviderConfig::Anthropic { api_key, .. } => Some(api_key),
            ProviderConfig::Offline { .. } => None,
        });
        let transcription_keys = config.media.transcription.iter().flat_map(|transcription| &transcription.api_key);
        let ours = tokens
            .chain(keys)
            .chain(models)
            .chain(transcription_keys)
            .chain(&config.contact_policy.pairing_code)
            .map(ExposeSecret::expose_secret);
        ours.filter(|secret| secret.len() >= MIN_CREDENTIAL_LENGTH).for_each(|secret| secrets.add(secret));
        ConfidentialContent { secrets, instructions: ConfidentialText::new(&own.system_prompt) }
    }
}
