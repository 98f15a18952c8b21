//! Messaging channels: one folder per channel, all behind [`Channel`].
//!
//! A channel knows its provider's wire format. It knows nothing about the store, the model or the web framework. To add
//! a channel, add a folder with an implementation of [`Channel`], and one line where the app is built.

use std::collections::HashSet;

use async_trait::async_trait;
use bytes::Bytes;

use crate::clock::Time;
use crate::fault::{Fault, FaultOwner};
use crate::model::{Attachment, Event, Inbound, Outgoing, ProviderId, WebhookError, WebhookRequest};

pub mod twilio;

/// A way to receive messages from contacts and to send messages to them.
#[async_trait]
pub trait Channel: Send + Sync {
    /// The stored name, such as `twilio`.
    fn name(&self) -> &'static str;

    /// The maximum length of one message's text, in UTF-16 code units.
    fn text_limit(&self) -> usize;

    /// Checks that the provider sent this request. Nothing is parsed before this check succeeds.
    fn verify(&self, delivery: &WebhookRequest) -> Result<(), WebhookError>;

    /// Reads the events in a verified webhook. `now` is the time it arrived.
    fn parse_events(&self, delivery: &WebhookRequest, now: Time) -> Result<Vec<Event>, WebhookError>;

    /// Explains one of the provider's error codes, such as that of a message that was accepted but not delivered.
    fn explain_error(&self, code: i64) -> ErrorExplanation {
        ErrorExplanation { sentence: format!("the provider's error {code}"), owner: FaultOwner::Message }
    }

    /// Sends one message. The fault says whether the provider can have created the message.
    async fn send(&self, outgoing: &Outgoing) -> Result<ProviderId, Fault>;

    /// Shows the contact a typing indicator and marks `inbound` as read.
    async fn send_typing(&self, inbound: &ProviderId) -> Result<(), Fault>;

    /// Returns the ids of the provider's messages that match the lookup, oldest first.
    async fn find_sent(&self, lookup: &SentLookup) -> Result<Vec<ProviderId>, Fault>;

    /// Returns the messages from contacts that the provider lists since then. Where a listed message does not show that
    /// it was sent to us, it counts if it was sent to one of `our_addresses`: addresses for which webhooks have
    /// arrived.
    async fn list_inbound(&self, since: Time, our_addresses: &HashSet<String>) -> Result<InboundList, Fault>;

    /// Fetches an attachment of at most `max_bytes` bytes. A URL that is not the provider's own is refused and not
    /// called.
    async fn fetch_attachment(&self, attachment: &Attachment, max_bytes: usize) -> Result<Bytes, Fault>;

    /// Tries the credentials without changing anything. Returns a sentence that says what works.
    async fn check(&self) -> Result<String, Fault>;
}

/// The meaning of an error code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorExplanation {
    /// What happened and how to fix it, for operators; without a full stop.
    pub sentence: String,
    /// Who can fix it.
    pub owner: FaultOwner,
}

/// Messages from contacts, as the provider lists them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InboundList {
    /// Oldest first. `received_at` is the provider's time, which may have a resolution of one second.
    pub messages: Vec<Inbound>,
    /// Why older messages may be missing that another fetch may find; `None` if the list is complete.
    pub incomplete_reason: Option<String>,
}

/// A sent message to look up at the provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentLookup {
    /// Our address, as in [`Outgoing::from`].
    pub from: String,
    /// The contact's address, as in [`Outgoing::to`].
    pub to: String,
    /// The text, exactly as posted; `None` for a template, whose text is the provider's.
    pub text: Option<String>,
    /// Whether the message has a file.
    pub with_file: bool,
    /// When the first attempt to post it began.
    pub not_before: Time,
}
