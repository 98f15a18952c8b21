//! Alerts to a Slack-compatible webhook (Slack, "Sending messages using incoming webhooks").

use reqwest::Client;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::{AlertMessage, DeliveryError, Severity};

pub(super) async fn send(client: &Client, url: &SecretString, message: &AlertMessage) -> Result<(), DeliveryError> {
    let mark = match message.severity {
        Severity::Critical => ":red_circle:",
        Severity::Warning => ":warning:",
        Severity::Resolved => ":white_check_mark:",
    };
    let text = format!("{mark} *{}*\n{}", escape(&message.headline()), escape(&message.body()));
    super::post(client.post(url.expose_secret()).json(&json!({ "text": text })), "MYNAH_ALERT_SLACK_URL").await
}

/// Escapes the three characters that Slack's text gives a meaning (Slack, "Formatting text").
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
