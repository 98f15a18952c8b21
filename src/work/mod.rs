//! The work: claims what is due, answers, delivers, looks for what is unknown.
//!
//! One file per verb. No verb holds a transaction while it waits on the world: it reads, asks, then writes once, fenced
//! by its claim. To add a verb: a file, a claim in `store/claims.rs`, a way to give it back, an arm in [`perform`].

mod answer;
mod ask;
mod attachments;
mod backoff;
mod catch_up;
mod deliver;
mod fixed_replies;
mod loop_guard;
mod output_filter;
mod reconcile;
mod requeue;
pub mod schedule;
mod typing;
pub mod unread_attachments;
mod unused_files;
mod worker;

use crate::app::App;
use crate::store::{Claims, LookupClaim, PartClaim, StoreError, TurnClaim};

pub use self::worker::{Worker, run_until_idle};

/// One piece of claimed work.
enum WorkItem {
    Answer(TurnClaim),
    Deliver(PartClaim),
    Reconcile(LookupClaim),
}

/// The pieces of a claim, oldest promises first: what is already said goes out before new answers are written.
fn work_items(claims: Claims) -> impl Iterator<Item = WorkItem> {
    let parts = claims.parts.into_iter().map(WorkItem::Deliver);
    let unknown = claims.lookups.into_iter().map(WorkItem::Reconcile);
    parts.chain(unknown).chain(claims.turns.into_iter().map(WorkItem::Answer))
}

/// Does one piece, or gives it back. `may_ask`: whether there is a place for it at a model. An error is the store's, which takes nothing any more: what was claimed is recovered at
/// the next start.
async fn perform(
    app: &App,
    work: WorkItem,
    has_model_slot: bool,
    stop: &tokio_util::sync::CancellationToken,
) -> Result<(), StoreError> {
    match work {
        WorkItem::Answer(claim) => {
            requeue::run_turn(app, &claim, answer::answer(app, &claim, has_model_slot, stop)).await
        }
        WorkItem::Deliver(claim) => requeue::run_part(app, &claim, deliver::deliver(app, &claim)).await,
        WorkItem::Reconcile(claim) => requeue::run_reconcile(app, &claim, reconcile::look_up_part(app, &claim)).await,
    }
}

/// Repeats a write that records what has happened until the database takes it: it is the only record there is. A write
/// that came through late is harmless to repeat, since it is fenced.
async fn retry_while_unavailable<T, F>(mut operation: impl FnMut() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    loop {
        match operation().await {
            Err(error @ (StoreError::Unavailable(_) | StoreError::Timeout(_))) => {
                tracing::warn!(%error, "an outcome cannot be recorded yet");
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            }
            done => return done,
        }
    }
}
