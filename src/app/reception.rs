//! The front desk: what is found out about a message before it is stored, the same whichever way it came.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret;
use subtle::ConstantTimeEq;

use super::App;
use crate::config::Burst;
use crate::model::{Command, Inbound, Rate, Role};
use crate::store::{
    Admission, MissedWebhook, ReceiveOutcome, Received, SenderStatus, StoreError, WebhookRecord, WindowLine,
};

/// Messages of one stranger in a day that are held against the pairing code, which they might be guessing.
const GUESSES: Rate =
    Rate { max_calls: NonZeroU32::new(10).expect("ten is not zero"), period: Duration::from_secs(86_400) };

/// What a rate of messages is counted under.
const MESSAGES: &str = "messages";

/// A contact is told to slow down no more than once in this time, where no rate says.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// By what somebody's messages are counted: by each address that came along, so that nobody is counted anew who hides the
/// number or shows it.
fn keys(what: &str, inbound: &Inbound) -> Vec<String> {
    inbound.from.addresses().map(|address| format!("{what} {}", address.as_str())).collect()
}

impl App {
    /// Stores a contact's message, which came through that account, with the log of its webhook if there is one, and wakes
    /// whoever answers it.
    pub async fn receive(
        &self,
        account: &str,
        inbound: Inbound,
        record: Option<WebhookRecord>,
    ) -> Result<Received, StoreError> {
        self.take_in(account, inbound, record, None).await
    }

    /// The same for a message that was found at the provider because its webhook never came.
    ///
    /// It does not use up the contact's rate, and is not above it: what was missed arrives in one go, and is answered by one
    /// turn whatever there is of it, in as many conversations at the most as one contact may have waiting.
    pub async fn receive_missed(
        &self,
        account: &str,
        inbound: Inbound,
        missed: MissedWebhook,
    ) -> Result<Received, StoreError> {
        self.take_in(account, inbound, None, Some(missed)).await
    }

    async fn take_in(
        &self,
        account: &str,
        inbound: Inbound,
        record: Option<WebhookRecord>,
        missed: Option<MissedWebhook>,
    ) -> Result<Received, StoreError> {
        let reception = self.reception(account, &inbound, missed).await;
        let (content, provider_id) = (inbound.text.clone(), inbound.provider_id.clone());
        let shown = reception.request().is_none();
        // Taken before it is known what it was for.
        let rate = self.config.people.rate.filter(|_| missed.is_none() && reception.rate_wait.is_none());
        let taken = rate.map(|rate| (keys(MESSAGES, &inbound), rate));
        let received = self.store.receive(inbound, record, reception).await?;
        if let (ReceiveOutcome::Queued(turn) | ReceiveOutcome::Skipped(turn), Some((conversation, revision))) =
            (received.outcome, received.conversation_revision)
        {
            if missed.is_some() {
                // It may stand before what was said since.
                self.clear(conversation).await;
            } else {
                let line = WindowLine { turn, role: Role::User, content, provider_id: Some(provider_id) };
                self.add(conversation, revision, Some(&line).filter(|_| shown)).await;
            }
        }
        if let Some((keys, rate)) = taken.filter(|_| !received.counts_against_rate) {
            self.give_back(&keys, rate).await;
        }
        if received.turn_restarted
            && let ReceiveOutcome::Queued(turn) = received.outcome
        {
            self.running.interrupt(turn);
        }
        self.wake.notify_one();
        Ok(received)
    }

    async fn reception(&self, account: &str, inbound: &Inbound, missed: Option<MissedWebhook>) -> Admission {
        let number = self.number_written_to(account, &inbound.to);
        let (people, texts) = (&self.config.people, &number.config.texts);
        let wait = match people.rate.filter(|_| missed.is_none()) {
            Some(rate) => self.take(&keys(MESSAGES, inbound), rate).await.err(),
            None => None,
        };
        let command = people.keywords.command_in(&inbound.keyword_text);
        // The store may find a wish to begin anew too much, whatever the rate.
        let too_much = wait.is_some() || command == Some(Command::Reset);
        let every = people.rate.map_or(TOLD_EVERY, |rate| rate.period);
        Admission {
            account: account.to_owned(),
            command,
            sender: self.stranger(inbound).await,
            allowed_senders: Arc::clone(&people.allowed),
            rate_wait: wait,
            slow_down_notice: too_much.then(|| (texts.slow_down.clone(), every)),
            refusal_text: (people.closed && people.refuse).then(|| texts.stranger.clone()),
            restart_running_turn: self.config.work.burst == Burst::Restart,
            missed_webhook: missed,
        }
    }

    /// Takes one from each of these, or none.
    async fn take(&self, keys: &[String], rate: Rate) -> Result<(), Duration> {
        for (index, key) in keys.iter().enumerate() {
            if let Err(wait) = self.cache.take_from_rate(key, rate).await {
                self.give_back(&keys[..index], rate).await;
                return Err(wait);
            }
        }
        Ok(())
    }

    async fn give_back(&self, keys: &[String], rate: Rate) {
        for key in keys {
            self.cache.return_to_rate(key, rate).await;
        }
    }

    async fn stranger(&self, inbound: &Inbound) -> SenderStatus {
        let people = &self.config.people;
        if !people.closed || inbound.from.addresses().any(|address| people.allowed.contains(address)) {
            return SenderStatus::Allowed;
        }
        let Some(code) = &people.pairing_code else { return SenderStatus::Unknown };
        let same = bool::from(inbound.keyword_text.trim().as_bytes().ct_eq(code.expose_secret().as_bytes()));
        // Those who have come in already are told apart by the store; their messages count here too, and to no harm.
        let may_guess = self.take(&keys("code", inbound), GUESSES).await.is_ok();
        if same && may_guess { SenderStatus::HasPairingCode } else { SenderStatus::Unknown }
    }
}
