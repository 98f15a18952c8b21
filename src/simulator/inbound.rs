//! Simulates messages from contacts: adds the message to the account's list and calls the webhook, signed and retried
//! as Twilio does.

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, USER_AGENT};
use serde_json::json;
use sha2::{Digest, Sha256};
use url::form_urlencoded;

use super::fault_injection::increment;
use super::message_log::Message;
use super::phones::Bubble;
use super::sign::{sign, without_fragment};
use super::{Simulator, Status, lock};
use crate::clock::Time;
use crate::http;

/// Twilio waits this long for a response, all attempts together.
const WEBHOOK_TIMEOUT: Duration = Duration::from_secs(15);
/// Twilio refuses a longer response (error 11750).
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// A webhook that was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookAnswer {
    /// The message's SID.
    pub sid: String,
    /// The webhook's HTTP status. A 2xx means that the message was accepted.
    pub status: u16,
}

/// A webhook that was not answered.
#[derive(Debug, thiserror::Error)]
#[error("the webhook was not answered: {why}")]
pub struct WebhookUnanswered {
    /// The message's SID.
    pub sid: String,
    /// What happened, without the URL.
    pub why: String,
}

impl Simulator {
    /// Sends `text` from a contact: adds the message to the account's list and to the phone's conversation, and posts
    /// the webhook with all the parameters that Twilio sends. `from` is `+15551234567`, or a business-scoped user ID
    /// for a person who hides the number. Any response is `Ok`. Without a 2xx, the bubble shows that the message was
    /// not delivered.
    pub async fn send_inbound(
        &self,
        from: &str,
        profile: &str,
        text: &str,
    ) -> Result<WebhookAnswer, WebhookUnanswered> {
        let sid = self.add_inbound(from, text);
        self.call_webhook(from, profile, text, sid).await
    }

    /// Adds a message from a contact without calling the webhook, as if the webhook was lost. Returns the SID.
    pub fn add_inbound(&self, from: &str, text: &str) -> String {
        self.add_inbound_at(from, text, self.now())
    }

    /// Adds a message like [`Simulator::add_inbound`], but with this time. It must not be earlier than the message
    /// added before, because the list is in order of arrival.
    pub fn add_inbound_at(&self, from: &str, text: &str, now: Time) -> String {
        let sid = self.new_sid("SM");
        lock(&self.inner.message_log).add(Message {
            sid: sid.clone(),
            inbound: true,
            from: format!("whatsapp:{from}"),
            to: self.our_address(),
            body: text.to_owned(),
            num_media: 0,
            service: None,
            status: Status::Received,
            error: None,
            created: now,
            sent: Some(now),
            updated: now,
        });
        let bubble = Bubble {
            sid: sid.clone(),
            from_contact: true,
            text: text.to_owned(),
            at: now,
            status: Status::Sent,
            problem: None,
            last_change: 0,
        };
        self.add_bubble(from, bubble);
        sid
    }

    /// Calls the webhook for a message that was added, and shows the result on the phone.
    pub(super) async fn call_webhook(
        &self,
        from: &str,
        profile: &str,
        text: &str,
        sid: String,
    ) -> Result<WebhookAnswer, WebhookUnanswered> {
        let result = self.post_webhook(self.inbound_params(&sid, from, profile, text), &sid).await;
        let problem = match &result {
            Ok(delivered) if (200..300).contains(&delivered.status) => None,
            Ok(delivered) => Some(format!("Not delivered: the webhook answered {}.", delivered.status)),
            Err(unanswered) => Some(format!("Not delivered: the webhook did not answer ({}).", unanswered.why)),
        };
        let status = if problem.is_none() { Status::Delivered } else { Status::Undelivered };
        // A typing indicator may arrive before the webhook's response. A message that is read stays read.
        let change = {
            let mut phones = lock(&self.inner.phones);
            let read = phones.status(from, &sid) == Some(Status::Read);
            if read { None } else { phones.set_status(from, &sid, status, problem) }
        };
        self.publish(change);
        result
    }

    /// Returns the parameters of a WhatsApp text message's webhook (Twilio, "Twilio's request to your incoming message
    /// webhook URL"). Change them as needed and pass them to [`Simulator::post_webhook`].
    pub fn inbound_params(&self, sid: &str, from: &str, profile: &str, text: &str) -> Vec<(String, String)> {
        let digits = from.strip_prefix('+');
        let context = match digits {
            Some(digits) => json!({ "ProfileName": profile, "WaId": digits }),
            None => json!({ "ProfileName": profile }),
        };
        let metadata = json!({ "type": "whatsapp", "data": { "context": context } });
        let mut params = vec![
            ("SmsMessageSid", sid.to_owned()),
            ("NumMedia", "0".to_owned()),
            ("ProfileName", profile.to_owned()),
            ("MessageType", "text".to_owned()),
            ("SmsSid", sid.to_owned()),
            ("SmsStatus", "received".to_owned()),
            ("Body", text.to_owned()),
            ("To", self.our_address()),
            ("NumSegments", "1".to_owned()),
            ("ReferralNumMedia", "0".to_owned()),
            ("MessageSid", sid.to_owned()),
            ("AccountSid", self.inner.config.account_sid.clone()),
            ("ChannelMetadata", metadata.to_string()),
            ("From", format!("whatsapp:{from}")),
            ("ExternalUserId", format!("whatsapp:{}", user_id_for(from))),
            ("ApiVersion", "2010-04-01".to_owned()),
        ];
        if let Some(digits) = digits {
            params.push(("WaId", digits.to_owned()));
        }
        params.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// Posts a signed webhook with exactly these parameters, for example a repeat, an image or an unknown field. The
    /// account's list and the phones do not change. `sid` is only returned with the result.
    pub async fn post_webhook(
        &self,
        params: Vec<(String, String)>,
        sid: &str,
    ) -> Result<WebhookAnswer, WebhookUnanswered> {
        increment(&self.inner.counts.webhooks);
        let url = lock(&self.inner.sender).callback_url().map(str::to_owned);
        let result = match url {
            Some(url) => self.post_signed(&url, &params).await,
            None => Err("the sender has no webhook address".to_owned()),
        };
        if !matches!(result, Ok(200..300)) {
            increment(&self.inner.counts.webhooks_failed);
        }
        match result {
            Ok(status) => Ok(WebhookAnswer { sid: sid.to_owned(), status }),
            Err(why) => Err(WebhookUnanswered { sid: sid.to_owned(), why }),
        }
    }

    /// Makes one signed post. Returns the status, or what went wrong. Retries only a failed connection, once (Twilio's
    /// default, `rc=1` and `rp=ct`, "Webhooks connection overrides").
    pub(super) async fn post_signed(&self, url: &str, params: &[(String, String)]) -> Result<u16, String> {
        let signature = sign(self.auth_token(), url, params);
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish();
        let token = uuid::Builder::from_random_bytes(super::random_bytes()).into_uuid().to_string();
        let attempt = || {
            self.inner
                .client
                .post(without_fragment(url))
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded; charset=UTF-8")
                .header(USER_AGENT, "TwilioProxy/1.1")
                .header("X-Twilio-Signature", &signature)
                .header("I-Twilio-Idempotency-Token", &token)
                .body(body.clone())
                .send()
        };
        let answer = async {
            let response = match attempt().await {
                Err(error) if error.is_connect() => attempt().await,
                other => other,
            };
            let response = response.map_err(http::describe_error)?;
            let status = response.status().as_u16();
            http::read_body(response, MAX_ANSWER_BYTES).await.map_err(|error| match error {
                http::BodyError::Broken(error) => http::describe_error(error),
                too_large => too_large.to_string(),
            })?;
            Ok(status)
        };
        match tokio::time::timeout(WEBHOOK_TIMEOUT, answer).await {
            Ok(result) => result,
            Err(_) => Err(format!("no response within {} s", WEBHOOK_TIMEOUT.as_secs())),
        }
    }
}

/// Returns the business-scoped user ID that WhatsApp would send with this number. It is always the same for a number.
fn user_id_for(from: &str) -> String {
    if !from.starts_with('+') {
        return from.to_owned();
    }
    let hash = Sha256::digest(from.as_bytes());
    let number = u64::from_be_bytes(hash[..8].try_into().expect("a digest has 32 bytes"));
    format!("US.{number:020}")
}
