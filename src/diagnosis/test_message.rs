//! Sends a real test message and follows it, so that a person sees whether their number works in both directions.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use super::finding::Finding;
use super::round_trip;
use crate::app::{App, Number};
use crate::channel::{Channel, Delivery, ErrorExplanation};
use crate::clock::Time;
use crate::config::Sender;
use crate::fault::Fault;
use crate::model::{Address, DeliveryStatus, ProviderId};
use crate::store::Reachability;

const RECIPIENT: &str = "recipient";
const SENDING: &str = "sending";
const DELIVERY: &str = "delivery";

/// The text, if the caller has none.
pub const DEFAULT_TEXT: &str = "This is a test message from mynah.";

/// WhatsApp accepts free text this long after a contact's last message.
const WINDOW: Duration = Duration::from_secs(24 * 3600);

/// Between two looks at the message.
const POLL_INTERVAL: Duration = Duration::from_millis(700);

/// A test message and what came of it.
#[derive(Clone, Debug, Serialize)]
pub struct TestReport {
    /// The provider's id of the message; `None` if it was not sent.
    pub message: Option<String>,
    /// The last delivery status that the provider told.
    pub status: Option<&'static str>,
    /// The provider's error code, such as 63016.
    pub error_code: Option<i64>,
    /// What was found on the way, in order.
    pub findings: Vec<Finding>,
}

/// Sends `text` to the address through this number, and looks for up to `wait` how far it comes. At the same time, this
/// checks that the public address reaches this mynah. A contact who opted out or is blocked is sent nothing.
pub async fn send(app: &Arc<App>, number: &Number, to: &Address, text: &str, wait: Duration) -> TestReport {
    let (mut report, round_trip) = tokio::join!(send_and_follow(app, number, to, text, wait), round_trip::check(app));
    let name = app.name_if_several(number);
    report.findings = report.findings.into_iter().map(|finding| finding.of_number(name)).chain(round_trip).collect();
    report
}

async fn send_and_follow(app: &App, number: &Number, to: &Address, text: &str, wait: Duration) -> TestReport {
    let mut report = TestReport { message: None, status: None, error_code: None, findings: Vec::new() };
    let Some(channel) = &number.channel else {
        let remedy = "set TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN and TWILIO_WHATSAPP_FROM";
        report.findings.push(Finding::failed(SENDING, "this number has no account and no sender", remedy));
        return report;
    };
    let (recipient, allowed) = check_recipient(app, number, to).await;
    report.findings.push(recipient);
    if !allowed {
        return report;
    }
    match channel.send_test(to.as_str(), text).await {
        Ok(id) => {
            report.findings.push(Finding::ok(SENDING, format!("the provider accepted the message as {id}")));
            let (delivery, finding) = follow(channel.as_ref(), &id, wait).await;
            report.message = Some(id.0);
            report.status = delivery.as_ref().and_then(|delivery| delivery.status).map(DeliveryStatus::as_str);
            report.error_code = delivery.and_then(|delivery| delivery.error_code);
            report.findings.push(finding);
        }
        Err(fault) => report.findings.push(judge_refusal(&fault)),
    }
    report
}

/// Returns what is known of the recipient, and whether they may be written to.
async fn check_recipient(app: &App, number: &Number, to: &Address) -> (Finding, bool) {
    let ours = match number.config.twilio.as_ref().map(|twilio| &twilio.sender) {
        Some(Sender::Number(sender)) => sender.clone(),
        Some(Sender::MessagingService(_)) | None => String::new(),
    };
    match app.store.reachability(to.clone(), number.account().to_owned(), ours).await {
        Ok(known) => judge_recipient(known, app.clock.now()),
        Err(error) => {
            let remedy = "run `mynah check`";
            (Finding::failed(RECIPIENT, format!("the database does not tell who that is: {error}"), remedy), false)
        }
    }
}

fn judge_recipient(known: Reachability, now: Time) -> (Finding, bool) {
    if known.opted_out || known.blocked {
        let (found, remedy) = if known.opted_out {
            ("this contact has opted out, so nothing is sent", "let them write START first")
        } else {
            ("this contact is blocked, so nothing is sent", "run `mynah conversations unblock` with their number first")
        };
        return (Finding::failed(RECIPIENT, found, remedy), false);
    }
    let remedy = "let this person write to the number first; outside 24 hours, WhatsApp accepts only templates";
    let finding = match known.last_inbound_at {
        Some(last) if now.since(last) < WINDOW => Finding::ok(RECIPIENT, format!("this person last wrote at {last}")),
        Some(last) => {
            let found =
                format!("this person last wrote at {last}, more than 24 hours ago: WhatsApp may not deliver it");
            Finding::warning(RECIPIENT, found, remedy)
        }
        None => {
            let found =
                "this person has not written to this number, as far as mynah knows: WhatsApp may not deliver it";
            Finding::warning(RECIPIENT, found, remedy)
        }
    };
    (finding, true)
}

/// Judges a message that was not accepted, or may not have been.
fn judge_refusal(fault: &Fault) -> Finding {
    let remedy = "run `mynah check` to see what is wrong with the account or the sender";
    match fault {
        Fault::Unknown { why } => {
            let found = format!("nobody knows whether the message was accepted: {why}");
            Finding::failed(SENDING, found, "look whether it arrives, before you send another one")
        }
        other => of_explanation(SENDING, other.why(), remedy),
    }
}

/// Looks how far the message comes, until it has arrived, has failed, or the time is over.
async fn follow(channel: &dyn Channel, id: &ProviderId, wait: Duration) -> (Option<Delivery>, Finding) {
    let until = Instant::now() + wait;
    let mut last = None;
    let mut trouble = None;
    loop {
        match channel.delivery_of(id).await {
            Ok(delivery) => last = Some(delivery),
            Err(fault) => trouble = Some(fault),
        }
        let settled = matches!(
            last.as_ref().and_then(|delivery| delivery.status),
            Some(DeliveryStatus::Delivered | DeliveryStatus::Read | DeliveryStatus::Failed)
        );
        if settled || Instant::now() + POLL_INTERVAL > until {
            break;
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    let finding = match (&last, trouble) {
        (Some(delivery), _) => judge_delivery(channel, delivery, wait),
        (None, trouble) => {
            let why = trouble.map_or_else(String::new, |fault| format!(": {}", fault.why()));
            let remedy = "look on the phone, or in the Twilio Console under Monitor, Logs, Messaging";
            Finding::warning(DELIVERY, format!("the provider does not tell how far the message has come{why}"), remedy)
        }
    };
    (last, finding)
}

fn judge_delivery(channel: &dyn Channel, delivery: &Delivery, wait: Duration) -> Finding {
    let general = "look at the message in the Twilio Console under Monitor, Logs, Messaging";
    match (delivery.status, delivery.error_code) {
        (Some(DeliveryStatus::Delivered), _) => Finding::ok(DELIVERY, "the message is on the phone"),
        (Some(DeliveryStatus::Read), _) => Finding::ok(DELIVERY, "the message is on the phone and was read"),
        (Some(DeliveryStatus::Failed), Some(code)) => {
            let ErrorExplanation { sentence, .. } = channel.explain_error(code);
            let finding = of_explanation(DELIVERY, &sentence, general);
            Finding { found: format!("{} ({code})", finding.found), ..finding }
        }
        (Some(DeliveryStatus::Failed), None) => {
            Finding::failed(DELIVERY, "the message was not delivered, and the provider gives no reason", general)
        }
        (Some(DeliveryStatus::Sent), _) => {
            let found = format!("WhatsApp has the message, but it is not on the phone after {} s", wait.as_secs());
            Finding::warning(DELIVERY, found, "see that the phone is switched on and online; it arrives later")
        }
        (status, _) => {
            let status = status.map_or("in a state that is not known", DeliveryStatus::as_str);
            Finding::warning(DELIVERY, format!("after {} s the message is {status}", wait.as_secs()), general)
        }
    }
}

/// Returns the failure that one of the provider's explanations describes: what happened, a colon, and how to fix it.
fn of_explanation(check: &'static str, sentence: &str, general: &str) -> Finding {
    match sentence.split_once(": ") {
        Some((found, remedy)) => {
            let (remedy, code) = remedy.rfind(" (Twilio ").map_or((remedy, ""), |at| remedy.split_at(at));
            Finding::failed(check, format!("{found}{code}"), remedy)
        }
        None => Finding::failed(check, sentence, general),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::Outcome;

    #[test]
    fn a_person_who_may_not_be_written_to_is_told_from_one_who_has_not_written() {
        let hour = Duration::from_secs(3600);
        let now = Time(1_793_527_200_000);
        let wrote = |ago: Duration| Reachability { last_inbound_at: Some(now - ago), ..Reachability::default() };
        for (known, outcome, allowed, word) in [
            (Reachability::default(), Outcome::Warning, true, "has not written"),
            (wrote(hour), Outcome::Ok, true, "last wrote at"),
            (wrote(24 * hour), Outcome::Warning, true, "more than 24 hours ago"),
            (Reachability { opted_out: true, ..wrote(hour) }, Outcome::Failed, false, "opted out"),
            (Reachability { blocked: true, ..wrote(hour) }, Outcome::Failed, false, "blocked"),
        ] {
            let (finding, may) = judge_recipient(known, now);
            assert!(finding.outcome == outcome && may == allowed && finding.found.contains(word), "{finding:?}");
        }
    }

    #[test]
    fn an_explanation_is_split_into_what_happened_and_what_to_do() {
        let finding = of_explanation(SENDING, "no consent: they must write again (Twilio 63014)", "general");
        assert_eq!(
            (finding.found.as_str(), finding.remedy.as_deref()),
            ("no consent (Twilio 63014)", Some("they must write again"))
        );
        let odd = of_explanation(SENDING, "see https://www.twilio.com/docs/api/errors/1", "general");
        assert_eq!(odd.remedy.as_deref(), Some("general"));
    }
}
