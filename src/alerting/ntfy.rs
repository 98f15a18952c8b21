//! Alerts to a topic of ntfy, published as JSON, which takes any characters in the title (ntfy, "Publish as JSON").

use reqwest::Client;
use secrecy::ExposeSecret;
use serde_json::json;
use url::Url;

use super::{AlertMessage, DeliveryError, Severity};
use crate::config::NtfyConfig;

const SETTING: &str = "MYNAH_ALERT_NTFY_URL";

pub(super) async fn send(client: &Client, config: &NtfyConfig, message: &AlertMessage) -> Result<(), DeliveryError> {
    let wrong = || DeliveryError::permanent(format!("{SETTING} names no topic"));
    let mut server = Url::parse(config.url.expose_secret()).map_err(|_| wrong())?;
    let path = server.path().trim_matches('/').to_owned();
    // A server may lie below a path; the topic is the last segment.
    let (base, topic) = path.rsplit_once('/').unwrap_or(("", &path));
    let topic = topic.to_owned();
    server.set_path(base);
    let (priority, tag) = match message.severity {
        Severity::Critical => (5, "rotating_light"),
        Severity::Warning => (4, "warning"),
        Severity::Resolved => (3, "white_check_mark"),
    };
    let document = json!({
        "topic": topic,
        "title": message.headline(),
        "message": message.body(),
        "priority": priority,
        "tags": [tag],
    });
    let mut request = client.post(server).json(&document);
    if let Some(token) = &config.token {
        request = request.bearer_auth(token.expose_secret());
    }
    super::post(request, SETTING).await
}
