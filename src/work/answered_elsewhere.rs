//! Finds out whether a turn of a restored backup was answered since: the process that was lost went on after the backup.

use std::time::Duration;

use tracing::{info, warn};

use super::retry_while_unavailable;
use crate::app::App;
use crate::channel::{Channel, SentLookup};
use crate::fault::Fault;
use crate::store::{AnswerCheck, StoreError, TurnClaim};

/// How long a turn waits if the provider does not tell what was sent. Until it does, nobody knows whether the turn was
/// answered, so nothing is sent.
const RETRY_DELAY: Duration = Duration::from_secs(60);

/// Returns the claim to go on with, or `None` if the turn was answered or nobody can tell yet.
pub(super) async fn claim_if_not_answered(
    app: &App,
    claim: &TurnClaim,
    channel: &dyn Channel,
) -> Result<Option<TurnClaim>, StoreError> {
    let lookup = SentLookup {
        from: claim.from.clone(),
        to: claim.to.clone(),
        text: None,
        with_file: true,
        not_before: retry_while_unavailable(|| app.store.asked_since(claim)).await?,
    };
    let listed = match channel.find_sent(&lookup).await {
        Ok(found) => found,
        Err(fault) => {
            let why = fault.why();
            warn!(why, "it is not known whether this turn of the restored backup was answered; looking again later");
            let wait = match fault {
                Fault::Retry { retry_after: Some(after), .. } => after.max(RETRY_DELAY),
                _ => RETRY_DELAY,
            };
            retry_while_unavailable(|| app.store.release_turn(claim, app.clock.now() + wait)).await?;
            app.wake.notify_one();
            return Ok(None);
        }
    };
    let now = app.clock.now();
    let outcome =
        retry_while_unavailable(|| app.store.settle_answer_check(claim, listed.clone(), channel.name(), now)).await?;
    match outcome {
        AnswerCheck::Answered => {
            info!("this turn of the restored backup was answered before it was restored; nothing is sent");
            app.wake.notify_one();
            Ok(None)
        }
        AnswerCheck::NotAnswered(revision) => {
            info!("this turn of the restored backup was not answered yet");
            Ok(Some(TurnClaim { revision, may_be_answered: false, ..claim.clone() }))
        }
        AnswerCheck::StaleClaim => {
            retry_while_unavailable(|| app.store.release_turn(claim, app.clock.now())).await.map(|_| None)
        }
    }
}
