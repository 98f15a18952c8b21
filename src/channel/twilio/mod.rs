//! WhatsApp through Twilio.
//!
//! Inbound: `signature` checks that Twilio sent a webhook, `form` decodes it, `inbound` and `status_callback` read it, and
//! `inbound_text` writes it as text for the model. Outbound: `api` makes the calls and classifies failures by `errors`,
//! `send` posts messages, `message_list` reads Twilio's list of messages, `media` fetches attachments, and `senders` reads and sets
//! the address that Twilio calls. To support a new
//! kind of message, add its text in `inbound_text`. To classify a new error code, add a line in `errors`.

use std::collections::HashSet;
use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use secrecy::{ExposeSecret, SecretString};
use url::Position;

use super::{
    Channel, CredentialCheck, Delivery, ErrorExplanation, InboundList, SendError, SenderRecord, SentLookup,
    WebhookChange,
};
use crate::clock::Time;
use crate::config::{Sender, TwilioConfig};
use crate::fault::{Fault, FaultOwner};
use crate::model::{
    Attachment, Event, Outgoing, PartRef, ProviderId, SentMessage, TurnId, WebhookError, WebhookRequest,
};

mod api;
pub mod errors;
mod fields;
mod form;
mod inbound;
mod inbound_text;
mod media;
mod message_list;
mod send;
mod senders;
mod signature;
mod status_callback;

pub use signature::sign;

const CHANNEL_NAME: &str = "twilio";

/// Twilio accepts 1600 characters but counts some of them as more than one (error 21617), so the limit is lower.
pub const TEXT_LIMIT: usize = 1500;

/// One account at Twilio with its sender. Prints no secrets.
pub struct Twilio {
    account_sid: String,
    sender: Sender,
    /// The public URL without a trailing slash.
    public_url: Option<String>,
    /// The token that signs as Twilio does.
    signing_token: Option<SecretString>,
    verifier: signature::Verifier,
    callbacks: status_callback::StatusCallbacks,
    api: api::Api,
}

impl Twilio {
    /// Creates a channel for this account. `callback_key` authenticates the part that a status callback's URL names.
    /// Keep it secret, and keep it the same across restarts.
    #[expect(clippy::needless_pass_by_value, reason = "the channel takes over the secrets; the caller keeps no copy")]
    pub fn new(config: TwilioConfig, callback_key: [u8; 32]) -> Twilio {
        let api = api::Api::new(&config);
        Twilio::with_api(&config, &callback_key, api)
    }

    fn with_api(config: &TwilioConfig, callback_key: &[u8; 32], api: api::Api) -> Twilio {
        let public_url = config.public_url.as_ref();
        Twilio {
            account_sid: config.account_sid.clone(),
            sender: config.sender.clone(),
            public_url: public_url.map(|url| url[..Position::AfterPath].trim_end_matches('/').to_owned()),
            signing_token: config.auth_tokens.first().cloned(),
            verifier: signature::Verifier::new(public_url, &config.auth_tokens),
            callbacks: status_callback::StatusCallbacks::new(public_url, callback_key),
            api,
        }
    }
}

impl fmt::Debug for Twilio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Twilio")
            .field("account_sid", &self.account_sid)
            .field("sender", &self.sender)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Channel for Twilio {
    fn name(&self) -> &'static str {
        CHANNEL_NAME
    }

    fn text_limit(&self) -> usize {
        TEXT_LIMIT
    }

    fn verify(&self, delivery: &WebhookRequest) -> Result<(), WebhookError> {
        self.verifier.verify(delivery)
    }

    fn parse_events(&self, delivery: &WebhookRequest, now: Time) -> Result<Vec<Event>, WebhookError> {
        inbound::parse_events(&self.account_sid, &self.callbacks, delivery, now)
    }

    fn explain_error(&self, code: i64) -> ErrorExplanation {
        explain_code(code)
    }

    async fn send(&self, outgoing: &Outgoing) -> Result<ProviderId, SendError> {
        send::send_message(&self.api, &self.sender, outgoing, self.callbacks.callback_url(outgoing.reference)).await
    }

    async fn send_typing(&self, inbound: &ProviderId) -> Result<(), Fault> {
        send::send_typing(&self.api, inbound).await
    }

    async fn find_sent(&self, lookup: &SentLookup) -> Result<Vec<SentMessage>, Fault> {
        message_list::find_sent(&self.api, &self.sender, lookup).await
    }

    async fn list_inbound(&self, since: Time, ours: &HashSet<String>) -> Result<InboundList, Fault> {
        message_list::list_inbound(&self.api, &self.sender, since, ours).await
    }

    async fn fetch_attachment(&self, attachment: &Attachment, most: usize) -> Result<Bytes, Fault> {
        media::fetch_attachment(&self.api, attachment, most).await
    }

    async fn check(&self) -> Result<CredentialCheck, Fault> {
        let provider_time = message_list::check(&self.api).await?;
        let found = format!("Twilio accepts the credentials of account {}", self.account_sid);
        Ok(CredentialCheck { found, provider_time })
    }

    fn recommended_webhook_address(&self) -> Option<String> {
        self.public_url.as_deref().map(senders::recommended_address)
    }

    fn sign_webhook(&self, url: &str, form: &[(String, String)]) -> Option<(&'static str, String)> {
        let token = self.signing_token.as_ref()?.expose_secret();
        // An empty key would let anyone sign, so the verifier ignores it too.
        (!token.trim().is_empty()).then(|| (signature::HEADER, sign(url, form, token)))
    }

    async fn webhook_address(&self) -> Result<SenderRecord, Fault> {
        senders::read(&self.api, &self.sender, self.public_url.as_deref()).await
    }

    async fn set_webhook_address(&self, overwrite: bool) -> Result<WebhookChange, Fault> {
        senders::set_webhook(&self.api, &self.sender, self.public_url.as_deref(), overwrite).await
    }

    async fn send_test(&self, to: &str, text: &str) -> Result<ProviderId, Fault> {
        let outgoing = Outgoing {
            from: String::new(),
            to: format!("whatsapp:{to}"),
            text: text.to_owned(),
            template: None,
            media_url: None,
            // Not sent, because there is no callback.
            reference: PartRef { turn: TurnId(0), number: 0 },
        };
        Ok(send::send_message(&self.api, &self.sender, &outgoing, None).await?)
    }

    async fn delivery_of(&self, message: &ProviderId) -> Result<Delivery, Fault> {
        send::read_delivery(&self.api, message).await
    }
}

/// Explains one of Twilio's error codes and what to do about it.
pub fn explain_code(code: i64) -> ErrorExplanation {
    match errors::look_up(code) {
        Some(known) => ErrorExplanation { sentence: known.sentence.to_owned(), owner: known.class.owner() },
        None => ErrorExplanation { sentence: errors::docs_reference(code), owner: FaultOwner::Message },
    }
}

/// Parses a message's id at Twilio. Today an id is `SM` or `MM` and 32 hexadecimal digits. This code requires only 1 to
/// 64 visible ASCII characters.
fn parse_provider_id(text: &str) -> Option<ProviderId> {
    let plain = (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    plain.then(|| ProviderId(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;
    use url::Url;

    use super::*;

    /// An account with every secret set, whose calls go to `base`.
    pub(super) fn config(base: &str) -> TwilioConfig {
        TwilioConfig {
            account_sid: "AC00000000000000000000000000000000".to_owned(),
            auth_tokens: vec![SecretString::from("token-1"), SecretString::from("token-2")],
            api_key: None,
            sender: Sender::Number("whatsapp:+14155238886".to_owned()),
            api_base_url: Some(Url::parse(base).unwrap()),
            public_url: Some(Url::parse("https://bot.example.com/").unwrap()),
        }
    }

    #[test]
    fn a_channel_prints_no_secret() {
        let mut config = config("http://127.0.0.1:9");
        config.api_key = Some(("SK1".to_owned(), SecretString::from("key-secret")));
        let printed = format!("{:#?}", Twilio::new(config, *b"callback-key-callback-key-callba"));
        assert!(printed.contains("AC000"), "{printed}");
        for secret in ["token-1", "token-2", "key-secret", "callback-key", "Basic"] {
            assert!(!printed.contains(secret), "{printed}");
        }
    }

    #[test]
    fn a_failed_delivery_is_explained_and_says_whose_it_is() {
        let channel = Twilio::new(config("http://127.0.0.1:9"), [7; 32]);
        for (code, whose, words) in [
            (63016, FaultOwner::Contact, "they must write again first"),
            (63007, FaultOwner::Operator, "check TWILIO_WHATSAPP_FROM"),
            (63005, FaultOwner::Message, "WhatsApp does not accept this content"),
            (63018, FaultOwner::Message, "send fewer"),
            (1, FaultOwner::Message, "see https://www.twilio.com/docs/api/errors/1"),
        ] {
            let explained = channel.explain_error(code);
            assert!(explained.owner == whose && explained.sentence.contains(words), "{code} {explained:?}");
        }
    }

    #[test]
    fn a_message_stays_below_twilios_limit() {
        let channel = Twilio::new(config("http://127.0.0.1:9"), [7; 32]);
        assert_eq!((channel.name(), channel.text_limit()), ("twilio", 1500));
    }

    #[tokio::test]
    async fn twilio_itself_is_called_by_https_alone() {
        let mut config = config("http://127.0.0.1:9");
        let plain =
            |api: api::Api| async move { api.client.get("http://127.0.0.1:9/").send().await.unwrap_err().is_builder() };
        assert!(!plain(api::Api::new(&config)).await, "plain HTTP is allowed if the owner configures it");
        config.api_base_url = None;
        assert!(plain(api::Api::new(&config)).await);
    }

    #[test]
    fn calls_go_to_twilio_unless_configured_otherwise() {
        let mut config = config("http://127.0.0.1:9/mock/");
        let mock = api::Api::new(&config);
        assert_eq!(
            mock.messages_url,
            "http://127.0.0.1:9/mock/2010-04-01/Accounts/AC00000000000000000000000000000000/Messages.json"
        );
        assert_eq!(mock.typing_url, "http://127.0.0.1:9/mock/v2/Indicators/Typing.json");
        config.api_base_url = None;
        let own = api::Api::new(&config);
        assert_eq!(
            own.messages_url,
            "https://api.twilio.com/2010-04-01/Accounts/AC00000000000000000000000000000000/Messages.json"
        );
        assert_eq!(own.typing_url, "https://messaging.twilio.com/v2/Indicators/Typing.json");
    }

    #[test]
    fn a_regions_typing_indicators_are_at_its_own_messaging_host() {
        for (base, host) in [
            ("https://api.dublin.ie1.twilio.com", "https://messaging.dublin.ie1.twilio.com"),
            ("https://api.dublin.ie1.twilio.com/", "https://messaging.dublin.ie1.twilio.com"),
            ("https://api.ie1.twilio.com:8443/", "https://messaging.ie1.twilio.com:8443"),
            ("https://api.twilio.com", "https://messaging.twilio.com"),
            // A replacement server for Twilio serves both APIs.
            ("http://127.0.0.1:4010/mock/", "http://127.0.0.1:4010/mock"),
            ("https://api.example.org", "https://api.example.org"),
            ("https://api.twilio.com.example.org", "https://api.twilio.com.example.org"),
            ("https://api.eviltwilio.com", "https://api.eviltwilio.com"),
            ("https://twilio.com", "https://twilio.com"),
        ] {
            assert_eq!(api::Api::new(&config(base)).typing_url, format!("{host}/v2/Indicators/Typing.json"), "{base}");
        }
    }
}
