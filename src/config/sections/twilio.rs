//! The Twilio account and the sender.

use std::fmt;

use secrecy::SecretString;
use url::Url;

use crate::config::schema::parse;
use crate::config::schema::problem::Problem;
use crate::config::sources::reader::SettingsReader;

/// How mynah calls Twilio and checks its webhooks.
#[derive(Clone, Debug)]
pub struct TwilioConfig {
    /// `AC` and 32 hexadecimal digits.
    pub account_sid: String,
    /// The auth tokens that may sign webhooks and make calls: the primary one, then, during a rotation, the secondary.
    pub auth_tokens: Vec<SecretString>,
    /// API key SID and secret, used for calls instead of the auth token.
    pub api_key: Option<(String, SecretString)>,
    /// The sender of messages.
    pub sender: Sender,
    /// Overrides `https://api.twilio.com`. It also overrides `https://messaging.twilio.com`: with the messaging address
    /// of the same region if this is an address of Twilio's, else with this address. Its path never ends in a slash.
    pub api_base_url: Option<Url>,
    /// The address that Twilio calls, without `/webhooks/…`. mynah checks signatures against it. With `None`, mynah
    /// refuses every webhook.
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

impl fmt::Display for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Sender::Number(sender) | Sender::MessagingService(sender) => f.write_str(sender),
        }
    }
}

/// The two settings that name the sender. A number has one of them.
pub(in crate::config) const SENDER_KEY: &str = "TWILIO_WHATSAPP_FROM";
pub(in crate::config) const MESSAGING_SERVICE_KEY: &str = "TWILIO_MESSAGING_SERVICE_SID";

/// The settings of an account.
pub(in crate::config) const ACCOUNT_KEYS: [&str; 6] = [
    "TWILIO_ACCOUNT_SID",
    "TWILIO_AUTH_TOKEN",
    "TWILIO_AUTH_TOKEN_SECONDARY",
    "TWILIO_API_KEY_SID",
    "TWILIO_API_KEY_SECRET",
    "TWILIO_API_BASE_URL",
];

/// Reads the account. Returns `None` if none of its settings is set. If only some are set, each missing one is an
/// error.
pub(in crate::config) fn read(reader: &mut SettingsReader, public_url: Option<&Url>) -> Option<TwilioConfig> {
    let account_sid = reader.read("TWILIO_ACCOUNT_SID", |text| parse::sid(text, "AC"));
    let token = reader.read("TWILIO_AUTH_TOKEN", parse::secret);
    let secondary = reader.read("TWILIO_AUTH_TOKEN_SECONDARY", parse::secret);
    let key_sid = reader.read("TWILIO_API_KEY_SID", |text| parse::sid(text, "SK"));
    let key_secret = reader.read("TWILIO_API_KEY_SECRET", parse::secret);
    let from = reader.read("TWILIO_WHATSAPP_FROM", parse::whatsapp_number);
    let service = reader.read("TWILIO_MESSAGING_SERVICE_SID", |text| parse::sid(text, "MG"));
    let base = reader.read("TWILIO_API_BASE_URL", parse::base_url);

    let absent = [
        ("TWILIO_ACCOUNT_SID", account_sid.is_absent()),
        ("TWILIO_AUTH_TOKEN", token.is_absent()),
        ("TWILIO_AUTH_TOKEN_SECONDARY", secondary.is_absent()),
        ("TWILIO_API_KEY_SID", key_sid.is_absent()),
        ("TWILIO_API_KEY_SECRET", key_secret.is_absent()),
        ("TWILIO_WHATSAPP_FROM", from.is_absent()),
        ("TWILIO_MESSAGING_SERVICE_SID", service.is_absent()),
        ("TWILIO_API_BASE_URL", base.is_absent()),
    ];
    let (present, _) = absent.into_iter().find(|(_, absent)| !absent)?;
    let why = format!("{} is set", reader.name_where_missing(present));
    // An API key cannot replace the auth token: only the token signs webhooks (Twilio, REST API best practices).
    for (key, missing) in absent.into_iter().take(2) {
        if missing {
            reader.report_missing(key, &why);
        }
    }
    match (key_sid.is_absent(), key_secret.is_absent()) {
        (true, false) => {
            let why = format!("{} is set", reader.name_where_missing("TWILIO_API_KEY_SECRET"));
            reader.report_missing("TWILIO_API_KEY_SID", &why);
        }
        (false, true) => {
            let why = format!("{} is set", reader.name_where_missing("TWILIO_API_KEY_SID"));
            reader.report_missing("TWILIO_API_KEY_SECRET", &why);
        }
        _ => {}
    }
    let senders = [SENDER_KEY, MESSAGING_SERVICE_KEY].map(|key| reader.name_where_missing(key)).join(" and ");
    let senders = reader.place_where_missing(SENDER_KEY, &senders);
    match (from.is_absent(), service.is_absent()) {
        (true, true) => reader.report(Problem::new(senders, "neither", format!("one of the two, because {why}"))),
        (false, false) => reader.report(Problem::new(senders, "both", "one of the two: set one of them only")),
        _ => {}
    }
    if public_url.is_none() {
        reader.warn("MYNAH_PUBLIC_URL is not set: mynah refuses every webhook from Twilio".to_owned());
    }
    let sender = match (from.valid(), service.valid()) {
        (Some(number), _) => Sender::Number(number),
        (None, service) => Sender::MessagingService(service?),
    };
    Some(TwilioConfig {
        account_sid: account_sid.valid()?,
        auth_tokens: std::iter::once(token.valid()?).chain(secondary.valid()).collect(),
        api_key: key_sid.valid().zip(key_secret.valid()),
        sender,
        api_base_url: base.valid(),
        public_url: public_url.cloned(),
    })
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;
    use crate::config::tests::{errors, load};

    const SID: (&str, &str) = ("TWILIO_ACCOUNT_SID", "AC00000000000000000000000000000001");
    const TOKEN: (&str, &str) = ("TWILIO_AUTH_TOKEN", "12345");
    const FROM: (&str, &str) = ("TWILIO_WHATSAPP_FROM", "+14155238886");
    const SERVICE: (&str, &str) = ("TWILIO_MESSAGING_SERVICE_SID", "MG00000000000000000000000000000002");
    const KEY_SID: (&str, &str) = ("TWILIO_API_KEY_SID", "SK00000000000000000000000000000003");
    const KEY_SECRET: (&str, &str) = ("TWILIO_API_KEY_SECRET", "secret");

    #[test]
    fn no_setting_of_twilio_is_no_twilio() {
        assert!(load(&[]).unwrap().twilio.is_none());
        assert!(load(&[("TWILIO_AUTH_TOKEN", ""), ("TWILIO_PHONE_NUMBER", "+1")]).unwrap().twilio.is_none());
    }

    #[test]
    fn a_whole_account_is_taken() {
        let public = ("MYNAH_PUBLIC_URL", "https://bot.example.org/");
        let base = ("TWILIO_API_BASE_URL", "http://127.0.0.1:4010/");
        let secondary = ("TWILIO_AUTH_TOKEN_SECONDARY", "67890");
        let twilio = load(&[SID, TOKEN, secondary, KEY_SID, KEY_SECRET, FROM, public, base]).unwrap().twilio.unwrap();
        assert_eq!(twilio.account_sid, "AC00000000000000000000000000000001");
        let tokens: Vec<_> = twilio.auth_tokens.iter().map(ExposeSecret::expose_secret).collect();
        assert_eq!(tokens, ["12345", "67890"]);
        let (sid, secret) = twilio.api_key.unwrap();
        assert_eq!((sid.as_str(), secret.expose_secret()), ("SK00000000000000000000000000000003", "secret"));
        assert_eq!(twilio.sender, Sender::Number("whatsapp:+14155238886".into()));
        assert_eq!(twilio.api_base_url.unwrap().as_str(), "http://127.0.0.1:4010/");
        assert_eq!(twilio.public_url.unwrap().as_str(), "https://bot.example.org/");
    }

    #[test]
    fn a_messaging_service_may_send() {
        let config = load(&[SID, TOKEN, SERVICE]).unwrap();
        assert_eq!(
            config.twilio.unwrap().sender,
            Sender::MessagingService("MG00000000000000000000000000000002".into())
        );
        assert_eq!(config.warnings, ["MYNAH_PUBLIC_URL is not set: mynah refuses every webhook from Twilio"]);
    }

    #[test]
    fn a_part_of_an_account_is_an_error_that_names_the_rest() {
        let senders = "TWILIO_WHATSAPP_FROM and TWILIO_MESSAGING_SERVICE_SID";
        for (env, places) in [
            (&[SID][..], &["TWILIO_AUTH_TOKEN", senders][..]),
            (&[TOKEN, FROM], &["TWILIO_ACCOUNT_SID"]),
            (&[SID, FROM], &["TWILIO_AUTH_TOKEN"]),
            (&[SID, TOKEN], &[senders]),
            (&[SID, KEY_SID, KEY_SECRET, FROM], &["TWILIO_AUTH_TOKEN"]),
            (&[SID, TOKEN, FROM, KEY_SID], &["TWILIO_API_KEY_SECRET"]),
            (&[SID, TOKEN, FROM, KEY_SECRET], &["TWILIO_API_KEY_SID"]),
            (&[("TWILIO_AUTH_TOKEN_SECONDARY", "x"), SID, FROM], &["TWILIO_AUTH_TOKEN"]),
            (&[SID, TOKEN, FROM, SERVICE], &[senders]),
            // A wrong value is not also reported as missing.
            (&[("TWILIO_ACCOUNT_SID", "AC1"), TOKEN, FROM], &["environment variable TWILIO_ACCOUNT_SID"]),
            (&[SID, TOKEN, ("TWILIO_WHATSAPP_FROM", "4155")], &["environment variable TWILIO_WHATSAPP_FROM"]),
        ] {
            let errors = errors(env);
            let found: Vec<_> = errors.iter().map(|error| error.split(": ").next().unwrap()).collect();
            assert_eq!(found, places);
        }
        let missing = "TWILIO_AUTH_TOKEN: found no value, expected the account's auth token, without spaces, because \
                       TWILIO_ACCOUNT_SID is set";
        assert_eq!(errors(&[SID, FROM]), [missing]);
    }

    #[test]
    fn a_token_in_the_place_of_a_sid_is_not_shown() {
        let token = ("TWILIO_ACCOUNT_SID", "0123456789abcdef0123456789abcdef");
        assert_eq!(
            errors(&[token, TOKEN, FROM]),
            ["environment variable TWILIO_ACCOUNT_SID: found a value of 32 characters that is not shown because it \
                 may contain a secret, expected AC and 32 hexadecimal digits"]
        );
    }
}
