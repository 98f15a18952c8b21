//! Ways in and out: one folder per channel, all behind [`Channel`].
//!
//! A channel knows its provider's wire format and nothing of the store, the model or the web framework. To add one: a
//! folder, an implementation of [`Channel`], one line where the app is built.

use std::collections::HashSet;

use async_trait::async_trait;
use bytes::Bytes;

use crate::clock::Time;
use crate::fault::{Fault, FaultOwner};
use crate::model::{Attachment, Event, Inbound, Outgoing, ProviderId, WebhookError, WebhookRequest};

pub mod twilio;

/// A way in and out.
#[async_trait]
pub trait Channel: Send + Sync {
    /// The stored name, such as `twilio`.
    fn name(&self) -> &'static str;

    /// The longest text that one message may hold, in UTF-16 code units.
    fn text_limit(&self) -> usize;

    /// Whether the provider sent this. Nothing is parsed before this says yes.
    fn verify(&self, delivery: &WebhookRequest) -> Result<(), WebhookError>;

    /// What a verified webhook tells. `now` is when it arrived.
    fn parse_events(&self, delivery: &WebhookRequest, now: Time) -> Result<Vec<Event>, WebhookError>;

    /// What an error code of the provider's means, such as that of a message that was taken and not delivered.
    fn explain_error(&self, code: i64) -> ErrorExplanation {
        ErrorExplanation { sentence: format!("the provider's error {code}"), whose: FaultOwner::Message }
    }

    /// Sends one message. The fault says whether anything can have been created.
    async fn send(&self, outgoing: &Outgoing) -> Result<ProviderId, Fault>;

    /// Shows the contact that an answer is being written, and marks `inbound` read.
    async fn send_typing(&self, inbound: &ProviderId) -> Result<(), Fault>;

    /// Messages at the provider that could be the one looked for, oldest first.
    async fn find_sent(&self, lookup: &SentLookup) -> Result<Vec<ProviderId>, Fault>;

    /// Messages from contacts that the provider lists since then. Where what stands in the list does not tell that it was
    /// written to us, it counts if it was written to one of `ours`: addresses to which webhooks have come.
    async fn list_inbound(&self, since: Time, our_addresses: &HashSet<String>) -> Result<InboundList, Fault>;

    /// Fetches what a contact sent, of at most `most` bytes. An address that is not the provider's own is refused and not
    /// called.
    async fn fetch_attachment(&self, attachment: &Attachment, max_bytes: usize) -> Result<Bytes, Fault>;

    /// Tries the credentials without changing anything; a sentence on what works.
    async fn check(&self) -> Result<String, Fault>;
}

/// What an error code means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorExplanation {
    /// What happened and how to mend it, for operators; without a full stop.
    pub sentence: String,
    /// Who can mend it.
    pub whose: FaultOwner,
}

/// Messages from contacts, as the provider lists them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InboundList {
    /// Oldest first. `received_at` is the provider's time, perhaps to the second only.
    pub messages: Vec<Inbound>,
    /// Why older ones may be missing that another look may find; `None` where this is all there is.
    pub incomplete_reason: Option<String>,
}

/// A sent message to be found again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentLookup {
    /// Our address, as in [`Outgoing::from`].
    pub from: String,
    /// The contact's address, as in [`Outgoing::to`].
    pub to: String,
    /// The text, exactly as posted; `None` for a template, whose text is the provider's.
    pub text: Option<String>,
    /// Whether a file went with it.
    pub with_file: bool,
    /// When the first post of it began.
    pub not_before: Time,
}
