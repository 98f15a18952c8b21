//! The ways in which an alert reaches somebody: e-mail, Slack, a webhook, ntfy.
//!
//! Each way has one file with a function that sends one message. To add a way, add a file, a variant of [`Way`], and its
//! settings in `config/sections/alerts.rs`.

mod email;
mod message;
mod ntfy;
mod slack;
mod webhook;

use std::time::Duration;

use reqwest::{Client, RequestBuilder, StatusCode};

use crate::config::AlertConfig;
use crate::http::{self, AllowedTargets};

pub use self::message::{AlertMessage, Severity};

/// How long one message may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The most bytes of an answer that are read.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// A way in which an alert reaches somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// E-mail.
    Email,
    /// A Slack-compatible webhook.
    Slack,
    /// A webhook that takes JSON.
    Webhook,
    /// A topic of ntfy.
    Ntfy,
}

impl Way {
    /// All ways.
    pub const ALL: [Way; 4] = [Way::Email, Way::Slack, Way::Webhook, Way::Ntfy];

    /// Returns the word for it: `email`, `slack`, `webhook` or `ntfy`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Way::Email => "email",
            Way::Slack => "slack",
            Way::Webhook => "webhook",
            Way::Ntfy => "ntfy",
        }
    }

    /// Returns the way with this word.
    pub fn parse(word: &str) -> Option<Way> {
        Way::ALL.into_iter().find(|way| way.as_str() == word)
    }
}

/// Why a message was not delivered. The text holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct DeliveryError {
    /// What went wrong, and what to do.
    pub why: String,
    /// Whether another try is useless until the owner changes something.
    pub permanent: bool,
}

impl DeliveryError {
    fn temporary(why: impl Into<String>) -> DeliveryError {
        DeliveryError { why: why.into(), permanent: false }
    }

    fn permanent(why: impl Into<String>) -> DeliveryError {
        DeliveryError { why: why.into(), permanent: true }
    }
}

/// Sends alerts in the configured ways.
pub struct Alerter {
    config: AlertConfig,
    /// The name by which the mail server is greeted: the host of the public URL.
    host: Option<String>,
    client: Client,
}

impl Alerter {
    /// Creates an alerter. `host` is that of the public URL.
    pub fn new(config: AlertConfig, host: Option<String>) -> Alerter {
        Alerter { config, host, client: http::client(TIMEOUT, TIMEOUT, AllowedTargets::Any) }
    }

    /// Returns the configured ways.
    pub fn ways(&self) -> Vec<Way> {
        let is_on = |way: &Way| match way {
            Way::Email => self.config.email.is_some(),
            Way::Slack => self.config.slack.is_some(),
            Way::Webhook => self.config.webhook.is_some(),
            Way::Ntfy => self.config.ntfy.is_some(),
        };
        Way::ALL.into_iter().filter(is_on).collect()
    }

    /// Whether an alert may quote what is noted about a conversation.
    pub fn shows_details(&self) -> bool {
        self.config.details
    }

    /// Sends a message in one way. `id` names the message: a repetition has the same one. `now` is in seconds since 1970.
    pub async fn send(&self, way: Way, message: &AlertMessage, id: &str, now: i64) -> Result<(), DeliveryError> {
        let off = || DeliveryError::permanent("this way is not configured any more");
        match way {
            Way::Email => {
                email::send(self.config.email.as_ref().ok_or_else(off)?, self.host.as_deref(), message, id).await
            }
            Way::Slack => slack::send(&self.client, self.config.slack.as_ref().ok_or_else(off)?, message).await,
            Way::Webhook => {
                let config = self.config.webhook.as_ref().ok_or_else(off)?;
                webhook::send(&self.client, config, message, id, now).await
            }
            Way::Ntfy => ntfy::send(&self.client, self.config.ntfy.as_ref().ok_or_else(off)?, message).await,
        }
    }
}

/// Sends a request and judges the answer. `setting` is the one to check if the address is wrong.
async fn post(request: RequestBuilder, setting: &str) -> Result<(), DeliveryError> {
    let response = request.send().await.map_err(|error| {
        let error = http::describe_error(error);
        DeliveryError::temporary(format!("the address in {setting} does not answer: {error}"))
    })?;
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    let body = http::read_body(response, MAX_ANSWER_BYTES).await.unwrap_or_default();
    let body = String::from_utf8_lossy(&body);
    let answer = crate::text::truncate(body.trim(), 120);
    let answer = if answer.is_empty() || answer.starts_with('<') { String::new() } else { format!(" ({answer})") };
    let status_text = status.as_u16();
    if status.is_redirection() {
        let why = format!(
            "the address in {setting} answers with a redirect ({status_text}), which is not followed; set it to the final address"
        );
        return Err(DeliveryError::permanent(why));
    }
    let why = format!("the address in {setting} answers {status_text}{answer}");
    // 408 and 429 ask for patience; other 4xx stay until somebody changes something.
    let asks_for_patience = matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
    if status.is_client_error() && !asks_for_patience {
        return Err(DeliveryError::permanent(format!("{why}; check {setting}")));
    }
    Err(DeliveryError::temporary(why))
}
