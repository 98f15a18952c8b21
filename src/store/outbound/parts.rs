//! The results of posting a part.

use crate::clock::Time;
use crate::model::{PartRef, ProviderId};
use crate::store::database::{Store, StoreError, Tx, args};
use crate::store::queue::reconcile_claims::FIRST_LOOKUP_DELAY;
use crate::store::queue::settle;
use crate::store::queue::settle::Ending;

pub(in crate::store) const PROVIDER_ID_IN_USE: &str =
    "SELECT 1 FROM parts WHERE provider_id = ?1 AND provider_id IS NOT NULL";

const IS_CLAIM_CURRENT: &str = "SELECT 1 FROM parts WHERE id = ?1 * 16 + ?2 AND token = ?3 AND state = 'sending'";

const RESCHEDULE: &str = "
    UPDATE parts SET state = ?3, due_at = ?4, error = ?5, token = NULL, absences = 0, looks_failed = 0
    WHERE id = ?1 * 16 + ?2";

/// A reply that already has this many parts is not split further. It began with a few, so a provider that finds even a
/// tenth of it too long will not accept it in any number of parts.
const MAX_PARTS_TO_SPLIT: i64 = 10;

const COUNT: &str = "SELECT COUNT(*) FROM parts WHERE id > ?1 * 16 AND id < ?1 * 16 + 16";

const LATER: &str = "SELECT number FROM parts WHERE id > ?1 * 16 + ?2 AND id < ?1 * 16 + 16 ORDER BY id DESC";

const MOVE_UP: &str = "UPDATE parts SET id = id + 1 WHERE id = ?1 * 16 + ?2";

const SHORTEN: &str = "UPDATE parts SET body = ?3, first_tried_at = NULL WHERE id = ?1 * 16 + ?2";

const ADD: &str = "
    INSERT INTO parts (id, conversation_id, body, state)
    SELECT ?1 * 16 + ?3, conversation_id, ?4, 'ready' FROM parts WHERE id = ?1 * 16 + ?2";

/// The result of marking a part as sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartSentOutcome {
    /// The claim was stale: the part was settled elsewhere in the meantime.
    StaleClaim,
    /// The next part or turn that waited for it is scheduled now.
    NextIsScheduled,
    /// Nothing waited for it.
    NothingFollows,
    /// Another part has that provider id, so it does not belong to this part. mynah looks this part up.
    ProviderIdInUse,
}

/// The result of splitting a part that was too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartSplitOutcome {
    /// The claim was stale: the part was settled elsewhere in the meantime.
    StaleClaim,
    /// Its halves are posted instead of it.
    Split,
    /// The reply has many parts already. The part failed, and its turn with it.
    Failed,
}

impl Store {
    /// Records that the provider accepted the part, under this id. Not flushed at once: if a power cut undoes this,
    /// mynah looks the part up and finds it.
    pub async fn mark_part_sent(
        &self,
        part: PartRef,
        token: i64,
        id: ProviderId,
        now: Time,
    ) -> Result<PartSentOutcome, StoreError> {
        let options = self.options;
        self.write_unflushed(move |tx| {
            if !is_claim_current(tx, part, token)? {
                return Ok(PartSentOutcome::StaleClaim);
            }
            if tx.fetch_optional(PROVIDER_ID_IN_USE, args![id.0.as_str()], |_| Ok(()))?.is_some() {
                let why = format!("the provider gave it the id {id}, which another part already has");
                reschedule(tx, part, "unknown", now + FIRST_LOOKUP_DELAY, &why)?;
                return Ok(PartSentOutcome::ProviderIdInUse);
            }
            let more = settle::mark_sent(tx, part, &id, now, options)?;
            Ok(if more { PartSentOutcome::NextIsScheduled } else { PartSentOutcome::NothingFollows })
        })
        .await
    }

    /// Returns the part to `ready` at `due`, because it is certain that the provider created nothing. Returns `false`
    /// if the claim was stale.
    pub async fn retry_part(&self, part: PartRef, token: i64, due: Time, why: String) -> Result<bool, StoreError> {
        self.write_if_claimed(part, token, move |tx| reschedule(tx, part, "ready", due, &why)).await
    }

    /// Marks the part as unknown, because nobody knows whether the provider created it. mynah looks it up from `due`
    /// on. Returns `false` if the claim was stale.
    pub async fn mark_part_unknown(
        &self,
        part: PartRef,
        token: i64,
        due: Time,
        why: String,
    ) -> Result<bool, StoreError> {
        self.write_if_claimed(part, token, move |tx| reschedule(tx, part, "unknown", due, &why)).await
    }

    /// Fails a part that cannot be sent and that the provider did not create. Returns `false` if the claim was stale.
    pub async fn fail_part(&self, part: PartRef, token: i64, why: String, now: Time) -> Result<bool, StoreError> {
        let options = self.options;
        self.write_if_claimed(part, token, move |tx| settle::end_unsent(tx, part, Ending::Failed, &why, now, options))
            .await
    }

    /// Splits a part that the provider refused as too long (`why`) and did not create. Its two halves take its place,
    /// and the parts after it move up by one. If the reply has many parts already, the part is not split, and fails.
    pub async fn split_part(
        &self,
        part: PartRef,
        token: i64,
        halves: (String, String),
        why: String,
        now: Time,
    ) -> Result<PartSplitOutcome, StoreError> {
        let options = self.options;
        self.write(move |tx| {
            if !is_claim_current(tx, part, token)? {
                return Ok(PartSplitOutcome::StaleClaim);
            }
            if tx.fetch_optional(COUNT, args![part.turn], |row| row.int(0))? >= Some(MAX_PARTS_TO_SPLIT) {
                let why = format!("{why}; not split further, because the reply already has {MAX_PARTS_TO_SPLIT} parts");
                settle::end_unsent(tx, part, Ending::Failed, &why, now, options)?;
                return Ok(PartSplitOutcome::Failed);
            }
            // The last part moves first, because each part needs the place of the one after it.
            for number in tx.fetch_all(LATER, args![part.turn, part.number], |row| row.int(0))? {
                tx.execute(MOVE_UP, args![part.turn, number])?;
            }
            tx.execute(SHORTEN, args![part.turn, part.number, halves.0.as_str()])?;
            tx.execute(ADD, args![part.turn, part.number, part.number + 1, halves.1.as_str()])?;
            reschedule(tx, part, "ready", now, "the provider refused it as too long; split in two")?;
            Ok(PartSplitOutcome::Split)
        })
        .await
    }

    /// Does `work` only if the claim is still valid. Returns whether it is.
    async fn write_if_claimed(
        &self,
        part: PartRef,
        token: i64,
        work: impl Fn(&mut dyn Tx) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<bool, StoreError> {
        self.write(move |tx| {
            let held = is_claim_current(tx, part, token)?;
            if held {
                work(tx)?;
            }
            Ok(held)
        })
        .await
    }
}

fn is_claim_current(tx: &mut dyn Tx, part: PartRef, token: i64) -> Result<bool, StoreError> {
    Ok(tx.fetch_optional(IS_CLAIM_CURRENT, args![part.turn, part.number, token], |_| Ok(()))?.is_some())
}

pub(in crate::store) fn reschedule(
    tx: &mut dyn Tx,
    part: PartRef,
    state: &'static str,
    due: Time,
    why: &str,
) -> Result<(), StoreError> {
    tx.execute(RESCHEDULE, args![part.turn, part.number, state, due, why])?;
    Ok(())
}
