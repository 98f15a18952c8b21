//! Work that went wrong in a way that nobody foresaw: a defect that panicked, or a write that the database refused. It
//! goes back to the queue at once; only a restart would find it otherwise, and its conversation would wait until then.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use tracing::error;

use super::{backoff, reconcile, retry_while_unavailable};
use crate::app::App;
use crate::store::{FIRST_LOOKUP_DELAY, LookupClaim, PartClaim, StoreError, TurnClaim};

/// Answers a turn by `work`. One that fails is answered again later; after the last try the contact is told.
pub(super) async fn run_turn(
    app: &App,
    claim: &TurnClaim,
    work: impl Future<Output = Result<(), StoreError>>,
) -> Result<(), StoreError> {
    let Err(why) = failure_text(work).await else { return Ok(()) };
    error!(turn = claim.turn.0, attempt = claim.attempt, why, "an answer failed for a reason of our own");
    let now = app.clock.now();
    if claim.attempt < backoff::MAX_TURN_ATTEMPTS {
        let due = now + backoff::wait(claim.attempt, backoff::TURN_FIRST_WAIT, backoff::TURN_LONGEST_WAIT, None);
        retry_while_unavailable(|| app.store.retry_turn(claim, due, why.clone())).await?;
    } else {
        // Not by the usual way to an apology, which may be what fails.
        let sorry = &app.number_of(claim).config.texts.sorry;
        retry_while_unavailable(|| app.store.give_up_turn(claim, why.clone(), sorry.clone(), now)).await?;
    }
    app.wake.notify_one();
    Ok(())
}

/// Posts a part by `work`. Of one that fails nobody knows whether it was sent.
pub(super) async fn run_part(
    app: &App,
    claim: &PartClaim,
    work: impl Future<Output = Result<(), StoreError>>,
) -> Result<(), StoreError> {
    let Err(why) = failure_text(work).await else { return Ok(()) };
    let part = claim.outgoing.reference;
    error!(%part, attempt = claim.attempt, why, "a post failed for a reason of our own; looking for it");
    let due = app.clock.now() + FIRST_LOOKUP_DELAY;
    retry_while_unavailable(|| app.store.mark_part_unknown(part, claim.token, due, why.clone())).await?;
    app.wake.notify_one();
    Ok(())
}

/// Looks for a part by `work`. A look that fails is no evidence.
pub(super) async fn run_reconcile(
    app: &App,
    claim: &LookupClaim,
    work: impl Future<Output = Result<(), StoreError>>,
) -> Result<(), StoreError> {
    let Err(why) = failure_text(work).await else { return Ok(()) };
    error!(part = %claim.part, why, "a look failed for a reason of our own");
    let now = app.clock.now();
    let due = reconcile::next_lookup_at(claim, None, now);
    retry_while_unavailable(|| app.store.record_failed_lookup(claim.part, due, why.clone(), now)).await?;
    app.wake.notify_one();
    Ok(())
}

/// What became of it. What a panic said may hold a contact's words: it goes to the standard error, and is not recorded.
async fn failure_text(work: impl Future<Output = Result<(), StoreError>>) -> Result<(), String> {
    match AssertUnwindSafe(work).catch_unwind().await {
        Ok(done) => done.map_err(|error| error.to_string()),
        Err(_) => Err("a defect of mynah's: it panicked".to_owned()),
    }
}
