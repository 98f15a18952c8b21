//! What the answers of a number must not tell.

use secrecy::ExposeSecret;

use crate::config::{Config, NumberConfig, ProviderConfig};
use crate::text::{Credentials, Original};

/// The shortest of our own credentials that is looked for.
const OWN: usize = 6;

/// Found once, since every answer is read for it.
pub struct Confidence {
    /// Our own credentials, those of every number, and those in the number's instructions.
    pub secrets: Credentials,
    /// The number's instructions.
    pub instructions: Original,
}

impl Confidence {
    /// Of `own`, which is one of `every` number.
    pub(super) fn of(config: &Config, every: &[NumberConfig], own: &NumberConfig) -> Confidence {
        let mut secrets = Credentials::of(&own.system_prompt);
        let twilio = every.iter().flat_map(|number| &number.twilio);
        let tokens = twilio.clone().flat_map(|twilio| &twilio.auth_tokens);
        let keys = twilio.flat_map(|twilio| &twilio.api_key).map(|(_, secret)| secret);
        let models = every.iter().flat_map(|number| number.ai.iter().chain(&number.fallbacks));
        let models = models.filter_map(|ai| match &ai.provider {
            ProviderConfig::OpenAi { api_key, .. } => api_key.as_ref(),
            ProviderConfig::Anthropic { api_key, .. } => Some(api_key),
            ProviderConfig::Offline { .. } => None,
        });
        let ears = config.media.transcription.iter().flat_map(|transcription| &transcription.api_key);
        let ours = tokens
            .chain(keys)
            .chain(models)
            .chain(ears)
            .chain(&config.people.pairing_code)
            .map(ExposeSecret::expose_secret);
        ours.filter(|secret| secret.len() >= OWN).for_each(|secret| secrets.add(secret));
        Confidence { secrets, instructions: Original::of(&own.system_prompt) }
    }
}
