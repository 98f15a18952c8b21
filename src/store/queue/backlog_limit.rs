//! Limits how many turns of one contact may wait to be answered. A conversation has at most one open and one active
//! turn, whatever the contact says in it. Only by starting new conversations could a contact pile up work and be
//! answered ahead of everybody else.

use crate::store::database::{StoreError, Tx, args};

const COUNT_WAITING_TURNS: &str = "
    SELECT COUNT(*) FROM conversations c JOIN turns t ON t.conversation_id = c.id
    WHERE c.contact_id = ?1 AND t.live IS NOT NULL";

/// How many turns of one contact may wait when a new conversation starts. This lets a contact give up two questions for
/// a third while the model is slow. Together with the turns of the new conversation, at most eight wait on one of our
/// numbers.
const MAX_WAITING_TURNS: i64 = 6;

/// Returns whether too many turns of the contact wait to start a new conversation.
pub(in crate::store) fn is_backlog_full(tx: &mut dyn Tx, contact: i64) -> Result<bool, StoreError> {
    Ok(tx.fetch_optional(COUNT_WAITING_TURNS, args![contact], |row| row.int(0))?.unwrap_or_default()
        >= MAX_WAITING_TURNS)
}
