//! The turns that a model is being asked about in this process, so that the asking can be given up.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::model::TurnId;

/// Tokens by turn. It only spares calls whose answer nobody wants any more: that such an answer is dropped is the store's
/// doing.
#[derive(Debug, Default)]
pub struct RunningTurns(Mutex<HashMap<TurnId, CancellationToken>>);

/// A turn that is being answered, until it is dropped.
#[derive(Debug)]
pub struct RunningTurn<'a> {
    running: &'a RunningTurns,
    turn: TurnId,
    /// Cancelled when the answer is not wanted any more.
    pub cancellation: CancellationToken,
}

impl RunningTurns {
    /// Notes that a turn is being answered.
    pub fn begin(&self, turn: TurnId) -> RunningTurn<'_> {
        let unwanted = CancellationToken::new();
        self.lock().insert(turn, unwanted.clone());
        RunningTurn { running: self, turn, cancellation: unwanted }
    }

    /// Gives up the asking about a turn, if it is under way here.
    pub fn interrupt(&self, turn: TurnId) {
        if let Some(unwanted) = self.lock().get(&turn) {
            unwanted.cancel();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TurnId, CancellationToken>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for RunningTurn<'_> {
    fn drop(&mut self) {
        self.running.lock().remove(&self.turn);
    }
}
