//! Our numbers: each with its channel, its models and its texts.

use std::sync::Arc;

use anyhow::Result;
use tracing::warn;

use super::{App, Assistant, ConfidentialContent};
use crate::ai::Transcriber;
use crate::channel::Channel;
use crate::config::{AiConfig, NumberConfig, NumberMatch, Sender};
use crate::store::TurnClaim;

/// One of our numbers.
pub struct Number {
    /// The configuration of this number.
    pub config: NumberConfig,
    /// The channel; `None` until an account is configured.
    pub channel: Option<Arc<dyn Channel>>,
    /// The models that answer on the number, in the order in which they are asked. Empty until a model is configured;
    /// messages are accepted and wait.
    pub assistants: Vec<Arc<Assistant>>,
    /// What the number's answers must not reveal.
    pub confidential: ConfidentialContent,
}

impl Number {
    /// Returns the number's account at the provider; empty if it has none.
    pub fn account(&self) -> &str {
        let own = &self.config;
        own.twilio.as_ref().map_or("", |twilio| &twilio.account_sid)
    }

    /// Returns the key of the number's message list at the provider. No other number has the same key.
    pub fn message_list_key(&self) -> String {
        let own = &self.config;
        let whole = own.twilio.iter().map(|twilio| match &twilio.sender {
            Sender::Number(sender) | Sender::MessagingService(sender) => format!("{} {sender}", twilio.account_sid),
        });
        whole.collect()
    }
}

impl App {
    /// Returns the number of the main configuration.
    pub fn main_number(&self) -> &Number {
        &self.numbers[0]
    }

    /// Returns the number of a conversation, by the account that it came through and by our address in it.
    pub fn number(&self, account: &str, our_address: &str) -> &Number {
        &self.numbers[self.number_directory.find(account, our_address).0]
    }

    /// Returns the number that somebody wrote to. If no number has that address, another number answers, with a warning
    /// in the log.
    pub(super) fn number_for_inbound(&self, account: &str, our_address: &str) -> &Number {
        let (at, fit) = self.number_directory.find(account, our_address);
        let number = &self.numbers[at];
        if self.number_directory.has_several() && matches!(fit, NumberMatch::Account | NumberMatch::NoMatch) {
            warn!(number = number.config.name, "no number has the address of this message; this number answers it");
        }
        number
    }

    /// Returns the number on which the turn is answered.
    pub fn number_of(&self, claim: &TurnClaim) -> &Number {
        self.number(&claim.account, &claim.from)
    }

    /// Returns the channel of that name on the number of a conversation.
    pub fn channel(&self, name: &str, account: &str, our_address: &str) -> Option<&Arc<dyn Channel>> {
        self.number(account, our_address).channel.as_ref().filter(|channel| channel.name() == name)
    }

    /// Returns the channel of that name through which something was posted for a conversation. The number may have been
    /// moved since to another account, whose list does not hold the message.
    pub fn channel_of_account(
        &self,
        posted_by: &str,
        name: &str,
        account: &str,
        our_address: &str,
    ) -> Option<&Arc<dyn Channel>> {
        let number = Some(self.number(account, our_address)).filter(|number| number.account() == posted_by);
        let number = number.or_else(|| self.numbers.iter().find(|number| number.account() == posted_by))?;
        number.channel.as_ref().filter(|channel| channel.name() == name)
    }

    /// Returns the channels, one for each number that has one.
    pub fn channels(&self) -> impl Iterator<Item = &Arc<dyn Channel>> {
        self.numbers.iter().filter_map(|number| number.channel.as_ref())
    }

    /// Returns the transcriber for voice notes to that number; `None` if there is none. If no transcription server is
    /// configured, the main model's server transcribes only for numbers whose model is on the same server. Another
    /// number may have its own model so that nobody else learns what its contacts say.
    pub fn transcriber_of(&self, number: &Number) -> Option<&Transcriber> {
        let is_implied = self.config.media.transcription.as_ref().is_some_and(|listens| listens.uses_main_model_server);
        let models = self.main_number().config.ai.as_ref().zip(number.config.ai.as_ref());
        let asks_there = models.is_some_and(|(main, own)| main.is_same_server(own));
        self.transcriber.as_ref().filter(|_| !is_implied || asks_there)
    }

    /// Returns whether any model is configured.
    pub fn has_any_model(&self) -> bool {
        self.numbers.iter().any(|number| !number.assistants.is_empty())
    }

    /// Returns the number's name if there are several numbers to tell apart.
    pub fn name_if_several<'a>(&self, number: &'a Number) -> Option<&'a str> {
        self.number_directory.has_several().then_some(number.config.name.as_str())
    }
}

/// The models that are connected so far. Numbers that ask the same model share its concurrency limit and its circuit
/// breaker.
pub(super) struct ModelRegistry {
    /// Each configured model of each number.
    configured: Vec<AiConfig>,
    connected: Vec<(AiConfig, Arc<Assistant>)>,
}

impl ModelRegistry {
    /// Creates a registry in which the models of `previous` are connected that are still configured and may run as many
    /// calls at once as before.
    pub(super) fn new(configured: Vec<AiConfig>, previous: &[Number]) -> ModelRegistry {
        let mut registry = ModelRegistry { configured, connected: Vec::new() };
        for number in previous {
            let asked = number.config.ai.iter().chain(&number.config.fallbacks);
            for (config, assistant) in asked.zip(&number.assistants) {
                let known = registry.connected.iter().any(|(known, _)| known.has_same_settings(config));
                if !known && assistant.limit.max() == registry.concurrency_of(config) {
                    registry.connected.push((config.clone(), Arc::clone(assistant)));
                }
            }
        }
        registry
    }

    /// Returns how many calls of the model may run at once. The smallest limit counts: whoever set it knows of something
    /// that the model cannot bear.
    fn concurrency_of(&self, config: &AiConfig) -> usize {
        let sharing = self.configured.iter().filter(|other| other.is_same_model(config));
        sharing.map(|other| other.concurrency).min().unwrap_or(config.concurrency)
    }

    /// Returns the model of that configuration. `connect` creates it if no number has it yet.
    pub(super) fn get_or_connect(
        &mut self,
        config: &AiConfig,
        connect: impl FnOnce(&AiConfig) -> Result<Assistant>,
    ) -> Result<Arc<Assistant>> {
        if let Some((_, assistant)) = self.connected.iter().find(|(known, _)| known.has_same_settings(config)) {
            return Ok(Arc::clone(assistant));
        }
        let concurrency = self.concurrency_of(config);
        let mut assistant = connect(&AiConfig { concurrency, ..config.clone() })?;
        if let Some((_, other)) = self.connected.iter().find(|(known, _)| known.is_same_model(config)) {
            assistant.limit = Arc::clone(&other.limit);
            assistant.breaker = Arc::clone(&other.breaker);
        }
        let assistant = Arc::new(assistant);
        self.connected.push((config.clone(), Arc::clone(&assistant)));
        Ok(assistant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ai::{Completion, Prompt, Provider};
    use crate::config::{Config, Sources};
    use crate::fault::Fault;
    use async_trait::async_trait;

    struct UnusedProvider;

    #[async_trait]
    impl Provider for UnusedProvider {
        fn name(&self) -> &str {
            "nobody"
        }
        async fn complete(&self, _: &Prompt) -> Result<Completion, Fault> {
            Err(Fault::retry("nobody"))
        }
        async fn check(&self) -> Result<String, Fault> {
            Ok(String::new())
        }
    }

    fn model() -> AiConfig {
        model_with_key("sk-1")
    }

    fn model_with_key(key: &str) -> AiConfig {
        let env = [("OPENAI_API_KEY", key), ("MYNAH_AI_MODEL", "m")].map(|(key, value)| (key.into(), value.into()));
        Config::load(Sources { env: env.into(), base_dir: "/nonexistent".into(), ..Sources::default() })
            .unwrap()
            .ai
            .unwrap()
    }

    fn connect_unused(config: &AiConfig) -> Result<Assistant> {
        Ok(Assistant::new(Arc::new(UnusedProvider), config))
    }

    #[test]
    fn numbers_that_share_a_model_use_the_smallest_concurrency() {
        let calls = |calls| AiConfig { concurrency: calls, ..model() };
        for all in [[8, 2, 5], [2, 8, 5]] {
            let other = AiConfig { concurrency: 1, ..model_with_key("sk-2") };
            let mut models = ModelRegistry::new(all.map(calls).into_iter().chain([other.clone()]).collect(), &[]);
            for own in all {
                assert_eq!(
                    models.get_or_connect(&calls(own), connect_unused).unwrap().limit.allowed(),
                    2,
                    "{all:?} {own}"
                );
            }
            assert_eq!(models.get_or_connect(&other, connect_unused).unwrap().limit.allowed(), 1);
        }
    }

    #[test]
    fn numbers_that_ask_the_same_model_share_what_it_can_bear() {
        let mut models = ModelRegistry::new(Vec::new(), &[]);
        let mut get = |config: &AiConfig| models.get_or_connect(config, connect_unused).unwrap();
        let first = get(&model());
        assert!(Arc::ptr_eq(&first, &get(&model())), "the same settings");
        let warm = get(&AiConfig { temperature: Some(0.7), ..model() });
        assert!(!Arc::ptr_eq(&first, &warm), "other settings");
        assert!(Arc::ptr_eq(&first.limit, &warm.limit) && Arc::ptr_eq(&first.breaker, &warm.breaker));
        for other in [AiConfig { model: Some("n".into()), ..model() }, model_with_key("sk-2")] {
            let other = get(&other);
            assert!(!Arc::ptr_eq(&first.limit, &other.limit) && !Arc::ptr_eq(&first.breaker, &other.breaker));
        }
    }
}
