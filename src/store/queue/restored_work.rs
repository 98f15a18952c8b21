//! What mynah does with the work in a backup that is restored.
//!
//! Between the backup and its loss, another process went on with that work: it answered turns and posted parts of which
//! this database knows nothing. So nothing that is unfinished here may be sent before the provider's list has shown that
//! it was not sent already (docs/decisions/0023-what-a-restored-backup-does-not-know.md).

use std::time::Duration;

use super::reconcile_claims::{FIRST_LOOKUP_DELAY, LOOKUP_DELAYS};
use crate::clock::Time;
use crate::model::{ConversationId, TurnId};
use crate::store::database::{Store, StoreError, Tx, args};

/// Turns keep their state, except that nobody works on a running one any more.
const MARK_LIVE_TURNS: &str = "
    UPDATE turns SET may_be_answered = 1, token = NULL, not_before = MAX(COALESCE(not_before, 0), ?1),
        attempts = CASE state WHEN 'running' THEN attempts - 1 ELSE attempts END,
        due_at = CASE WHEN due_at IS NOT NULL THEN MAX(due_at, ?1) WHEN state = 'running' THEN ?1 END,
        state = CASE state WHEN 'running' THEN 'retry' ELSE state END,
        error = 'a backup was restored: mynah looks whether this was answered since'
    WHERE live IS NOT NULL AND state IN ('open', 'running', 'retry')";

/// An operator may have had these answered since, and may ask for it again here.
const MARK_FAILED_TURNS: &str = "
    UPDATE turns SET may_be_answered = 1 WHERE state IN ('dead', 'expired', 'skipped') AND state IN ('dead', 'expired')";

/// The part of each reply that was on its way or next.
const MARK_NEXT_PARTS: &str = "
    UPDATE parts SET state = 'unknown', due_at = ?1, token = NULL, absences = 0, looks_failed = 0,
        first_tried_at = COALESCE(first_tried_at, ?2), error = 'a backup was restored, and it may have been sent since'
    WHERE due_at IS NOT NULL AND state = 'ready'";

const MARK_SENDING_PARTS: &str = "
    UPDATE parts SET state = 'unknown', due_at = ?1, token = NULL, absences = 0, looks_failed = 0,
        error = 'a backup was restored, and it may have been sent since'
    WHERE state IN ('sending', 'unknown')";

/// The parts behind those. Only one part of a conversation can be on its way at a time, so these stay `ready`. That
/// nobody here tried them, although somebody did, makes them `unknown` when their turn comes (`settle`).
const MARK_LATER_PARTS: &str = "
    UPDATE parts SET attempts = 0, first_tried_at = COALESCE(first_tried_at, ?2)
    WHERE id > ?1 * 16 AND id < ?1 * 16 + 16 AND state = 'ready'";

const SENDING_TURNS: &str = "SELECT id FROM turns WHERE live = 0 AND state = 'sending'";

/// Alerts that were on their way have been sent, or are about what happened long ago.
const CANCEL_ALERT_DELIVERIES: &str = "
    UPDATE alert_deliveries SET due_at = NULL, token = NULL, finished_at = ?1, error = 'a backup was restored'
    WHERE due_at IS NOT NULL";

const ALERTS_ARE_TOLD: &str = "UPDATE alerts SET untold = NULL WHERE untold = 1";

/// Some of them may have been ended since.
const END_ADMIN_SESSIONS: &str = "DELETE FROM admin_sessions WHERE expires_at > 0";

const NEWEST_TURN: &str = "SELECT id FROM turns ORDER BY id DESC LIMIT 1";

/// Belongs to no conversation, like the newest turn when its conversation was deleted.
const RESERVE_TURN_IDS: &str = "
    INSERT INTO turns (id, conversation_id, state, created_at, finished_at, error)
    VALUES (?1, ?2, 'skipped', ?3, ?3, 'a backup was restored; the numbers before this one may have been used since')";

const RECORD_RESTORE: &str = "INSERT INTO restores (made_at, restored_at) VALUES (?1, ?2)";

const LATEST_RESTORE: &str = "SELECT made_at, restored_at FROM restores ORDER BY id DESC LIMIT 1";

const MARK_TURN: &str = "
    UPDATE turns SET may_be_answered = 1, not_before = MAX(COALESCE(not_before, 0), ?2),
        due_at = CASE WHEN due_at IS NOT NULL THEN MAX(due_at, ?2) END,
        error = 'a backup was restored: mynah looks whether this was answered since'
    WHERE id = ?1";

/// The least number of ids of turns that are left out after a restore, and how many for each second since the backup.
/// Status callbacks name turns, and those of the lost process still come.
const MIN_RESERVED_IDS: i64 = 1_000_000;
const RESERVED_IDS_PER_SECOND: i64 = 1_000;

/// When a backup was made and restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct Restore {
    pub(in crate::store) made_at: Time,
    pub(in crate::store) restored_at: Time,
}

/// What was unfinished in a restored backup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RestoredWork {
    /// Turns that mynah answers unless the provider's list shows that they were answered.
    pub turns: u64,
    /// Replies that mynah goes on sending unless the provider's list shows that they were sent.
    pub replies: u64,
}

impl Store {
    /// Prepares a database that was just restored from a backup, before anything is claimed in it. `made_at`: when the
    /// backup was made. From now on, mynah looks up everything unfinished at the provider before it sends anything.
    pub async fn mark_restored(&self, made_at: Time, now: Time) -> Result<RestoredWork, StoreError> {
        self.write_without_timeout(move |tx| {
            let turns = tx.execute(MARK_LIVE_TURNS, args![now + settling_time()])?;
            tx.execute(MARK_FAILED_TURNS, &[])?;
            for turn in tx.fetch_all(SENDING_TURNS, &[], |row| row.int(0).map(TurnId))? {
                tx.execute(MARK_LATER_PARTS, args![turn, made_at])?;
            }
            let due = now + FIRST_LOOKUP_DELAY;
            let replies =
                tx.execute(MARK_SENDING_PARTS, args![due])? + tx.execute(MARK_NEXT_PARTS, args![due, made_at])?;
            tx.execute(CANCEL_ALERT_DELIVERIES, args![now])?;
            tx.execute(ALERTS_ARE_TOLD, &[])?;
            tx.execute(END_ADMIN_SESSIONS, &[])?;
            reserve_turn_ids(tx, made_at, now)?;
            tx.execute(RECORD_RESTORE, args![made_at, now])?;
            Ok(RestoredWork { turns, replies })
        })
        .await
    }
}

/// Returns how long the provider may take to list a message: as long as mynah looks for a part before it sends it again.
fn settling_time() -> Duration {
    LOOKUP_DELAYS.iter().sum()
}

fn reserve_turn_ids(tx: &mut dyn Tx, made_at: Time, now: Time) -> Result<(), StoreError> {
    let newest = tx.fetch_optional(NEWEST_TURN, &[], |row| row.int(0))?.unwrap_or_default();
    let seconds = i64::try_from(now.since(made_at).as_secs()).unwrap_or(i64::MAX);
    let reserved = seconds.saturating_mul(RESERVED_IDS_PER_SECOND).max(MIN_RESERVED_IDS);
    let no_conversation = ConversationId(uuid::Uuid::nil());
    tx.execute(RESERVE_TURN_IDS, args![newest.saturating_add(reserved), &no_conversation, now]).map(drop)
}

/// Returns the latest restore; `None` if the database never was a backup.
pub(in crate::store) fn latest_restore(tx: &mut dyn Tx) -> Result<Option<Restore>, StoreError> {
    tx.fetch_optional(LATEST_RESTORE, &[], |row| {
        Ok(Restore { made_at: Time(row.int(0)?), restored_at: Time(row.int(1)?) })
    })
}

/// Marks the turn of a message that catch-up found, if it was sent before the backup was restored: the lost process may
/// have received and answered it.
pub(in crate::store) fn mark_turn_of_missed(
    tx: &mut dyn Tx,
    turn: TurnId,
    sent_at: Time,
    now: Time,
) -> Result<(), StoreError> {
    if let Some(restore) = latest_restore(tx)?.filter(|restore| sent_at <= restore.restored_at) {
        // A clock that was ahead at the restore must not hold the turn up until then.
        tx.execute(MARK_TURN, args![turn, restore.restored_at.min(now) + settling_time()])?;
    }
    Ok(())
}
