//! Messaging channels: one folder per channel, all behind [`Channel`].
//!
//! A channel knows its provider's wire format. It knows nothing about the store, the model or the web framework. To add
//! a channel, add a folder with an implementation of [`Channel`], and one line where the app is built.

use std::collections::HashSet;

use async_trait::async_trait;
use bytes::Bytes;

use crate::clock::Time;
use crate::fault::{Fault, FaultOwner};
use crate::model::{
    Attachment, DeliveryStatus, Event, Inbound, Outgoing, ProviderId, SentMessage, WebhookError, WebhookRequest,
};

mod sender;
pub mod twilio;

pub use self::sender::{RegisteredSender, SenderRecord, WebhookChange, WebhookMatch};

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
    async fn send(&self, outgoing: &Outgoing) -> Result<ProviderId, SendError>;

    /// Shows the contact a typing indicator and marks `inbound` as read.
    async fn send_typing(&self, inbound: &ProviderId) -> Result<(), Fault>;

    /// Returns the provider's messages that match the lookup, oldest first.
    async fn find_sent(&self, lookup: &SentLookup) -> Result<Vec<SentMessage>, Fault>;

    /// Returns the messages from contacts that the provider lists since then. Where a listed message does not show that
    /// it was sent to us, it counts if it was sent to one of `our_addresses`: addresses for which webhooks have
    /// arrived.
    async fn list_inbound(&self, since: Time, our_addresses: &HashSet<String>) -> Result<InboundList, Fault>;

    /// Fetches an attachment of at most `max_bytes` bytes. A URL that is not the provider's own is refused and not
    /// called.
    async fn fetch_attachment(&self, attachment: &Attachment, max_bytes: usize) -> Result<Bytes, Fault>;

    /// Tries the credentials without changing anything.
    async fn check(&self) -> Result<CredentialCheck, Fault>;

    /// Returns the address that the provider should call with messages, in the form in which it is set there, with the
    /// recommended options; `None` if no public address is configured.
    fn recommended_webhook_address(&self) -> Option<String> {
        None
    }

    /// Signs a form that is posted to this URL, as the provider does. Returns the header that carries the signature;
    /// `None` if nothing can sign. The URL is the whole one that is configured at the provider.
    fn sign_webhook(&self, _url: &str, _form: &[(String, String)]) -> Option<(&'static str, String)> {
        None
    }

    /// Reads our sender's state at the provider, and the address that it calls with messages.
    async fn webhook_address(&self) -> Result<SenderRecord, Fault> {
        Ok(SenderRecord::NotShown {
            found: format!("the channel {} has no such records", self.name()),
            remedy: "set the webhook address in the provider's console".to_owned(),
        })
    }

    /// Makes the provider call [`Channel::recommended_webhook_address`] with messages. If it calls another address,
    /// nothing is changed unless `overwrite` is set. Other settings of the sender stay as they are.
    async fn set_webhook_address(&self, _overwrite: bool) -> Result<WebhookChange, Fault> {
        Ok(WebhookChange::NotPossible {
            found: format!("the channel {} has no such records", self.name()),
            remedy: "set the webhook address in the provider's console".to_owned(),
        })
    }

    /// Sends a text that belongs to no turn, so nothing reports on it: see [`Channel::delivery_of`]. `to` is a phone
    /// number or a user ID, without the channel's prefix.
    async fn send_test(&self, _to: &str, _text: &str) -> Result<ProviderId, Fault> {
        Err(Fault::fail(FaultOwner::Operator, "this channel sends no test messages"))
    }

    /// Asks the provider how far a message of ours has come.
    async fn delivery_of(&self, _message: &ProviderId) -> Result<Delivery, Fault> {
        Err(Fault::fail(FaultOwner::Operator, "this channel does not tell how far a message has come"))
    }
}

/// Credentials that the provider accepts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CredentialCheck {
    /// A sentence that says what works.
    pub found: String,
    /// The provider's clock, cut to seconds; `None` if the provider did not tell the time.
    pub provider_time: Option<Time>,
}

/// How far a message of ours has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The status; `None` if the provider uses one that is not known.
    pub status: Option<DeliveryStatus>,
    /// The provider's error code, such as 63016.
    pub error_code: Option<i64>,
}

/// Why a message was not sent, or may not have been.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendError {
    /// What to do about it.
    pub fault: Fault,
    /// The provider's error code, if it gave one.
    pub code: Option<i64>,
}

impl From<Fault> for SendError {
    fn from(fault: Fault) -> SendError {
        SendError { fault, code: None }
    }
}

impl From<SendError> for Fault {
    fn from(error: SendError) -> Fault {
        error.fault
    }
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
    /// The text, exactly as posted; `None` matches every text. That of a template is the provider's.
    pub text: Option<String>,
    /// Whether the message has a file.
    pub with_file: bool,
    /// When the first attempt to post it began.
    pub not_before: Time,
}
