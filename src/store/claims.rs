//! Everything that is due, claimed in one transaction.

use super::{PartClaim, Store, StoreError, TurnClaim, UnknownClaim, parts, turns, unknown};
use crate::clock::Time;

/// Claimed work.
#[derive(Debug, Default)]
pub struct Claims {
    /// Turns to be answered.
    pub turns: Vec<TurnClaim>,
    /// Parts to be posted.
    pub parts: Vec<PartClaim>,
    /// Parts to be looked for.
    pub unknown: Vec<UnknownClaim>,
    /// When the next of what was not claimed falls due.
    pub next_due: Option<Time>,
}

impl Claims {
    /// Pieces of work.
    pub fn len(&self) -> usize {
        self.turns.len() + self.parts.len() + self.unknown.len()
    }

    /// Whether nothing was due.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Store {
    /// Claims up to `most` pieces of work, among them up to `most_turns` turns: parts first, since what is said goes out
    /// before more is written. Turns past their deadline end `expired`.
    pub async fn claim(&self, now: Time, most_turns: usize, most: usize) -> Result<Claims, StoreError> {
        let options = self.options;
        self.write_for_good(move |tx| {
            let parts = parts::claim_due(tx, now, most, options)?;
            let unknown = unknown::claim_due(tx, now, most - parts.len())?;
            let left = (most - parts.len() - unknown.len()).min(most_turns);
            let turns = if left == 0 { Vec::new() } else { turns::claim_due(tx, now, left, options)? };
            let next_turn = if most_turns == 0 { None } else { turns::next_due(tx)? };
            let next_due = [next_turn, parts::next_due(tx)?].into_iter().flatten().min();
            Ok(Claims { turns, parts, unknown, next_due })
        })
        .await
    }
}
