//! How much of one contact may wait to be answered. A conversation has one open and one active turn, whatever is said in it,
//! so it is by beginning new ones that a contact could have work pile up, and be answered ahead of everybody else.

use crate::store::database::StoreError;
use crate::store::database::Tx;
use crate::store::database::args;

const COUNT_WAITING_TURNS: &str = "
    SELECT COUNT(*) FROM conversations c JOIN turns t ON t.conversation_id = c.id
    WHERE c.contact_id = ?1 AND t.live IS NOT NULL";

/// Turns of one contact that may wait when a new conversation begins: two questions that were given up for a third, while
/// the model is slow. With those of the conversation that begins there are eight at the most, on one of our numbers.
const MAX_WAITING_TURNS: i64 = 6;

/// Whether too much of this contact waits already to begin a new conversation.
pub(in crate::store) fn is_backlog_full(tx: &mut dyn Tx, contact: i64) -> Result<bool, StoreError> {
    Ok(tx.fetch_optional(COUNT_WAITING_TURNS, args![contact], |row| row.int(0))?.unwrap_or_default()
        >= MAX_WAITING_TURNS)
}
