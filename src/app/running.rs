//! The turns that a model is being asked about in this process, so that the asking can be given up.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::model::TurnId;

/// Tokens by turn. It only spares calls whose answer nobody wants any more: that such an answer is dropped is the store's
/// doing.
#[derive(Debug, Default)]
pub struct Running(Mutex<HashMap<TurnId, CancellationToken>>);

/// A turn that is being answered, until it is dropped.
#[derive(Debug)]
pub struct Answering<'a> {
    running: &'a Running,
    turn: TurnId,
    /// Cancelled when the answer is not wanted any more.
    pub unwanted: CancellationToken,
}

impl Running {
    /// Notes that a turn is being answered.
    pub fn begin(&self, turn: TurnId) -> Answering<'_> {
        let unwanted = CancellationToken::new();
        self.turns().insert(turn, unwanted.clone());
        Answering { running: self, turn, unwanted }
    }

    /// Gives up the asking about a turn, if it is under way here.
    pub fn interrupt(&self, turn: TurnId) {
        if let Some(unwanted) = self.turns().get(&turn) {
            unwanted.cancel();
        }
    }

    fn turns(&self) -> MutexGuard<'_, HashMap<TurnId, CancellationToken>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Answering<'_> {
    fn drop(&mut self) {
        self.running.turns().remove(&self.turn);
    }
}
