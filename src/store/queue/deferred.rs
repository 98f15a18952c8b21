//! Defers messages of an operator's turn to the next turn: what the contact said while the turn waited, and operator
//! messages that do not fit in it.

use super::built_in_request::BuiltInRequest;
use super::limits::{MAX_PARTS_PER_TEXT, MAX_PARTS_PER_TURN};
use crate::clock::Time;
use crate::model::{Command, ConversationId, MessageId, TurnId};
use crate::store::database::{StoreError, Tx, args};

/// The contact's messages in an operator's turn, in order: the built-in request of each, or NULL.
const CONTACT_REQUESTS: &str = "
    SELECT word FROM messages WHERE conversation_id = ?1 AND turn_id = ?2 AND role = 'user'
    ORDER BY id";

/// Our own messages in the turn.
const OWN_MESSAGES: &str = "
    SELECT id, metadata, OCTET_LENGTH(content) FROM messages
    WHERE conversation_id = ?1 AND turn_id = ?2 AND role <> 'user' ORDER BY id";

const OPEN: &str = "SELECT id FROM turns WHERE conversation_id = ?1 AND live = 1";

const NEXT_TURN: &str = "
    INSERT INTO turns (conversation_id, state, live, created_at, command) VALUES (?1, 'open', 1, ?2, ?3)";

const ADD_REQUEST: &str = "UPDATE turns SET command = COALESCE(command, ?2) WHERE id = ?1";

const MOVE: &str = "UPDATE messages SET turn_id = ?3 WHERE conversation_id = ?1 AND turn_id = ?2 AND role = 'user'";

/// The next turn takes over the expiry, which is set if a template is among the messages.
const MAKE_OPERATOR_TURN: &str = "
    UPDATE turns SET command = 'operator', not_before = NULL,
        expires_at = COALESCE(expires_at, (SELECT t.expires_at FROM turns t WHERE t.id = ?2))
    WHERE id = ?1";

const MOVE_OWN_MESSAGES: &str = "
    UPDATE messages SET turn_id = ?3 WHERE conversation_id = ?1 AND turn_id = ?2 AND role <> 'user' AND id >= ?4";

const BUMP_REVISION: &str = "UPDATE conversations SET revision = revision + 1 WHERE id = ?1";

/// A text of at most this many bytes surely fits in one part. Channels count UTF-16 units, and a text has no more of
/// those than bytes.
const SINGLE_PART_BYTES: i64 = 1_000;

/// Moves messages out of an operator's turn. While it was open, the turn collected what the contact said and what
/// operators wrote. What the contact said moves to a turn of its own, which is answered after this one. Operator
/// messages beyond the parts that a turn can have move to the next turn, which sends them. Returns whether any message
/// moved.
pub(in crate::store) fn defer_messages(
    tx: &mut dyn Tx,
    turn: TurnId,
    conversation: &ConversationId,
    now: Time,
) -> Result<bool, StoreError> {
    let contact_requests = tx.fetch_all(CONTACT_REQUESTS, args![conversation, turn], |row| {
        Ok(row.text_or_null(0)?.and_then(BuiltInRequest::parse))
    })?;
    if !contact_requests.is_empty() {
        // A contact who asked for a person already has one: the operator who writes.
        let person = BuiltInRequest::Command(Command::Human);
        let words = contact_requests.iter().flatten().filter(|word| **word != person).copied();
        let word = words.reduce(|before, word| word.merged_with_earlier(Some(before))).map(BuiltInRequest::as_str);
        let next = following_turn(tx, conversation, word, now)?;
        tx.execute(MOVE, args![conversation, turn, next])?;
    }
    let surplus = first_surplus_message(tx, turn, conversation)?;
    if let Some(first) = &surplus {
        let next = following_turn(tx, conversation, None, now)?;
        tx.execute(MAKE_OPERATOR_TURN, args![next, turn])?;
        tx.execute(MOVE_OWN_MESSAGES, args![conversation, turn, next, first])?;
    }
    let moved = !contact_requests.is_empty() || surplus.is_some();
    if moved {
        tx.execute(BUMP_REVISION, args![conversation])?;
    }
    Ok(moved)
}

/// Returns the turn after this one, and sets its request to `word` if it has none. Uses the open turn if there is one,
/// as when an operator's turn is requeued long after it ended.
fn following_turn(
    tx: &mut dyn Tx,
    conversation: &ConversationId,
    word: Option<&str>,
    now: Time,
) -> Result<i64, StoreError> {
    match tx.fetch_optional(OPEN, args![conversation], |row| row.int(0))? {
        Some(open) => tx.execute(ADD_REQUEST, args![open, word]).map(|_| open),
        None => tx.insert(NEXT_TURN, args![conversation, now, word]),
    }
}

/// Returns the first of our messages that does not fit in the turn.
fn first_surplus_message(
    tx: &mut dyn Tx,
    turn: TurnId,
    conversation: &ConversationId,
) -> Result<Option<MessageId>, StoreError> {
    let ours = tx.fetch_all(OWN_MESSAGES, args![conversation, turn], |row| {
        // A file or a template is one part, however long its text in the history is.
        let one = row.text(1)? != "{}" || row.int(2)? <= SINGLE_PART_BYTES;
        Ok((MessageId(row.uuid(0)?), if one { 1 } else { MAX_PARTS_PER_TEXT }))
    })?;
    let mut parts = 0;
    Ok(ours
        .into_iter()
        .find(|(_, most)| {
            parts += most;
            parts > MAX_PARTS_PER_TURN
        })
        .map(|(id, _)| id))
}
