//! The queue worker: claims due work, answers turns, delivers parts, reconciles unknown parts, and catches up.
//!
//! Each kind of work has one file. None holds a transaction while it waits for a provider: it reads, calls, then writes
//! once, fenced by the token of its claim. To add a kind of work, add a file, a claim in `store/queue`, a way to
//! requeue it in `requeue`, and an arm in [`perform`].

pub mod alerts;
mod answer;
mod answered_elsewhere;
mod ask_models;
mod attachments;
mod backoff;
pub mod backups;
mod catch_up;
mod deliver;
pub mod erasures;
mod fixed_replies;
mod loop_guard;
mod output_filter;
mod prompt_messages;
mod reconcile;
mod requeue;
pub mod schedule;
mod turn_span;
mod typing_indicator;
pub mod unread_attachments;
mod unused_files;
mod worker;

use tracing::Instrument;

use crate::app::App;
use crate::store::{Claims, LookupClaim, PartClaim, StoreError, TurnClaim};

pub use self::worker::{Worker, run_until_idle};

/// One piece of claimed work.
enum WorkItem {
    Answer(TurnClaim),
    Deliver(PartClaim),
    Reconcile(LookupClaim),
}

/// Returns the work of a claim in order: parts of existing replies first, then lookups, then turns that need an answer.
fn work_items(claims: Claims) -> impl Iterator<Item = WorkItem> {
    let parts = claims.parts.into_iter().map(WorkItem::Deliver);
    let unknown = claims.lookups.into_iter().map(WorkItem::Reconcile);
    parts.chain(unknown).chain(claims.turns.into_iter().map(WorkItem::Answer))
}

/// Does one piece of work, or returns it to the queue. `has_model_slot`: whether it may call a model.
///
/// Errors come from the store, when it can neither record nor requeue the work. The next start then recovers the claim.
async fn perform(
    app: &App,
    work: WorkItem,
    has_model_slot: bool,
    stop: &tokio_util::sync::CancellationToken,
) -> Result<(), StoreError> {
    let span = work.place().span(app);
    let done = async {
        match work {
            WorkItem::Answer(claim) => {
                requeue::run_turn(app, &claim, answer::answer(app, &claim, has_model_slot, stop)).await
            }
            WorkItem::Deliver(claim) => requeue::run_part(app, &claim, deliver::deliver(app, &claim)).await,
            WorkItem::Reconcile(claim) => {
                requeue::run_reconcile(app, &claim, reconcile::look_up_part(app, &claim)).await
            }
        }
    };
    done.instrument(span).await
}

/// Retries a database operation until the database is available. An outcome must not get lost: nothing else records it.
/// If a write that timed out succeeded after all, repeating it does no harm, because it is fenced.
async fn retry_while_unavailable<T, F>(mut operation: impl FnMut() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    loop {
        match operation().await {
            Err(error @ (StoreError::Unavailable(_) | StoreError::Timeout(_))) => {
                tracing::warn!(%error, "the database is not available; retrying in a second");
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            }
            done => return done,
        }
    }
}
