//! Requeues work that failed unexpectedly: the worker panicked, or the database refused a write. The work returns to
//! the queue at once. Otherwise only a restart would find it, and its conversation would wait until then.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use tracing::error;

use super::{backoff, reconcile, retry_while_unavailable};
use crate::app::App;
use crate::store::{FIRST_LOOKUP_DELAY, LookupClaim, PartClaim, StoreError, TurnClaim};

/// Runs `work`, which answers a turn. If it fails, the turn is retried later. After the last attempt the contact is
/// told.
pub(super) async fn run_turn(
    app: &App,
    claim: &TurnClaim,
    work: impl Future<Output = Result<(), StoreError>>,
) -> Result<(), StoreError> {
    let Err(why) = failure_text(work).await else { return Ok(()) };
    error!(attempt = claim.attempt, why, "answering failed unexpectedly");
    let now = app.clock.now();
    if claim.attempt < backoff::MAX_TURN_ATTEMPTS {
        let due = now + backoff::wait(claim.attempt, backoff::TURN_FIRST_WAIT, backoff::TURN_LONGEST_WAIT, None);
        retry_while_unavailable(|| app.store.retry_turn(claim, due, why.clone())).await?;
    } else {
        // This does not use the usual code for an apology, because that code may be what fails.
        let sorry = &app.number_of(claim).config.texts.sorry;
        retry_while_unavailable(|| app.store.give_up_turn(claim, why.clone(), sorry.clone(), now)).await?;
    }
    app.wake.notify_one();
    Ok(())
}

/// Runs `work`, which posts a part. If it fails, the part becomes `unknown`, because it may have been sent.
pub(super) async fn run_part(
    app: &App,
    claim: &PartClaim,
    work: impl Future<Output = Result<(), StoreError>>,
) -> Result<(), StoreError> {
    let Err(why) = failure_text(work).await else { return Ok(()) };
    let part = claim.outgoing.reference;
    error!(%part, attempt = claim.attempt, why, "posting a part failed unexpectedly; looking it up");
    let due = app.clock.now() + FIRST_LOOKUP_DELAY;
    retry_while_unavailable(|| app.store.mark_part_unknown(part, claim.token, due, why.clone())).await?;
    app.wake.notify_one();
    Ok(())
}

/// Runs `work`, which looks a part up. A lookup that fails is not evidence, so another one follows.
pub(super) async fn run_reconcile(
    app: &App,
    claim: &LookupClaim,
    work: impl Future<Output = Result<(), StoreError>>,
) -> Result<(), StoreError> {
    let Err(why) = failure_text(work).await else { return Ok(()) };
    error!(part = %claim.part, why, "a lookup failed unexpectedly");
    let now = app.clock.now();
    let due = reconcile::next_lookup_at(claim, None, now);
    retry_while_unavailable(|| app.store.record_failed_lookup(claim.part, due, why.clone(), now)).await?;
    app.wake.notify_one();
    Ok(())
}

/// Runs `work` and returns why it failed, if it did. A panic message may contain a contact's words, so it goes only to
/// stderr and is not stored.
async fn failure_text(work: impl Future<Output = Result<(), StoreError>>) -> Result<(), String> {
    match AssertUnwindSafe(work).catch_unwind().await {
        Ok(done) => done.map_err(|error| error.to_string()),
        Err(_) => Err("a bug in mynah: the worker panicked".to_owned()),
    }
}
