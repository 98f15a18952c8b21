//! The alerts: the ways in which they reach somebody.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::config::schema::parse;
use crate::config::schema::parse::Parsed;
use crate::config::schema::problem::Rejected;
use crate::config::sources::reader::SettingsReader;

/// The shortest key of a webhook, in bytes (Standard Webhooks, "Signature scheme").
const MIN_KEY_BYTES: usize = 24;

/// The ways in which alerts reach somebody. `Debug` shows no address that holds a token.
#[derive(Clone, Debug, Default)]
pub struct AlertConfig {
    /// By e-mail.
    pub email: Option<EmailConfig>,
    /// To a Slack-compatible webhook.
    pub slack: Option<SecretString>,
    /// To a webhook that takes JSON.
    pub webhook: Option<AlertWebhookConfig>,
    /// To a topic of ntfy.
    pub ntfy: Option<NtfyConfig>,
    /// Whether an alert may quote what is noted about a conversation.
    pub details: bool,
}

/// Alerts by e-mail.
#[derive(Clone, Debug)]
pub struct EmailConfig {
    /// The mail server: a URL `smtp://` or `smtps://`, with user and password.
    pub server: SecretString,
    /// A certificate authority for it, in PEM form.
    pub certificate_authority: Option<String>,
    /// The sender.
    pub from: String,
    /// The recipients; never empty.
    pub to: Vec<String>,
}

/// Alerts to a webhook that takes JSON.
#[derive(Clone, Debug)]
pub struct AlertWebhookConfig {
    /// Its address.
    pub url: SecretString,
    /// The key of the signature: `whsec_` and base64.
    pub secret: Option<SecretString>,
}

/// Alerts to a topic of ntfy.
#[derive(Clone, Debug)]
pub struct NtfyConfig {
    /// The address of the topic.
    pub url: SecretString,
    /// The access token.
    pub token: Option<SecretString>,
}

pub(in crate::config) fn read(reader: &mut SettingsReader) -> AlertConfig {
    let to = reader.read("MYNAH_ALERT_EMAIL_TO", parse_addresses).valid();
    let from = reader.read("MYNAH_ALERT_EMAIL_FROM", parse_address).valid();
    let server = reader.read("SMTP_URL", parse_smtp).valid();
    let certificate_authority = reader.read("SMTP_CA", parse_certificate).valid();
    if to.is_some() && server.is_none() && reader.problems.is_empty() {
        reader.report_missing("SMTP_URL", "MYNAH_ALERT_EMAIL_TO is set");
    }
    let email = server.zip(to).map(|(server, to)| EmailConfig {
        server,
        certificate_authority,
        from: from.or_else(|| to.first().cloned()).unwrap_or_default(),
        to,
    });
    let slack = reader.read("MYNAH_ALERT_SLACK_URL", parse_url).valid();
    let url = reader.read("MYNAH_ALERT_WEBHOOK_URL", parse_url).valid();
    let secret = reader.read("MYNAH_ALERT_WEBHOOK_SECRET", parse_webhook_secret).valid();
    let topic = reader.read("MYNAH_ALERT_NTFY_URL", parse_topic).valid();
    let token = reader.read("MYNAH_ALERT_NTFY_TOKEN", parse::secret).valid();
    AlertConfig {
        email,
        slack,
        webhook: url.map(|url| AlertWebhookConfig { url, secret }),
        ntfy: topic.map(|url| NtfyConfig { url, token }),
        details: reader
            .read_or_default("MYNAH_ALERT_DETAILS", |text| parse::choice(text, &[("true", true), ("false", false)])),
    }
}

fn ok_or_rejected<T>(value: Option<T>) -> Parsed<T> {
    value.ok_or_else(Rejected::default)
}

/// Parses an e-mail address well enough to notice a mistake. The mail server has the last word.
fn parse_address(text: &str) -> Parsed<String> {
    let text = text.trim();
    let fits = text.parse::<lettre::Address>().is_ok();
    ok_or_rejected(fits.then(|| text.to_owned()))
}

fn parse_addresses(text: &str) -> Parsed<Vec<String>> {
    text.split(',').map(parse_address).collect()
}

fn parse_smtp(text: &str) -> Parsed<SecretString> {
    let url = ok_or_rejected(Url::parse(text).ok())?;
    let known_tls = url.query_pairs().all(|(key, value)| key == "tls" && matches!(&*value, "required" | "none"));
    let fits =
        matches!(url.scheme(), "smtp" | "smtps") && url.host_str().is_some_and(|host| !host.is_empty()) && known_tls;
    ok_or_rejected(fits.then(|| SecretString::from(text)))
}

fn parse_certificate(text: &str) -> Parsed<String> {
    ok_or_rejected(text.contains("-----BEGIN CERTIFICATE-----").then(|| text.to_owned()))
}

fn parse_url(text: &str) -> Parsed<SecretString> {
    let url = ok_or_rejected(Url::parse(text).ok())?;
    ok_or_rejected(matches!(url.scheme(), "http" | "https").then(|| SecretString::from(text)))
}

fn parse_topic(text: &str) -> Parsed<SecretString> {
    let url = ok_or_rejected(Url::parse(text).ok())?;
    let has_topic = !url.path().trim_matches('/').is_empty() && url.query().is_none();
    ok_or_rejected((matches!(url.scheme(), "http" | "https") && has_topic).then(|| SecretString::from(text)))
}

fn parse_webhook_secret(text: &str) -> Parsed<SecretString> {
    let key = text.strip_prefix("whsec_").and_then(|key| BASE64_STANDARD.decode(key).ok());
    ok_or_rejected(key.filter(|key| key.len() >= MIN_KEY_BYTES).map(|_| SecretString::from(text)))
}

impl AlertWebhookConfig {
    /// Returns the key of the signature.
    pub fn key(&self) -> Option<Vec<u8>> {
        let secret = self.secret.as_ref()?.expose_secret();
        BASE64_STANDARD.decode(secret.strip_prefix("whsec_")?).ok()
    }
}

#[cfg(test)]
mod tests {
    use crate::config::tests::{errors, load};

    const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYqr";

    #[test]
    fn each_way_is_on_where_its_address_is_set_and_shows_no_secret() {
        let env = [
            ("MYNAH_ALERT_EMAIL_TO", "ana@example.org, ben@example.org"),
            ("SMTP_URL", "smtps://user:canary1@mail.example.org"),
            ("MYNAH_ALERT_SLACK_URL", "https://hooks.slack.com/services/canary2"),
            ("MYNAH_ALERT_WEBHOOK_URL", "https://example.org/canary3"),
            ("MYNAH_ALERT_WEBHOOK_SECRET", KEY),
            ("MYNAH_ALERT_NTFY_URL", "https://ntfy.sh/canary4"),
        ];
        let alerts = load(&env).unwrap().alerts;
        let email = alerts.email.as_ref().unwrap();
        assert_eq!((email.from.as_str(), email.to.len()), ("ana@example.org", 2));
        assert_eq!(alerts.webhook.as_ref().unwrap().key().unwrap().len(), 33);
        let shown = format!("{alerts:?}");
        assert!(!shown.contains("canary") && !shown.contains("whsec_"), "{shown}");
        let none = load(&[]).unwrap().alerts;
        assert!(none.email.is_none() && none.slack.is_none() && none.webhook.is_none() && none.ntfy.is_none());
    }

    #[test]
    fn what_cannot_be_a_way_is_an_error_without_its_value() {
        for (key, value) in [
            ("SMTP_URL", "mail.example.org:587"),
            ("SMTP_URL", "smtp://canary@mail.example.org?tls=maybe"),
            ("MYNAH_ALERT_EMAIL_TO", "ana"),
            ("MYNAH_ALERT_SLACK_URL", "hooks.slack.com/canary"),
            ("MYNAH_ALERT_WEBHOOK_SECRET", "canary"),
            ("MYNAH_ALERT_WEBHOOK_SECRET", "whsec_Y2FuYXJ5"),
            ("MYNAH_ALERT_NTFY_URL", "https://ntfy.sh/"),
        ] {
            let errors = errors(&[(key, value)]);
            assert!(errors.len() == 1 && errors[0].contains(key), "{value}: {errors:?}");
            assert!(!errors[0].contains("canary"), "{errors:?}");
        }
        let errors = errors(&[("MYNAH_ALERT_EMAIL_TO", "ana@example.org")]);
        assert!(errors.len() == 1 && errors[0].starts_with("SMTP_URL: found no value"), "{errors:?}");
    }
}
