//! Reconciles parts that the provider may or may not have created: mynah looks them up until there is evidence.

use super::parts;
use super::parts::PROVIDER_ID_IN_USE;
use crate::clock::Time;
use crate::model::{PartRef, ProviderId};
use crate::store::database::{Store, StoreError, args};
use crate::store::queue::limits::SEND_WITHIN;
use crate::store::queue::reconcile_claims::LOOKUP_DELAYS;
use crate::store::queue::settle;
use crate::store::queue::settle::Ending;

const ABSENCES_IF_UNKNOWN: &str = "SELECT absences FROM parts WHERE id = ?1 * 16 + ?2 AND state = 'unknown'";

const RECORD_ABSENCE: &str = "
    UPDATE parts SET absences = absences + 1, looks_failed = 0, due_at = ?3
    WHERE id = ?1 * 16 + ?2 AND state = 'unknown'";

const LOOKUP_SINCE: &str = "
    SELECT CASE WHEN p.template IS NULL THEN MIN(p.first_tried_at, c.last_inbound_at) ELSE p.first_tried_at END
    FROM parts p JOIN conversations c ON c.id = p.conversation_id
    WHERE p.id = ?1 * 16 + ?2 AND p.state = 'unknown'";

const RECORD_FAILED_LOOKUP: &str = "
    UPDATE parts SET looks_failed = looks_failed + 1, due_at = ?3, error = ?4
    WHERE id = ?1 * 16 + ?2 AND state = 'unknown'";

/// The lost process of a restored backup cannot have sent these: it sent a reply's parts in order.
const LATER_PARTS_ARE_NEW: &str = "
    UPDATE parts SET first_tried_at = NULL
    WHERE id > ?1 * 16 + ?2 AND id < ?1 * 16 + 16 AND state = 'ready' AND attempts = 0";

/// The result of a lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookupOutcome {
    /// The message was found; the part is sent.
    Found,
    /// The message was not found; another lookup follows.
    NotFoundYet,
    /// No lookup found the message; the part may be posted again.
    RetryPost,
    /// No lookup found the message, and the operator chose not to post again; or lookups failed for too long.
    Held,
    /// The lookup failed; another one follows.
    LookupFailed,
    /// The part was settled in the meantime, such as by a status callback.
    AlreadySettled,
}

impl Store {
    /// Settles a lookup. `candidates` are messages at the provider that could be the part, oldest first. The first one
    /// that belongs to no other part of ours is taken as this part. With `hold_if_absent`, a part that no lookup finds
    /// is held and not posted again.
    pub async fn settle_lookup(
        &self,
        part: PartRef,
        candidates: Vec<ProviderId>,
        hold_if_absent: bool,
        now: Time,
    ) -> Result<LookupOutcome, StoreError> {
        let options = self.options;
        self.write(move |tx| {
            let Some(absences) =
                tx.fetch_optional(ABSENCES_IF_UNKNOWN, args![part.turn, part.number], |row| row.int(0))?
            else {
                return Ok(LookupOutcome::AlreadySettled);
            };
            for id in &candidates {
                if tx.fetch_optional(PROVIDER_ID_IN_USE, args![id.0.as_str()], |_| Ok(()))?.is_none() {
                    settle::mark_sent(tx, part, id, now, options)?;
                    return Ok(LookupOutcome::Found);
                }
            }
            let next = usize::try_from(absences).ok().and_then(|absences| LOOKUP_DELAYS.get(absences + 1));
            match next {
                Some(wait) => {
                    tx.execute(RECORD_ABSENCE, args![part.turn, part.number, now + *wait])?;
                    Ok(LookupOutcome::NotFoundYet)
                }
                None if hold_if_absent => {
                    let why = "unknown whether it was sent: not found at the provider; held (MYNAH_UNKNOWN_SENDS=hold)";
                    settle::end_unsent(tx, part, Ending::Held, why, now, options)?;
                    Ok(LookupOutcome::Held)
                }
                None => {
                    parts::reschedule(tx, part, "ready", now, "not found at the provider in five lookups")?;
                    tx.execute(LATER_PARTS_ARE_NEW, args![part.turn, part.number])?;
                    Ok(LookupOutcome::RetryPost)
                }
            }
        })
        .await
    }

    /// Records a lookup that failed. It is not evidence, so another lookup follows at `due`. That does not go on
    /// forever, because the conversation waits for it: 23 hours after the contact's last message or after the first
    /// post, whichever was earlier, the part is held and its turn ends `expired`. (The contact's messages move the
    /// first of the two times, and must not keep their own answer waiting. A template has only the second, because it
    /// is sent long after the contact wrote.)
    pub async fn record_failed_lookup(
        &self,
        part: PartRef,
        due: Time,
        why: String,
        now: Time,
    ) -> Result<LookupOutcome, StoreError> {
        let options = self.options;
        self.write(move |tx| {
            let since = tx.fetch_optional(LOOKUP_SINCE, args![part.turn, part.number], |row| row.int(0).map(Time))?;
            let Some(since) = since else { return Ok(LookupOutcome::AlreadySettled) };
            if now >= since + SEND_WITHIN {
                let why = format!("unknown whether it was sent: no lookup could tell in 23 hours; last error: {why}");
                settle::end_unsent(tx, part, Ending::HeldTooLate, &why, now, options)?;
                return Ok(LookupOutcome::Held);
            }
            tx.execute(RECORD_FAILED_LOOKUP, args![part.turn, part.number, due, why.as_str()])?;
            Ok(LookupOutcome::LookupFailed)
        })
        .await
    }
}
