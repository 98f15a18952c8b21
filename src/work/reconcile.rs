//! Looks up unknown parts: those of which it is not known whether they were sent.

use std::time::Duration;

use tracing::{error, info, warn};

use super::backoff;
use crate::app::App;
use crate::channel::SentLookup;
use crate::clock::Time;
use crate::config::UnknownSends;
use crate::fault::{Fault, FaultOwner, RetryOutlook};
use crate::store::{LookupClaim, LookupOutcome, StoreError};

const FIRST_WAIT: Duration = Duration::from_secs(5);

/// This costs the conversation little: a provider that refuses lookups probably refuses sends, too.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// Looks a claimed part up in the provider's list and records the result.
pub(super) async fn look_up_part(app: &App, claim: &LookupClaim) -> Result<(), StoreError> {
    let part = claim.part;
    let lookup = SentLookup {
        from: claim.from.clone(),
        to: claim.to.clone(),
        text: claim.template.is_none().then(|| claim.text.clone()),
        with_file: claim.has_file,
        not_before: claim.first_tried_at,
    };
    let LookupClaim { posted_by, channel, account, from, .. } = claim;
    let found = match app.channel_of_account(posted_by, channel, account, from) {
        Some(channel) => channel.find_sent(&lookup).await,
        None => Err(Fault::fail(
            FaultOwner::Operator,
            format!("the account {posted_by} that posted the part is no longer configured, so mynah cannot look it up"),
        )),
    };
    match found {
        Ok(found) => {
            let candidates = found.into_iter().map(|message| message.id).collect();
            let hold = app.config.work.unknown_sends == UnknownSends::Hold;
            match app.store.settle_lookup(part, candidates, hold, app.clock.now()).await? {
                LookupOutcome::Found => info!(%part, "the lookup found the part; it was sent"),
                LookupOutcome::NotFoundYet | LookupOutcome::LookupFailed => {
                    info!(%part, "the lookup did not find the part; looking again");
                }
                LookupOutcome::RetryPost => warn!(%part, "five lookups did not find the part; sending it again"),
                LookupOutcome::Held => warn!(%part, "five lookups did not find the part; held for the operator"),
                LookupOutcome::AlreadySettled => info!(%part, "the part was settled in the meantime"),
            }
        }
        Err(fault) => reschedule_failed_lookup(app, claim, &fault).await?,
    }
    app.wake.notify_one();
    Ok(())
}

/// Schedules another lookup after one that failed, with growing delays.
async fn reschedule_failed_lookup(app: &App, claim: &LookupClaim, fault: &Fault) -> Result<(), StoreError> {
    let (part, why, now) = (claim.part, fault.why(), app.clock.now());
    let after = if let Fault::Retry { retry_after: after, .. } = fault { *after } else { None };
    let due = next_lookup_at(claim, after, now);
    match app.store.record_failed_lookup(part, due, why.to_owned(), now).await? {
        LookupOutcome::Held => {
            error!(%part, why, "lookups failed for too long; the part may have been sent, so it is held, not resent");
        }
        // Logged once as an error. The following lookups would only repeat it.
        _ if needs_operator(fault) && (claim.failed_lookups == 0 || claim.last_error.as_deref() != Some(why)) => {
            error!(%part, why, "a lookup at the provider failed; the operator must act");
        }
        _ => warn!(%part, why, "a lookup at the provider failed; retrying later"),
    }
    Ok(())
}

/// Returns when to look again after a lookup that failed.
pub(super) fn next_lookup_at(claim: &LookupClaim, after: Option<Duration>, now: Time) -> Time {
    now + backoff::wait(claim.failed_lookups + 1, FIRST_WAIT, LONGEST_WAIT, after)
}

fn needs_operator(fault: &Fault) -> bool {
    matches!(
        fault,
        Fault::Fail { owner: FaultOwner::Operator, .. } | Fault::Retry { outlook: RetryOutlook::NeedsOperator, .. }
    )
}
