//! The front desk: what is found out about a message before it is stored, the same whichever way it came.

use std::num::NonZeroU32;
use std::time::Duration;

use secrecy::ExposeSecret;
use subtle::ConstantTimeEq;

use super::App;
use crate::config::Burst;
use crate::model::{Command, Inbound, Rate, Role};
use crate::store::{Accepted, Missed, Received, Reception, StoreError, Stranger, WebhookRecord, WindowLine};

/// Messages of one stranger in a day that are held against the pairing code, which they might be guessing.
const GUESSES: Rate = Rate { most: NonZeroU32::new(10).expect("ten is not zero"), period: Duration::from_secs(86_400) };

/// A contact is told to slow down no more than once in this time, where no rate says.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// By what a contact's messages are counted.
fn rate_key(inbound: &Inbound) -> String {
    format!("messages {}", inbound.from.as_str())
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
        missed: Missed,
    ) -> Result<Received, StoreError> {
        self.take_in(account, inbound, None, Some(missed)).await
    }

    async fn take_in(
        &self,
        account: &str,
        inbound: Inbound,
        record: Option<WebhookRecord>,
        missed: Option<Missed>,
    ) -> Result<Received, StoreError> {
        let reception = self.reception(account, &inbound, missed).await;
        let (content, provider_id) = (inbound.text.clone(), inbound.provider_id.clone());
        let shown = reception.word().is_none();
        // Taken before it is known what it was for.
        let rate = self.config.people.rate.filter(|_| missed.is_none() && reception.wait.is_none());
        let taken = rate.map(|rate| (rate_key(&inbound), rate));
        let received = self.store.receive(inbound, record, reception).await?;
        if let (Accepted::New(turn) | Accepted::Skipped(turn), Some((conversation, revision))) =
            (received.accepted, received.place)
        {
            if missed.is_some() {
                // It may stand before what was said since.
                self.clear(conversation).await;
            } else {
                let line = WindowLine { turn, role: Role::User, content, provider_id: Some(provider_id) };
                self.add(conversation, revision, Some(&line).filter(|_| shown)).await;
            }
        }
        if let Some((key, rate)) = taken.filter(|_| !received.counts) {
            self.cache.give_back(&key, rate).await;
        }
        if received.restarted
            && let Accepted::New(turn) = received.accepted
        {
            self.running.interrupt(turn);
        }
        self.wake.notify_one();
        Ok(received)
    }

    async fn reception(&self, account: &str, inbound: &Inbound, missed: Option<Missed>) -> Reception {
        let number = self.number_written_to(account, &inbound.to);
        let (people, texts) = (&self.config.people, &number.config.texts);
        let wait = match people.rate.filter(|_| missed.is_none()) {
            Some(rate) => self.cache.take(&rate_key(inbound), rate).await.err(),
            None => None,
        };
        let command = people.keywords.find(&inbound.word);
        // The store may find a wish to begin anew too much, whatever the rate.
        let too_much = wait.is_some() || command == Some(Command::Reset);
        let every = people.rate.map_or(TOLD_EVERY, |rate| rate.period);
        Reception {
            account: account.to_owned(),
            command,
            stranger: self.stranger(inbound).await,
            wait,
            slow_down: too_much.then(|| (texts.slow_down.clone(), every)),
            refusal: (people.closed && people.refuse).then(|| texts.stranger.clone()),
            restart: self.config.work.burst == Burst::Restart,
            missed,
        }
    }

    async fn stranger(&self, inbound: &Inbound) -> Stranger {
        let people = &self.config.people;
        if !people.closed || people.allowed.contains(&inbound.from) {
            return Stranger::No;
        }
        let Some(code) = &people.pairing_code else { return Stranger::Yes };
        let same = bool::from(inbound.word.trim().as_bytes().ct_eq(code.expose_secret().as_bytes()));
        // Those who have come in already are told apart by the store; their messages count here too, and to no harm.
        let may_guess = self.cache.take(&format!("code {}", inbound.from.as_str()), GUESSES).await.is_ok();
        if same && may_guess { Stranger::WithCode } else { Stranger::Yes }
    }
}
