//! Alerts to a webhook that takes JSON, signed as Standard Webhooks describes (standardwebhooks.com, specification).

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::Client;
use secrecy::ExposeSecret;
use serde_json::json;
use sha2::Sha256;

use super::{AlertMessage, DeliveryError, Severity};
use crate::config::AlertWebhookConfig;

pub(super) async fn send(
    client: &Client,
    config: &AlertWebhookConfig,
    message: &AlertMessage,
    id: &str,
    now: i64,
) -> Result<(), DeliveryError> {
    let kind = if message.severity == Severity::Resolved { "alert.resolved" } else { "alert.raised" };
    let document = json!({ "type": kind, "timestamp": message.last_at, "data": message });
    let body = document.to_string();
    let mut request = client
        .post(config.url.expose_secret())
        .header("content-type", "application/json")
        .header("webhook-id", id)
        .header("webhook-timestamp", now.to_string());
    if let Some(key) = config.key() {
        request = request.header("webhook-signature", signature(&key, id, now, &body));
    }
    super::post(request.body(body), "MYNAH_ALERT_WEBHOOK_URL").await
}

/// Signs `id.timestamp.body` with HMAC-SHA256.
fn signature(key: &[u8], id: &str, now: i64, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(format!("{id}.{now}.{body}").as_bytes());
    format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_the_specification() {
        // The example of the specification's reference libraries.
        let key = BASE64_STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed = signature(&key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
