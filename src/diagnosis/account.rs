//! The account at Twilio: it accepts the credentials, knows the sender, and calls our address.

use super::finding::Finding;
use crate::app::{App, Number};
use crate::channel::{Channel, RegisteredSender, SenderRecord, WebhookMatch};

pub(super) const NAME: &str = "Twilio";
const SENDER: &str = "sender";
const WEBHOOK: &str = "webhook";

/// Checks the account and the sender of a number.
pub(super) async fn check(app: &App, number: &Number, offline: bool) -> Vec<Finding> {
    let findings = match &number.channel {
        None if app.channels().next().is_some() => {
            vec![Finding::skipped(NAME, "no account and no sender are set")]
        }
        None => vec![Finding::failed(
            NAME,
            "not configured",
            "set TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN and a sender: TWILIO_WHATSAPP_FROM or \
             TWILIO_MESSAGING_SERVICE_SID",
        )],
        Some(_) if offline => vec![Finding::skipped(NAME, "configured, not called (--offline)")],
        Some(channel) => check_channel(channel.as_ref(), std::ptr::eq(number, app.main_number())).await,
    };
    let name = app.name_if_several(number);
    findings.into_iter().map(|finding| finding.of_number(name)).collect()
}

/// `is_main` says that this is the channel of the main number, whose address `mynah init` can set.
async fn check_channel(channel: &dyn Channel, is_main: bool) -> Vec<Finding> {
    let accepted = match channel.check().await {
        Ok(accepted) => accepted,
        Err(fault) => {
            let remedy = "check TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN and this machine's connection to the internet";
            return vec![
                Finding::of_fault(NAME, fault.why(), remedy),
                Finding::skipped(SENDER, "not looked up, because Twilio does not accept the call above"),
            ];
        }
    };
    let mut findings = vec![Finding::ok(NAME, accepted.found)];
    match channel.webhook_address().await {
        Ok(SenderRecord::Registered(sender)) => {
            findings.push(judge_sender(&sender));
            findings.push(judge_webhook(&sender, channel.recommended_webhook_address(), is_main));
        }
        Ok(SenderRecord::Unknown { found, remedy }) => findings.push(Finding::failed(SENDER, found, remedy)),
        Ok(SenderRecord::NotShown { found, remedy }) => {
            findings.push(Finding::skipped(SENDER, found));
            let found = "mynah cannot see which address Twilio calls for this sender";
            findings.push(Finding::skipped(WEBHOOK, found).with_remedy(remedy));
        }
        Err(fault) => {
            let found = format!("the sender and its webhook address cannot be read: {}", fault.why());
            let remedy = "look in the Twilio Console under Messaging, Senders; an API key with few rights cannot read \
                          senders";
            findings.push(Finding::warning(SENDER, found, remedy));
        }
    }
    findings
}

fn judge_sender(sender: &RegisteredSender) -> Finding {
    let found = format!("Twilio says that the sender is {}", sender.state);
    if sender.online {
        Finding::ok(SENDER, found)
    } else {
        let remedy = "see the sender in the Twilio Console under Messaging, Senders, WhatsApp senders; until it is ONLINE, \
                      nobody can write to it";
        Finding::failed(SENDER, found, remedy)
    }
}

fn judge_webhook(sender: &RegisteredSender, recommended: Option<String>, is_main: bool) -> Finding {
    let current = sender.webhook.as_deref().unwrap_or("no address");
    let Some(address) = recommended else {
        return Finding::skipped(
            WEBHOOK,
            format!("Twilio calls {current}; without MYNAH_PUBLIC_URL, nothing compares"),
        );
    };
    let by_hand = format!(
        "in the Twilio Console, open Messaging, Senders, WhatsApp senders, the sender, and set the webhook URL for \
         incoming messages to {address} (HTTP POST)"
    );
    let force = if sender.webhook_match == WebhookMatch::Elsewhere { " --force" } else { "" };
    let remedy = if is_main { format!("run `mynah init --set-webhook{force}`, or {by_hand}") } else { by_hand };
    match &sender.webhook_match {
        WebhookMatch::Ours => Finding::ok(WEBHOOK, format!("Twilio calls {current}")),
        WebhookMatch::Incomplete(lacking) => {
            Finding::warning(WEBHOOK, format!("Twilio calls our address, but {lacking}"), remedy)
        }
        WebhookMatch::Elsewhere => {
            Finding::failed(WEBHOOK, format!("Twilio calls {current}, which is not our address"), remedy)
        }
        WebhookMatch::NotSet => Finding::failed(WEBHOOK, "Twilio calls no address for this sender", remedy),
        WebhookMatch::NothingToCompare => Finding::skipped(WEBHOOK, format!("Twilio calls {current}")),
    }
}
