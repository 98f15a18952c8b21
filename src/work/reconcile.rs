//! Looking for a part of which nobody knows whether it was sent.

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

/// A provider that does not let us look will hardly let us send either, so the conversation loses little by this.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// Claim in hand: asks the provider and settles what it says.
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
            format!("the account {posted_by} that posted it is not configured any more, so it cannot be looked for"),
        )),
    };
    match found {
        Ok(candidates) => {
            let hold = app.config.work.unknown_sends == UnknownSends::Hold;
            match app.store.settle_lookup(part, candidates, hold, app.clock.now()).await? {
                LookupOutcome::Found => info!(%part, "it had been sent"),
                LookupOutcome::NotFoundYet | LookupOutcome::LookupFailed => {
                    info!(%part, "not there yet; looking again");
                }
                LookupOutcome::RetryPost => warn!(%part, "not there in five looks; sending it again"),
                LookupOutcome::Held => warn!(%part, "not there in five looks; held for the operator"),
                LookupOutcome::AlreadySettled => info!(%part, "settled in the meantime"),
            }
        }
        Err(fault) => reschedule_failed_lookup(app, claim, &fault).await?,
    }
    app.wake.notify_one();
    Ok(())
}

/// The look could not be made: another follows, less and less often.
async fn reschedule_failed_lookup(app: &App, claim: &LookupClaim, fault: &Fault) -> Result<(), StoreError> {
    let (part, why, now) = (claim.part, fault.why(), app.clock.now());
    let after = if let Fault::Retry { retry_after: after, .. } = fault { *after } else { None };
    let due = next_lookup_at(claim, after, now);
    match app.store.record_failed_lookup(part, due, why.to_owned(), now).await? {
        LookupOutcome::Held => {
            error!(%part, why, "it could not be found out in time whether it was sent; held, and not sent again");
        }
        // Told once as what it is; the looks that follow would only repeat it.
        _ if needs_operator(fault) && (claim.failed_lookups == 0 || claim.last_error.as_deref() != Some(why)) => {
            let number = app.name_if_several(app.number(&claim.account, &claim.from));
            error!(%part, number, why, "the provider could not be asked; the operator must act");
        }
        _ => warn!(%part, why, "the provider could not be asked"),
    }
    Ok(())
}

/// When to look again after a look that could not be made.
pub(super) fn next_lookup_at(claim: &LookupClaim, after: Option<Duration>, now: Time) -> Time {
    now + backoff::wait(claim.failed_lookups + 1, FIRST_WAIT, LONGEST_WAIT, after)
}

fn needs_operator(fault: &Fault) -> bool {
    matches!(
        fault,
        Fault::Fail { owner: FaultOwner::Operator, .. } | Fault::Retry { outlook: RetryOutlook::NeedsOperator, .. }
    )
}
