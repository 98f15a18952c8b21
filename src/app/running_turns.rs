//! The turns about which this process is asking a model, so that the calls can be canceled.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::model::TurnId;

/// Cancellation tokens by turn. They only save calls whose answer is no longer wanted; the store drops such an answer
/// in any case.
#[derive(Debug, Default)]
pub struct RunningTurns(Mutex<HashMap<TurnId, CancellationToken>>);

/// A turn that is being answered, until this value is dropped.
#[derive(Debug)]
pub struct RunningTurn<'a> {
    running: &'a RunningTurns,
    turn: TurnId,
    /// Canceled when the answer is no longer wanted.
    pub cancellation: CancellationToken,
}

impl RunningTurns {
    /// Records that a turn is being answered.
    pub fn begin(&self, turn: TurnId) -> RunningTurn<'_> {
        let unwanted = CancellationToken::new();
        self.lock().insert(turn, unwanted.clone());
        RunningTurn { running: self, turn, cancellation: unwanted }
    }

    /// Cancels the call about a turn, if this process is making one.
    pub fn interrupt(&self, turn: TurnId) {
        if let Some(unwanted) = self.lock().get(&turn) {
            unwanted.cancel();
        }
    }

    /// Returns the turns that are being answered.
    pub fn turns(&self) -> Vec<TurnId> {
        self.lock().keys().copied().collect()
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
