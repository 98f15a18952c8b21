//! Admission: what is found out about a message before it is stored, in the same way however the message came.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret;
use subtle::ConstantTimeEq;

use super::App;
use crate::config::BurstPolicy;
use crate::metrics::{MessageOutcome, MessageSource};
use crate::model::{Command, Inbound, Rate, Role};
use crate::store::{
    Admission, MissedWebhook, ReceiveOutcome, Received, SenderStatus, StoreError, WebhookRecord, WindowLine,
};

/// How many messages of one unknown sender in a day are compared with the pairing code, because they might be guesses.
const PAIRING_GUESS_RATE: Rate =
    Rate { max_calls: NonZeroU32::new(10).expect("ten is not zero"), period: Duration::from_secs(86_400) };

/// The prefix of the cache keys that count messages.
const MESSAGE_RATE_KEY: &str = "messages";

/// If no rate limit is set, a contact is told to slow down at most once in this time.
const DEFAULT_SLOW_DOWN_INTERVAL: Duration = Duration::from_secs(60);

/// Returns the cache keys that count somebody's messages: one for each address that the message carries, so that hiding
/// or showing the phone number does not start a new count.
fn rate_keys(what: &str, inbound: &Inbound) -> Vec<String> {
    inbound.from.addresses().map(|address| format!("{what} {}", address.as_str())).collect()
}

fn counted_outcome(outcome: ReceiveOutcome) -> MessageOutcome {
    match outcome {
        ReceiveOutcome::Queued(_) => MessageOutcome::Queued,
        ReceiveOutcome::Skipped(_) => MessageOutcome::Skipped,
        ReceiveOutcome::Duplicate => MessageOutcome::Duplicate,
    }
}

impl App {
    /// Stores a contact's message that came through the account, with the log of its webhook if there is one, and wakes
    /// the worker.
    pub async fn receive(
        &self,
        account: &str,
        inbound: Inbound,
        record: Option<WebhookRecord>,
    ) -> Result<Received, StoreError> {
        self.admit_and_store(account, inbound, record, None).await
    }

    /// Stores a message that catch-up found at the provider because its webhook never came.
    ///
    /// Such a message does not count against the contact's rate limit, and is never over it. Missed messages arrive all
    /// at once, and one turn answers them however many there are, in at most as many conversations as one contact may
    /// have waiting.
    pub async fn receive_missed(
        &self,
        account: &str,
        inbound: Inbound,
        missed: MissedWebhook,
    ) -> Result<Received, StoreError> {
        self.admit_and_store(account, inbound, None, Some(missed)).await
    }

    async fn admit_and_store(
        &self,
        account: &str,
        inbound: Inbound,
        record: Option<WebhookRecord>,
        missed: Option<MissedWebhook>,
    ) -> Result<Received, StoreError> {
        let reception = self.admission(account, &inbound, missed).await;
        let (content, provider_id) = (inbound.text.clone(), inbound.provider_id.clone());
        let visible_to_model = reception.request().is_none();
        // Taken from the rate limit before it is known whether the message counts.
        let rate = self.config.contact_policy.rate_limit.filter(|_| missed.is_none() && reception.rate_wait.is_none());
        let taken_rate = rate.map(|rate| (rate_keys(MESSAGE_RATE_KEY, &inbound), rate));
        let received = self.store.receive(inbound, record, reception).await?;
        let source = if missed.is_some() { MessageSource::CatchUp } else { MessageSource::Webhook };
        self.metrics.messages.record(source, counted_outcome(received.outcome));
        if let (ReceiveOutcome::Queued(turn) | ReceiveOutcome::Skipped(turn), Some((conversation, revision))) =
            (received.outcome, received.conversation_revision)
        {
            if missed.is_some() {
                // The message may belong before messages that are stored already.
                self.forget_history(conversation).await;
            } else {
                let line = WindowLine { turn, role: Role::User, content, provider_id: Some(provider_id) };
                self.append_to_history(conversation, revision, Some(&line).filter(|_| visible_to_model)).await;
            }
        }
        if let Some((keys, rate)) = taken_rate.filter(|_| !received.counts_against_rate) {
            self.return_to_rates(&keys, rate).await;
        }
        if received.turn_restarted
            && let ReceiveOutcome::Queued(turn) = received.outcome
        {
            self.running_turns.interrupt(turn);
        }
        self.wake.notify_one();
        Ok(received)
    }

    async fn admission(&self, account: &str, inbound: &Inbound, missed: Option<MissedWebhook>) -> Admission {
        let number = self.number_for_inbound(account, &inbound.to);
        let (people, texts) = (&self.config.contact_policy, &number.config.texts);
        let wait = match people.rate_limit.filter(|_| missed.is_none()) {
            Some(rate) => self.take_from_rates(&rate_keys(MESSAGE_RATE_KEY, inbound), rate).await.err(),
            None => None,
        };
        let command = people.keywords.command_in(&inbound.keyword_text);
        // The store may refuse a reset whatever the rate is.
        let too_much = wait.is_some() || command == Some(Command::Reset);
        let slow_down_interval = people.rate_limit.map_or(DEFAULT_SLOW_DOWN_INTERVAL, |rate| rate.period);
        Admission {
            account: account.to_owned(),
            command,
            sender: self.sender_status(inbound).await,
            allowed_senders: Arc::clone(&people.allowed_addresses),
            rate_wait: wait,
            slow_down_notice: too_much.then(|| (texts.slow_down.clone(), slow_down_interval)),
            refusal_text: (people.is_restricted && people.tells_refused).then(|| texts.stranger.clone()),
            restart_running_turn: self.config.work.burst == BurstPolicy::Restart,
            missed_webhook: missed,
        }
    }

    /// Takes one from each of these rates, or from none of them.
    async fn take_from_rates(&self, keys: &[String], rate: Rate) -> Result<(), Duration> {
        for (index, key) in keys.iter().enumerate() {
            if let Err(wait) = self.cache.take_from_rate(key, rate).await {
                self.return_to_rates(&keys[..index], rate).await;
                return Err(wait);
            }
        }
        Ok(())
    }

    async fn return_to_rates(&self, keys: &[String], rate: Rate) {
        for key in keys {
            self.cache.return_to_rate(key, rate).await;
        }
    }

    async fn sender_status(&self, inbound: &Inbound) -> SenderStatus {
        let people = &self.config.contact_policy;
        if !people.is_restricted || inbound.from.addresses().any(|address| people.allowed_addresses.contains(address)) {
            return SenderStatus::Allowed;
        }
        let Some(code) = &people.pairing_code else { return SenderStatus::Unknown };
        let is_pairing_code = bool::from(inbound.keyword_text.trim().as_bytes().ct_eq(code.expose_secret().as_bytes()));
        // The store recognizes senders that were admitted before. Their messages count here too, which does no harm.
        let may_guess = self.take_from_rates(&rate_keys("code", inbound), PAIRING_GUESS_RATE).await.is_ok();
        if is_pairing_code && may_guess { SenderStatus::HasPairingCode } else { SenderStatus::Unknown }
    }
}
