//! Our numbers: each with its channel, its models and its own words.

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
    /// What it has of its own.
    pub config: NumberConfig,
    /// The way in and out; `None` until an account is configured.
    pub channel: Option<Arc<dyn Channel>>,
    /// What answers on it, in the order in which it is asked; empty until a model is configured: messages are accepted and
    /// wait.
    pub assistants: Vec<Arc<Assistant>>,
    /// What its answers must not tell.
    pub confidential: ConfidentialContent,
}

impl Number {
    /// Its account at the provider; empty where it has none.
    pub fn account(&self) -> &str {
        let own = &self.config;
        own.twilio.as_ref().map_or("", |twilio| &twilio.account_sid)
    }

    /// The name of its list of messages at the provider: no other number has it.
    pub fn message_list_key(&self) -> String {
        let own = &self.config;
        let whole = own.twilio.iter().map(|twilio| match &twilio.sender {
            Sender::Number(sender) | Sender::MessagingService(sender) => format!("{} {sender}", twilio.account_sid),
        });
        whole.collect()
    }
}

impl App {
    /// The number of the main configuration.
    pub fn main_number(&self) -> &Number {
        &self.numbers[0]
    }

    /// The number of a conversation, by the account that it came through and by our address in it.
    pub fn number(&self, account: &str, our_address: &str) -> &Number {
        &self.numbers[self.number_directory.find(account, our_address).0]
    }

    /// The number that somebody wrote to. Where no number has that address, another one answers, and the owner is told.
    pub(super) fn number_for_inbound(&self, account: &str, our_address: &str) -> &Number {
        let (at, fit) = self.number_directory.find(account, our_address);
        let number = &self.numbers[at];
        if self.number_directory.has_several() && matches!(fit, NumberMatch::Account | NumberMatch::NoMatch) {
            warn!(number = number.config.name, "a message came to an address that no number has; this one answers it");
        }
        number
    }

    /// The number on which that turn is answered.
    pub fn number_of(&self, claim: &TurnClaim) -> &Number {
        self.number(&claim.account, &claim.from)
    }

    /// The channel of that name on the number of a conversation.
    pub fn channel(&self, name: &str, account: &str, our_address: &str) -> Option<&Arc<dyn Channel>> {
        self.number(account, our_address).channel.as_ref().filter(|channel| channel.name() == name)
    }

    /// The channel of that name by which something was posted for a conversation. Its number may have been moved to another
    /// account since, whose list does not have it.
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

    /// The ways in and out, one for each number that has any.
    pub fn channels(&self) -> impl Iterator<Item = &Arc<dyn Channel>> {
        self.numbers.iter().filter_map(|number| number.channel.as_ref())
    }

    /// Who writes down what is said in voice notes to that number; `None` where nobody does. The main model's server, where
    /// nobody has named it for that, hears only what may go there anyway: a number whose model is elsewhere may have one of
    /// its own because nobody else is to know what its contacts say.
    pub fn transcriber_of(&self, number: &Number) -> Option<&Transcriber> {
        let is_implied = self.config.media.transcription.as_ref().is_some_and(|listens| listens.uses_main_model_server);
        let models = self.main_number().config.ai.as_ref().zip(number.config.ai.as_ref());
        let asks_there = models.is_some_and(|(main, own)| main.is_same_server(own));
        self.transcriber.as_ref().filter(|_| !is_implied || asks_there)
    }

    /// Whether any model is configured.
    pub fn has_any_model(&self) -> bool {
        self.numbers.iter().any(|number| !number.assistants.is_empty())
    }

    /// The number's name, where there are several to tell apart.
    pub fn name_if_several<'a>(&self, number: &'a Number) -> Option<&'a str> {
        self.number_directory.has_several().then_some(number.config.name.as_str())
    }
}

/// Models that are met so far. Numbers that ask the same one share what it can bear: how many may ask at once, and whether
/// it is asked at all.
pub(super) struct ModelRegistry {
    /// Each model of each number.
    configured: Vec<AiConfig>,
    connected: Vec<(AiConfig, Arc<Assistant>)>,
}

impl ModelRegistry {
    /// None of these is met yet.
    pub(super) fn new(configured: Vec<AiConfig>) -> ModelRegistry {
        ModelRegistry { configured, connected: Vec::new() }
    }

    /// The model of that configuration, made by `connect` where no number has it yet.
    pub(super) fn get_or_connect(
        &mut self,
        config: &AiConfig,
        connect: impl FnOnce(&AiConfig) -> Result<Assistant>,
    ) -> Result<Arc<Assistant>> {
        if let Some((_, assistant)) = self.connected.iter().find(|(known, _)| known.has_same_settings(config)) {
            return Ok(Arc::clone(assistant));
        }
        // The smallest: whoever set that knows of something that the model cannot bear.
        let sharing = self.configured.iter().filter(|other| other.is_same_model(config));
        let concurrency = sharing.map(|other| other.concurrency).min().unwrap_or(config.concurrency);
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
    fn of_those_who_share_a_model_the_smallest_number_of_calls_at_once_counts() {
        let calls = |calls| AiConfig { concurrency: calls, ..model() };
        for all in [[8, 2, 5], [2, 8, 5]] {
            let other = AiConfig { concurrency: 1, ..model_with_key("sk-2") };
            let mut models = ModelRegistry::new(all.map(calls).into_iter().chain([other.clone()]).collect());
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
        let mut models = ModelRegistry::new(Vec::new());
        let mut get = |config: &AiConfig| models.get_or_connect(config, connect_unused).unwrap();
        let first = get(&model());
        assert!(Arc::ptr_eq(&first, &get(&model())), "asked alike");
        let warm = get(&AiConfig { temperature: Some(0.7), ..model() });
        assert!(!Arc::ptr_eq(&first, &warm), "asked otherwise");
        assert!(Arc::ptr_eq(&first.limit, &warm.limit) && Arc::ptr_eq(&first.breaker, &warm.breaker));
        for other in [AiConfig { model: Some("n".into()), ..model() }, model_with_key("sk-2")] {
            let other = get(&other);
            assert!(!Arc::ptr_eq(&first.limit, &other.limit) && !Arc::ptr_eq(&first.breaker, &other.breaker));
        }
    }
}
