//! What an operator's turn leaves to the next one: what the contact said while it waited, and what has no room in it.

use super::limits::MAX_PARTS_PER_TEXT;
use super::limits::MAX_PARTS_PER_TURN;
use super::request::BuiltInRequest;
use crate::clock::Time;
use crate::model::{Command, ConversationId, MessageId, TurnId};
use crate::store::database::StoreError;
use crate::store::database::Tx;
use crate::store::database::args;

/// What the contact said while an operator's messages waited, in order: what each asks for by a word, or NULL.
const CONTACT_REQUESTS: &str = "
    SELECT word FROM messages WHERE conversation_id = ?1 AND turn_id = ?2 AND role = 'user'
    ORDER BY id";

/// What we said in it ourselves.
const OWN_MESSAGES: &str = "
    SELECT id, metadata, OCTET_LENGTH(content) FROM messages
    WHERE conversation_id = ?1 AND turn_id = ?2 AND role <> 'user' ORDER BY id";

const OPEN: &str = "SELECT id FROM turns WHERE conversation_id = ?1 AND live = 1";

const NEXT_TURN: &str = "
    INSERT INTO turns (conversation_id, state, live, created_at, command) VALUES (?1, 'open', 1, ?2, ?3)";

const ADD_REQUEST: &str = "UPDATE turns SET command = COALESCE(command, ?2) WHERE id = ?1";

const MOVE: &str = "UPDATE messages SET turn_id = ?3 WHERE conversation_id = ?1 AND turn_id = ?2 AND role = 'user'";

/// Where a template is among them, they have its time.
const MAKE_OPERATOR_TURN: &str = "
    UPDATE turns SET command = 'operator', not_before = NULL,
        expires_at = COALESCE(expires_at, (SELECT t.expires_at FROM turns t WHERE t.id = ?2))
    WHERE id = ?1";

const MOVE_OWN_MESSAGES: &str = "
    UPDATE messages SET turn_id = ?3 WHERE conversation_id = ?1 AND turn_id = ?2 AND role <> 'user' AND id >= ?4";

const BUMP_REVISION: &str = "UPDATE conversations SET revision = revision + 1 WHERE id = ?1";

/// A text of so many bytes is surely one message: channels count UTF-16 units, of which it has no more.
const SINGLE_PART_BYTES: i64 = 1_000;

/// The one turn that was open took what the contact said and what operators wrote. What the contact said is answered after
/// them, by a turn of its own; what operators wrote beyond the parts that a turn can have is sent by the next. Whether there
/// was any.
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
        // Who asked for a person has one: the operator, who writes.
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

/// The turn after this one, which asks for `word` where it asks for nothing yet. There is one already where an operator's turn
/// is answered again, long after.
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

/// The first of our messages that has no room in the turn.
fn first_surplus_message(
    tx: &mut dyn Tx,
    turn: TurnId,
    conversation: &ConversationId,
) -> Result<Option<MessageId>, StoreError> {
    let ours = tx.fetch_all(OWN_MESSAGES, args![conversation, turn], |row| {
        // A file or a template is one, whatever is said of it.
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
