//! Catches up with messages whose webhook never came. Twilio does not repeat webhooks after an outage, but lists the
//! messages.
//!
//! The store remembers how far the list was read. That point advances only when everything was read and stored, so a
//! run that fails halfway misses nothing. Each run starts some time before that point and skips messages that are
//! stored.

use std::time::Duration;

use futures_util::future::join_all;
use tracing::{error, info, warn};

use crate::app::{App, Number};
use crate::channel::{Channel, InboundList};
use crate::clock::Time;
use crate::fault::Fault;
use crate::store::{MissedWebhook, ReceiveOutcome, StoreError};

/// The interval between two runs, by the app's clock.
pub(super) const CATCH_UP_INTERVAL: Duration = Duration::from_secs(60);

/// How much of the list is read again each time. The provider may list a message late, and its clock may differ from
/// ours.
const OVERLAP: Duration = Duration::from_secs(10 * 60);

/// The age below which a message is left to its webhook. That may be on its way, and contains more than the list: the
/// contact's name, buttons and locations.
const MIN_AGE: Duration = Duration::from_secs(30);

/// What a run found.
#[derive(Debug, Default)]
struct CatchUpCounts {
    to_answer: usize,
    too_old: usize,
    skipped: usize,
    not_storable: usize,
}

/// Catches up on all numbers. Returns a summary of what was found. The error says why messages may still be missing.
pub(super) async fn run(app: &App) -> Result<String, String> {
    let Some(within) = app.config.work.catch_up_max_age else {
        return Ok("turned off (MYNAH_CATCH_UP_WITHIN)".to_owned());
    };
    // In parallel, so that a list that hangs for one number does not delay the others.
    let list_fetches = app.numbers.iter().filter_map(|number| Some((number, number.channel.as_deref()?)));
    let runs = join_all(list_fetches.map(|(number, channel)| async move {
        let mut found = CatchUpCounts::default();
        let outcome = catch_up_number(app, number, channel, within, &mut found).await;
        let named = |why: String| app.name_if_several(number).map_or(why.clone(), |name| format!("{name}: {why}"));
        (found, outcome.map_err(named))
    }));
    let (mut found, mut problems) = (CatchUpCounts::default(), Vec::new());
    for (more, outcome) in runs.await {
        found.add(&more);
        problems.extend(outcome.err());
    }
    match (problems.is_empty(), found.summary()) {
        (true, summary) => Ok(summary.unwrap_or_else(|| "nothing was missed".to_owned())),
        (false, summary) => Err(problems.into_iter().chain(summary).collect::<Vec<_>>().join("; ")),
    }
}

async fn catch_up_number(
    app: &App,
    number: &Number,
    channel: &dyn Channel,
    max_age: Duration,
    counts: &mut CatchUpCounts,
) -> Result<(), String> {
    let (name, list, now) = (channel.name(), number.message_list_key(), app.clock.now());
    let read = app.store.catch_up_progress(list.as_str()).await.map_err(store_error_text)?;
    if read.is_none() {
        // Recorded even before the list is read: messages from now on are ours to answer.
        app.store.record_caught_up(list.as_str(), now).await.map_err(store_error_text)?;
    }
    // There is nothing to catch up with at the very first start, because older messages were never ours to answer.
    let since = read.map_or(now, |read| {
        // If our clock was ahead for a while, the recorded times may lie in the future.
        (read.caught_up_at.min(now) - OVERLAP).max(read.began_at.min(now))
    });
    // Messages past their retention were deleted and must not be fetched again.
    let since = app.config.conversation.retention.map_or(since, |kept| since.max(now - kept));
    let ours = app.store.our_addresses(name, number.account().to_owned()).await.map_err(store_error_text)?;
    let InboundList { mut messages, incomplete_reason: cut_short } =
        channel.list_inbound(since, &ours).await.map_err(list_error_text)?;
    messages.retain(|message| message.received_at <= now - MIN_AGE);
    let ids = messages.iter().map(|message| message.provider_id.clone()).collect();
    let known = app.store.stored_messages(name, ids).await.map_err(store_error_text)?;
    messages.retain(|message| !known.contains(&message.provider_id));
    if !messages.is_empty() {
        // Nothing is claimed until all of them are stored, so that each contact's messages make one turn.
        let _claim_guard = app.claim_lock.write().await;
        for message in messages {
            let missed = MissedWebhook { found_at: now, is_too_old: is_too_old(message.received_at, max_age, now) };
            let id = message.provider_id.clone();
            match app.receive_missed(number.account(), message, missed).await.map(|received| received.outcome) {
                Ok(ReceiveOutcome::Queued(turn)) => {
                    info!(%turn, "a missed message was accepted");
                    counts.to_answer += 1;
                }
                Ok(ReceiveOutcome::Skipped(_)) if missed.is_too_old => counts.too_old += 1,
                Ok(ReceiveOutcome::Skipped(_)) => counts.skipped += 1,
                Ok(ReceiveOutcome::Duplicate) => {}
                // A bug in mynah about this one message. The others must not suffer from it.
                Err(StoreError::Refused(why)) => {
                    error!(%id, why, "cannot store a missed message");
                    counts.not_storable += 1;
                }
                Err(error) => return Err(store_error_text(error)),
            }
        }
    }
    if let Some(why) = cut_short {
        return Err(why);
    }
    app.store.record_caught_up(list, now).await.map_err(store_error_text)
}

fn is_too_old(received_at: Time, max_age: Duration, now: Time) -> bool {
    received_at + max_age <= now
}

fn store_error_text(error: StoreError) -> String {
    error.to_string()
}

fn list_error_text(fault: Fault) -> String {
    format!("cannot read the list of messages: {}", fault.why())
}

impl CatchUpCounts {
    fn add(&mut self, more: &CatchUpCounts) {
        self.to_answer += more.to_answer;
        self.too_old += more.too_old;
        self.skipped += more.skipped;
        self.not_storable += more.not_storable;
    }

    fn summary(&self) -> Option<String> {
        let counts = [
            (self.to_answer, "to be answered"),
            (self.too_old, "too old to be answered"),
            (self.skipped, "not to be answered"),
            (self.not_storable, "that cannot be stored"),
        ];
        let some: Vec<_> =
            counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
        (!some.is_empty()).then(|| format!("missed messages found: {}", some.join(", ")))
    }
}

/// Logs the outcome of a run: a failure only once for as long as it stays the same, and the recovery from it.
pub(super) fn log_outcome(outcome: &Result<String, String>, previous: Option<&Result<String, String>>) {
    match (outcome, previous) {
        (Err(why), Some(Err(last))) if why == last => {}
        (Err(why), _) => warn!(why, "catch-up failed, so some missed messages may be unknown; retrying in a minute"),
        (Ok(result), Some(Err(_))) => info!(result, "catch-up works again"),
        (Ok(_), _) => {}
    }
}
