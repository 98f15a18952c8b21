//! The WhatsApp sender at Twilio, and the address that Twilio calls with its messages (Twilio, "Senders API"; OpenAPI
//! `messaging_v2`, `/v2/Channels/Senders`).
//!
//! Connection overrides stand behind a `#` in the address (Twilio, "Webhooks connection overrides"). Without them,
//! Twilio tries a message's webhook again only if it cannot connect.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use url::Url;

use super::api::{Api, SideEffect};
use crate::channel::{RegisteredSender, SenderRecord, WebhookChange, WebhookMatch};
use crate::config::Sender;
use crate::fault::{Fault, FaultOwner};

/// Much more than a hundred senders take.
const MAX_PAGE_BYTES: usize = 4 * 1024 * 1024;

/// Senders on a page. Twilio allows up to a thousand.
const PAGE_SENDERS: &str = "100";

const MAX_PAGES: usize = 20;

/// Three tries of up to seven seconds each, within Twilio's fifteen seconds in all, whatever went wrong.
const CONNECTION_OVERRIDES: &str = "ct=3000&rt=4000&rc=3&rp=ct,rt,5xx";

/// The number of Twilio's sandbox, which every account shares. It is nobody's sender.
const SANDBOX: &str = "whatsapp:+14155238886";

/// The states in which a sender receives and sends.
const ONLINE_STATES: [&str; 2] = ["ONLINE", "ONLINE:UPDATING"];

#[derive(Deserialize)]
struct Page {
    senders: Vec<SenderRow>,
    #[serde(default)]
    meta: PageMeta,
}

#[derive(Default, Deserialize)]
struct PageMeta {
    next_page_url: Option<String>,
}

/// A sender. The reference on Twilio's pages writes the names in camel case, the OpenAPI document does not.
#[derive(Deserialize)]
struct SenderRow {
    sid: Option<String>,
    status: Option<String>,
    #[serde(alias = "senderId")]
    sender_id: Option<String>,
    webhook: Option<Map<String, Value>>,
    #[serde(alias = "offlineReasons")]
    offline_reasons: Option<Vec<OfflineReason>>,
}

#[derive(Deserialize)]
struct OfflineReason {
    code: Option<Value>,
    message: Option<String>,
}

/// Returns the address that Twilio should call, with the recommended connection overrides.
pub(super) fn recommended_address(public_url: &str) -> String {
    format!("{}#{CONNECTION_OVERRIDES}", webhook_url(public_url))
}

fn webhook_url(public_url: &str) -> String {
    format!("{public_url}/webhooks/twilio")
}

/// Reads the sender and the address that Twilio calls with its messages.
pub(super) async fn read(api: &Api, sender: &Sender, public_url: Option<&str>) -> Result<SenderRecord, Fault> {
    let row = match find(api, sender).await? {
        Ok(row) => row,
        Err(missing) => return Ok(missing.into_record(public_url)),
    };
    let webhook = row.address();
    Ok(SenderRecord::Registered(RegisteredSender {
        online: row.status.as_deref().is_some_and(|status| ONLINE_STATES.contains(&status)),
        state: row.state(),
        webhook_match: compare(webhook.as_deref(), row.method(), public_url),
        webhook,
    }))
}

/// Sets the address that Twilio calls with the sender's messages.
pub(super) async fn set_webhook(
    api: &Api,
    sender: &Sender,
    public_url: Option<&str>,
    overwrite: bool,
) -> Result<WebhookChange, Fault> {
    let Some(public_url) = public_url else {
        return Ok(WebhookChange::NotPossible {
            found: "no public URL is set".to_owned(),
            remedy: "set MYNAH_PUBLIC_URL to the address under which Twilio reaches mynah".to_owned(),
        });
    };
    let row = match find(api, sender).await? {
        Ok(row) => row,
        Err(missing) => {
            let (found, remedy) = missing.explain(Some(public_url));
            return Ok(WebhookChange::NotPossible { found, remedy });
        }
    };
    let before = row.address();
    match (compare(before.as_deref(), row.method(), Some(public_url)), before.clone()) {
        (WebhookMatch::Ours, Some(address)) => return Ok(WebhookChange::Unchanged { address }),
        (WebhookMatch::Elsewhere, Some(current)) if !overwrite => {
            return Ok(WebhookChange::CallsElsewhere { current });
        }
        _ => {}
    }
    let address = recommended_address(public_url);
    // Twilio replaces the whole object, so the rest of it is sent back as it was.
    let mut webhook = row.webhook.unwrap_or_default();
    webhook.retain(|_, value| !value.is_null());
    webhook.insert("callback_url".to_owned(), Value::from(address.as_str()));
    webhook.insert("callback_method".to_owned(), Value::from("POST"));
    let sid = row.sid.filter(|sid| is_sender_sid(sid)).ok_or_else(unreadable)?;
    let request = api.client.post(format!("{}/{sid}", api.senders_url)).json(&json!({ "webhook": webhook }));
    api.call(request, SideEffect::None, MAX_PAGE_BYTES).await?;
    Ok(WebhookChange::Set { address, before })
}

/// Why Twilio shows no record of a sender.
enum Missing {
    /// The sender is a Messaging Service.
    Service(String),
    /// The number is that of the sandbox.
    Sandbox,
    /// The account has no such sender.
    Unknown(String),
}

impl Missing {
    fn into_record(self, public_url: Option<&str>) -> SenderRecord {
        let (found, remedy) = self.explain(public_url);
        match self {
            Missing::Service(_) | Missing::Sandbox => SenderRecord::NotShown { found, remedy },
            Missing::Unknown(_) => SenderRecord::Unknown { found, remedy },
        }
    }

    /// Returns what was found, and what to do about it.
    fn explain(&self, public_url: Option<&str>) -> (String, String) {
        let address = public_url.map_or_else(|| "the webhook address".to_owned(), recommended_address);
        match self {
            Missing::Service(sid) => (
                format!("the sender is the Messaging Service {sid}, whose address Twilio's Senders API does not show"),
                format!(
                    "in the Twilio Console, open Messaging, Services, the service, Integration, choose \"Send a \
                     webhook\", and enter {address} as the Request URL (HTTP POST)"
                ),
            ),
            Missing::Sandbox => (
                "the sender is Twilio's sandbox, which every account shares, so Twilio shows no record of it"
                    .to_owned(),
                format!(
                    "in the Twilio Console, open Messaging, Try it out, Send a WhatsApp message, Sandbox settings, and \
                     enter {address} under \"When a message comes in\" (POST)"
                ),
            ),
            Missing::Unknown(number) => (
                format!("the account has no WhatsApp sender {number}"),
                "compare TWILIO_WHATSAPP_FROM with the Twilio Console under Messaging, Senders, WhatsApp senders; the \
                 sender must belong to the account in TWILIO_ACCOUNT_SID"
                    .to_owned(),
            ),
        }
    }
}

/// Finds the sender. The inner error is why Twilio shows no record of it.
async fn find(api: &Api, sender: &Sender) -> Result<Result<SenderRow, Missing>, Fault> {
    let number = match sender {
        Sender::Number(number) => number,
        Sender::MessagingService(sid) => return Ok(Err(Missing::Service(sid.clone()))),
    };
    let mut request = api.client.get(&api.senders_url).query(&[("Channel", "whatsapp"), ("PageSize", PAGE_SENDERS)]);
    for _ in 0..MAX_PAGES {
        let body = api.call(request, SideEffect::None, MAX_PAGE_BYTES).await?;
        let page: Page = serde_json::from_slice(&body).map_err(|_| unreadable())?;
        let found = page.senders.into_iter().find(|row| row.sender_id.as_deref().map(str::trim) == Some(number));
        if let Some(row) = found {
            return Ok(Ok(row));
        }
        // Only the page's place is taken from the link: the credentials go nowhere else.
        let next = page.meta.next_page_url.and_then(|next| Url::parse(&next).ok());
        let Some(next) = next.filter(|next| next.query().is_some()) else { break };
        request = api.client.get(format!("{}?{}", api.senders_url, next.query().unwrap_or_default()));
    }
    Ok(Err(if number == SANDBOX { Missing::Sandbox } else { Missing::Unknown(number.clone()) }))
}

impl SenderRow {
    /// Returns the address that is set, if any.
    fn address(&self) -> Option<String> {
        let address = self.webhook.as_ref()?.get("callback_url")?.as_str()?.trim();
        (!address.is_empty()).then(|| address.to_owned())
    }

    /// Returns the HTTP method that is set, if any.
    fn method(&self) -> Option<&str> {
        self.webhook.as_ref()?.get("callback_method")?.as_str()
    }

    /// Returns Twilio's word for the state, with the reasons that Twilio gives.
    fn state(&self) -> String {
        let mut state = self.status.clone().unwrap_or_else(|| "without a status".to_owned());
        for reason in self.offline_reasons.iter().flatten() {
            let code = reason.code.as_ref().map(|code| code.as_str().map_or_else(|| code.to_string(), str::to_owned));
            let parts = [code, reason.message.clone()];
            state.push_str("; ");
            state.push_str(&parts.into_iter().flatten().collect::<Vec<_>>().join(" "));
        }
        state
    }
}

/// Compares the address that Twilio calls with ours.
fn compare(set: Option<&str>, method: Option<&str>, public_url: Option<&str>) -> WebhookMatch {
    let Some(set) = set else { return WebhookMatch::NotSet };
    let Some(ours) = public_url.and_then(|url| Url::parse(&webhook_url(url)).ok()) else {
        return WebhookMatch::NothingToCompare;
    };
    // A `Url` writes hosts in lower case and leaves out a default port.
    let same = Url::parse(set).is_ok_and(|mut set| {
        set.set_fragment(None);
        set == ours
    });
    if !same {
        return WebhookMatch::Elsewhere;
    }
    if let Some(method) = method.filter(|method| !method.eq_ignore_ascii_case("POST")) {
        return WebhookMatch::Incomplete(format!(
            "Twilio calls it with {method}, and mynah takes messages by POST only"
        ));
    }
    match lacking_overrides(set.split_once('#').map_or("", |(_, overrides)| overrides)) {
        None => WebhookMatch::Ours,
        Some(lacking) => WebhookMatch::Incomplete(lacking),
    }
}

/// Returns what connection overrides lack for a second try after each kind of failure; `None` if nothing.
fn lacking_overrides(overrides: &str) -> Option<String> {
    let value = |name: &str| overrides.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    let retried: Vec<_> = value("rp").unwrap_or("ct").split(',').map(str::trim).collect();
    let lacks = |policy: &&str| !retried.contains(policy) && !retried.contains(&"all");
    let lacking: Vec<_> = ["ct", "rt", "5xx"].into_iter().filter(lacks).collect();
    if value("rc").is_some_and(|count| count.trim() == "0") {
        return Some("its connection overrides let Twilio try only once (rc=0)".to_owned());
    }
    let names = |policy: &&str| match *policy {
        "ct" => "if it cannot connect",
        "rt" => "if no answer comes in time",
        _ => "if mynah or its proxy answers with an error",
    };
    let cases = lacking.iter().map(names).collect::<Vec<_>>().join(" or ");
    (!lacking.is_empty()).then(|| format!("its connection overrides let Twilio lose a message {cases}"))
}

fn is_sender_sid(sid: &str) -> bool {
    sid.strip_prefix("XE").is_some_and(|rest| rest.len() == 32 && rest.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn unreadable() -> Fault {
    Fault::fail(FaultOwner::Operator, "mynah cannot read Twilio's list of senders: check TWILIO_API_BASE_URL")
}

#[cfg(test)]
#[path = "senders_tests.rs"]
mod tests;
