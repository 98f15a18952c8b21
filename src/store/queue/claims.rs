//! Claims everything that is due: turns and lookups in one transaction, and parts in a second one, which is flushed to
//! the disk before they are posted.

use super::part_claims::PartClaim;
use super::reconcile_claims::LookupClaim;
use super::turns::TurnClaim;
use super::{part_claims, reconcile_claims, turns};
use crate::clock::Time;
use crate::model::PartRef;
use crate::store::database::{Store, StoreError};

/// Claimed work.
#[derive(Debug, Default)]
pub struct Claims {
    /// Turns to answer.
    pub turns: Vec<TurnClaim>,
    /// Parts to post.
    pub parts: Vec<PartClaim>,
    /// Parts to look up.
    pub lookups: Vec<LookupClaim>,
    /// Parts that were tried too often, with the reason. They are not claimed; their turns have ended `dead`.
    pub given_up: Vec<(PartRef, String)>,
    /// When the next piece of unclaimed work is due.
    pub next_due: Option<Time>,
}

impl Claims {
    /// Returns the number of claimed pieces of work.
    pub fn len(&self) -> usize {
        self.turns.len() + self.parts.len() + self.lookups.len()
    }

    /// Returns whether nothing was claimed.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Store {
    /// Claims up to `most` pieces of work, of which up to `max_turns` are turns. If `max_turns` is 0, it still claims
    /// turns that need no model. Turns past their deadline end `expired`.
    pub async fn claim(&self, now: Time, max_turns: usize, most: usize) -> Result<Claims, StoreError> {
        let (options, templates) = (self.options, self.reopen_templates.clone());
        let (mut claims, parts_due) = self
            .write_unflushed(move |tx| {
                let unknown = reconcile_claims::claim_due(tx, now, most)?;
                // Due parts get a quarter of the claims, because their text is already written.
                let parts_due = part_claims::has_due(tx, now)?;
                let reserved_for_parts = if parts_due { most.div_ceil(4) } else { 0 };
                let requests_only = max_turns == 0;
                let left = most.saturating_sub(unknown.len() + reserved_for_parts);
                let left = if requests_only { left } else { left.min(max_turns) };
                let turns = match left {
                    0 => Vec::new(),
                    left => turns::claim_due(tx, now, left, requests_only, options, &templates)?,
                };
                let next_turn = if requests_only { None } else { turns::next_due(tx)? };
                let next_part = part_claims::next_due(tx)?;
                let next_due = [next_turn, next_part].into_iter().flatten().min();
                Ok((Claims { turns, parts: Vec::new(), lookups: unknown, given_up: Vec::new(), next_due }, parts_due))
            })
            .await?;
        let left = most - claims.len();
        if parts_due && left > 0 {
            let posting = self.posting_accounts.clone();
            // A part must be `sending` on the disk before it is posted.
            (claims.parts, claims.given_up) = self
                .write_without_timeout(move |tx| {
                    let mut given_up = Vec::new();
                    let parts = part_claims::claim_due(tx, now, left, options, &posting, &mut given_up)?;
                    Ok((parts, given_up))
                })
                .await?;
        }
        Ok(claims)
    }
}
