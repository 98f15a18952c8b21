//! Cancels what is pending for a contact who opted out or is blocked.

use crate::clock::Time;
use crate::store::database::{StoreError, Tx, args};

const SKIP_TURNS: &str = "
    UPDATE turns SET state = 'skipped', live = NULL, error = ?2, finished_at = ?3, due_at = NULL, token = NULL
    WHERE id IN (SELECT t.id FROM conversations c JOIN turns t ON t.conversation_id = c.id
        WHERE c.contact_id = ?1 AND t.live IS NOT NULL AND t.state <> 'sending')";

const SENDING_TURNS: &str = "
    SELECT t.id FROM conversations c JOIN turns t ON t.conversation_id = c.id
    WHERE c.contact_id = ?1 AND t.live = 0 AND t.state = 'sending'";

const FAIL_READY_PARTS: &str = "
    UPDATE parts SET state = 'failed', error = ?2, due_at = NULL
    WHERE id > ?1 * 16 AND id < ?1 * 16 + 16 AND state = 'ready'";

/// Parts in flight are still settled. The turn then ends `dead`, because not all of it was sent.
const SET_TURN_ERROR: &str = "UPDATE turns SET error = COALESCE(error, ?2) WHERE id = ?1";

const SKIP_SETTLED_SENDING_TURN: &str = "
    UPDATE turns SET state = 'skipped', live = NULL, error = COALESCE(error, ?2), finished_at = ?3
    WHERE id = ?1 AND state = 'sending'
    AND NOT EXISTS (SELECT 1 FROM parts WHERE id > ?1 * 16 AND id < ?1 * 16 + 16 AND state IN ('sending', 'unknown'))";

/// Cancels everything that still waits to be sent to a contact. A part that was already posted cannot be recalled. Its
/// turn ends when that part is settled.
pub(in crate::store) fn cancel_pending(tx: &mut dyn Tx, contact: i64, why: &str, now: Time) -> Result<(), StoreError> {
    tx.execute(SKIP_TURNS, args![contact, why, now])?;
    for turn in tx.fetch_all(SENDING_TURNS, args![contact], |row| row.int(0))? {
        if tx.execute(FAIL_READY_PARTS, args![turn, why])? > 0 {
            tx.execute(SET_TURN_ERROR, args![turn, why])?;
        }
        tx.execute(SKIP_SETTLED_SENDING_TURN, args![turn, why, now])?;
    }
    Ok(())
}
