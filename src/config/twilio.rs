//! The Twilio account and the sender.

use secrecy::SecretString;
use url::Url;

/// How to reach Twilio and to know its webhooks.
#[derive(Clone, Debug)]
pub struct TwilioConfig {
    /// `AC` and 32 hexadecimal digits.
    pub account_sid: String,
    /// The auth tokens that may sign webhooks: the primary one, then, during a rotation, the secondary one.
    pub auth_tokens: Vec<SecretString>,
    /// API key SID and secret, used for calls instead of the auth token.
    pub api_key: Option<(String, SecretString)>,
    /// Who sends.
    pub sender: Sender,
    /// Overrides `https://api.twilio.com` and `https://messaging.twilio.com` alike; never ends in a slash.
    pub api_base_url: Option<Url>,
    /// The address that Twilio calls, without path; signatures are checked against it. `None`: every webhook is refused.
    pub public_url: Option<Url>,
}

/// The sender of outbound messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sender {
    /// A number: `whatsapp:+14155238886`.
    Number(String),
    /// A Messaging Service: `MG…`.
    MessagingService(String),
}
