//! Tells somebody of the alerts: queues messages, sends those that are due, and looks after what raises alerts by itself.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::alerting::{AlertMessage, Alerter, Severity, Way};
use crate::app::{App, LiveApp};
use crate::clock::Time;
use crate::store::{Alert, AlertDelivery, StoreError};

/// How often the queue of messages is looked at.
const INTERVAL: Duration = Duration::from_secs(5);

/// How often failed turns are counted.
const FAILED_TURNS_INTERVAL: Duration = Duration::from_secs(60);

/// How long the database must be in trouble before somebody is told, and how long the next message waits.
const DATABASE_PATIENCE: Duration = Duration::from_secs(60);
const DATABASE_QUIET_TIME: Duration = Duration::from_secs(3600);

/// Tells of alerts until it is stopped.
pub async fn run(live: LiveApp, stop: CancellationToken) {
    let (mut database, mut failed_turns) = (DatabaseWatch::default(), FailedTurnWatch::default());
    if let Err(error) = live.current().store.load_open_alerts().await {
        warn!(%error, "cannot read which alerts are open");
    }
    loop {
        tokio::select! { () = tokio::time::sleep(INTERVAL) => {}, () = stop.cancelled() => return }
        let app = live.current();
        database.look(&app).await;
        if let Err(error) = failed_turns.look(&app).await {
            warn!(%error, "cannot count the turns that failed");
        }
        tokio::select! {
            told = tell(&app) => if let Err(error) = told {
                warn!(%error, "cannot send alerts");
            },
            () = stop.cancelled() => return,
        }
    }
}

/// Queues messages about what is untold, and sends what is due. Returns how many messages were sent or failed.
pub async fn tell(app: &App) -> Result<usize, StoreError> {
    let ways = app.alerter.ways().into_iter().map(Way::as_str).collect();
    let (installation, details) = (installation(app), app.alerter.shows_details());
    let compose = move |alert: &Alert| {
        let message = compose(alert, &installation, details);
        serde_json::to_string(&message).expect("texts and numbers are JSON")
    };
    app.store.queue_alert_messages(ways, app.clock.now(), compose).await?;
    let due = app.store.claim_alert_deliveries(app.clock.now()).await?;
    // All at once: a way that is slow delays no other.
    let settled = join_all(due.iter().map(|delivery| deliver(app, delivery))).await;
    settled.into_iter().collect::<Result<(), _>>().map(|()| due.len())
}

async fn deliver(app: &App, delivery: &AlertDelivery) -> Result<(), StoreError> {
    let way = Way::parse(&delivery.way);
    let message: Result<AlertMessage, _> = serde_json::from_str(&delivery.message);
    let failure = match (way, message) {
        (Some(way), Ok(message)) => {
            let sent = app.alerter.send(way, &message, &message_id(delivery), app.clock.now().millis() / 1000).await;
            sent.err().map(|error| error.to_string())
        }
        _ => Some("a newer version of mynah queued this message".to_owned()),
    };
    match &failure {
        None => info!(way = delivery.way, "an alert was sent"),
        Some(why) => warn!(way = delivery.way, attempts = delivery.attempts + 1, why, "an alert was not sent"),
    }
    if !app.store.settle_alert_delivery(delivery, failure, app.clock.now()).await? {
        info!(way = delivery.way, "another process sends this alert, too");
    }
    Ok(())
}

/// Records that something is well again, if there was an alert about it.
pub(super) async fn record_recovery(app: &App, cause: &'static str, subject: &str) {
    match app.store.resolve_alert(cause, subject, app.clock.now()).await {
        Ok(true) => info!(cause, subject, "what an alert was about is well again"),
        Ok(false) => {}
        Err(error) => warn!(%error, "cannot record that an alert is over"),
    }
}

/// Records an alert. If that fails, the log holds it anyway.
pub(super) async fn record(app: &App, cause: &'static str, subject: &str, message: String) {
    if let Err(error) = app.store.record_alert(cause, subject.to_owned(), message, app.clock.now()).await {
        warn!(%error, "cannot store an alert");
    }
}

/// The id of a message, the same for each try, so that a receiver can tell a repetition.
fn message_id(delivery: &AlertDelivery) -> String {
    format!("msg_{}_{}", delivery.created_at.millis(), delivery.id)
}

/// Returns the name of this installation: the host of its public URL, else its data folder.
pub fn installation(app: &App) -> String {
    let host = app.config.server.public_url.as_ref().and_then(|url| url.host_str());
    host.map_or_else(|| app.config.data.dir.display().to_string(), str::to_owned)
}

/// Sends a test message in every configured way, directly. Returns each way with its result.
pub async fn send_test(app: &App) -> Vec<(Way, Result<(), String>)> {
    let now = app.clock.now();
    let message = AlertMessage {
        cause: "test".to_owned(),
        subject: String::new(),
        severity: Severity::Warning,
        title: "this is a test".to_owned(),
        text: "This is a test of the alerts. Nothing is wrong.".to_owned(),
        remedy: "nothing; alerts arrive here".to_owned(),
        count: 1,
        first_at: now.to_string(),
        last_at: now.to_string(),
        installation: installation(app),
    };
    let id = format!("msg_test_{}", now.millis());
    let seconds = now.millis() / 1000;
    let alerter: &Alerter = &app.alerter;
    let message = &message;
    let id = &id;
    let sent = alerter
        .ways()
        .into_iter()
        .map(async |way| (way, alerter.send(way, message, id, seconds).await.map_err(|error| error.to_string())));
    join_all(sent).await
}

/// Writes the message about an alert. Without `details`, it holds nothing that was noted about a conversation.
fn compose(alert: &Alert, installation: &str, details: bool) -> AlertMessage {
    let Explanation { title, severity, remedy, is_about_contact } = explain(&alert.cause);
    let text = if is_about_contact && !details {
        format!("{} (in conversation {}).", capitalized(title), alert.subject)
    } else {
        format!("{}: {}", capitalized(title), alert.message)
    };
    AlertMessage {
        cause: alert.cause.clone(),
        subject: alert.subject.clone(),
        severity: if alert.resolved_at.is_some() { Severity::Resolved } else { severity },
        title: title.to_owned(),
        text: mask_digits(&text),
        remedy: remedy.to_owned(),
        count: alert.count,
        first_at: alert.first_at.to_string(),
        last_at: alert.last_at.to_string(),
        installation: installation.to_owned(),
    }
}

fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// Replaces each run of seven digits or more: a provider's error may quote a phone number.
fn mask_digits(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut digits = String::new();
    for char in text.chars().chain(['\n']) {
        if char.is_ascii_digit() {
            digits.push(char);
            continue;
        }
        masked.push_str(if digits.len() >= 7 { "…" } else { &digits });
        digits.clear();
        masked.push(char);
    }
    masked.pop();
    masked
}

/// What a cause means, and what to do about it.
struct Explanation {
    title: &'static str,
    severity: Severity,
    remedy: &'static str,
    /// Whether the alert is about a conversation, so that its text may quote the contact.
    is_about_contact: bool,
}

fn explain(cause: &str) -> Explanation {
    let (title, severity, remedy, is_about_contact) = match cause {
        "model" => {
            ("a model fails", Severity::Critical, "`mynah ai test` asks it; check its key, quota and server", false)
        }
        "budget" => {
            ("a budget is spent", Severity::Warning, "wait for the next day or month, or raise the budget", false)
        }
        "delivery" => ("messages are not delivered", Severity::Critical, "`mynah jobs list` shows them", false),
        "sending" => ("messages cannot be sent", Severity::Critical, "`mynah check` tests the Twilio account", false),
        "media" => {
            ("attachments cannot be fetched", Severity::Warning, "`mynah check` tests the Twilio account", false)
        }
        "turn" => (
            "messages were not answered",
            Severity::Critical,
            "`mynah jobs list` says why; `mynah jobs retry --all`",
            false,
        ),
        "catch_up" => {
            ("missed messages cannot be looked up", Severity::Warning, "`mynah check` tests the Twilio account", false)
        }
        "backup" => ("the backup failed", Severity::Critical, "`mynah schedule` shows the last backup", false),
        "disk" => {
            ("the disk is nearly full", Severity::Critical, "free some space on the disk of the data folder", false)
        }
        "database" => ("messages cannot be stored", Severity::Critical, "check the disk of the data folder", false),
        "configuration" => (
            "a changed configuration is not used",
            Severity::Warning,
            "`mynah check --offline` names the errors",
            false,
        ),
        "hand_over" => ("a person is wanted", Severity::Warning, "`mynah conversations list` shows who waits", true),
        "loop" => (
            "a conversation is paused, because the other end may be a bot",
            Severity::Warning,
            "`mynah conversations show` shows it",
            true,
        ),
        "leak" => (
            "confidential text was removed from an answer",
            Severity::Warning,
            "`mynah conversations show` shows it",
            true,
        ),
        _ => ("something needs a look", Severity::Warning, "`mynah alert list` shows it", true),
    };
    Explanation { title, severity, remedy, is_about_contact }
}

/// Raises an alert when more turns end without an answer.
#[derive(Default)]
struct FailedTurnWatch {
    known: Option<i64>,
    looked_at: Option<Time>,
}

impl FailedTurnWatch {
    async fn look(&mut self, app: &App) -> Result<(), StoreError> {
        let now = app.clock.now();
        if self.looked_at.is_some_and(|looked| now.since(looked) < FAILED_TURNS_INTERVAL) {
            return Ok(());
        }
        self.looked_at = Some(now);
        let found = app.store.queue_statistics().await?;
        let failed = found.dead + found.expired;
        let known = self.known.replace(failed);
        if let Some(more) = known.map(|known| failed - known).filter(|more| *more > 0) {
            let message = match more {
                1 => "one turn ended without an answer".to_owned(),
                more => format!("{more} turns ended without an answer"),
            };
            app.store.record_alert("turn", String::new(), message, now).await?;
        }
        Ok(())
    }
}

/// Tells of a database that cannot be written, from memory: it cannot be queued there.
#[derive(Default)]
struct DatabaseWatch {
    failing_since: Option<Time>,
    told_at: Option<Time>,
}

impl DatabaseWatch {
    async fn look(&mut self, app: &Arc<App>) {
        let now = app.clock.now();
        let Some(why) = app.store.write_error() else {
            self.failing_since = None;
            if self.told_at.take().is_some() {
                self.send(app, Severity::Resolved, "the database can be written again", now).await;
            }
            return;
        };
        let since = *self.failing_since.get_or_insert(now);
        let is_quiet = self.told_at.is_some_and(|told| now.since(told) < DATABASE_QUIET_TIME);
        if now.since(since) >= DATABASE_PATIENCE && !is_quiet {
            self.told_at = Some(now);
            self.send(app, Severity::Critical, &why, now).await;
        }
    }

    async fn send(&self, app: &App, severity: Severity, why: &str, now: Time) {
        let Explanation { title, remedy, .. } = explain("database");
        let message = AlertMessage {
            cause: "database".to_owned(),
            subject: String::new(),
            severity,
            title: title.to_owned(),
            text: format!("{}: {why}", capitalized(title)),
            remedy: remedy.to_owned(),
            count: 1,
            first_at: self.failing_since.unwrap_or(now).to_string(),
            last_at: now.to_string(),
            installation: installation(app),
        };
        let id = format!("msg_database_{}", now.millis());
        let sends = app.alerter.ways().into_iter().map(async |way| {
            if let Err(error) = app.alerter.send(way, &message, &id, now.millis() / 1000).await {
                error!(way = way.as_str(), %error, "cannot tell that the database cannot be written");
            }
        });
        join_all(sends).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(cause: &str, message: &str) -> Alert {
        let (cause, message) = (cause.to_owned(), message.to_owned());
        let at = Time(1_793_527_200_000);
        Alert { cause, subject: "0199".into(), message, first_at: at, last_at: at, count: 3, resolved_at: None }
    }

    #[test]
    fn a_message_quotes_nothing_of_a_contact_unless_the_owner_allows_it() {
        let wanted = alert("hand_over", "a person is wanted: Ana at +12025550101 is angry about the cake");
        let message = compose(&wanted, "bot.example.org", false);
        let whole = format!("{}{}", message.headline(), message.body());
        for word in ["Ana", "12025550101", "cake"] {
            assert!(!whole.contains(word), "{whole}");
        }
        assert!(whole.contains("A person is wanted") && whole.contains("0199") && whole.contains("3 times"), "{whole}");
        assert!(compose(&wanted, "bot.example.org", true).body().contains("cake"));
        let quoted = alert("model", "openai: 400: cannot send to 12025550101, code 20404");
        let message = compose(&quoted, "bot.example.org", false);
        assert!(message.text.contains("to …, code 20404"), "{}", message.text);
    }

    #[test]
    fn every_cause_that_is_recorded_is_explained() {
        for cause in [
            "model",
            "budget",
            "delivery",
            "sending",
            "media",
            "turn",
            "catch_up",
            "backup",
            "disk",
            "database",
            "configuration",
            "hand_over",
            "loop",
            "leak",
        ] {
            assert_ne!(explain(cause).title, explain("unknown").title, "{cause}");
        }
    }
}
