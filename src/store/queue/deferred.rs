//! What an operator's turn leaves to the next one: what the contact said while it waited, and what has no room in it.

use super::limits::PARTS_OF_A_TEXT;
use super::limits::PARTS_OF_A_TURN;
use super::request::Request;
use crate::clock::Time;
use crate::model::{Command, ConversationId, MessageId, TurnId};
use crate::store::database::StoreError;
use crate::store::database::Tx;
use crate::store::database::args;

/// What the contact said while an operator's messages waited, in order: what each asks for by a word, or NULL.
const SAID_MEANWHILE: &str = "
    SELECT word FROM messages WHERE conversation_id = ?1 AND turn_id = ?2 AND role = 'user'
    ORDER BY id";

/// What we said in it ourselves.
const OURS: &str = "
    SELECT id, metadata, OCTET_LENGTH(content) FROM messages
    WHERE conversation_id = ?1 AND turn_id = ?2 AND role <> 'user' ORDER BY id";

const OPEN: &str = "SELECT id FROM turns WHERE conversation_id = ?1 AND live = 1";

const NEXT_TURN: &str = "
    INSERT INTO turns (conversation_id, state, live, created_at, command) VALUES (?1, 'open', 1, ?2, ?3)";

const ASK_TOO: &str = "UPDATE turns SET command = COALESCE(command, ?2) WHERE id = ?1";

const MOVE: &str = "UPDATE messages SET turn_id = ?3 WHERE conversation_id = ?1 AND turn_id = ?2 AND role = 'user'";

/// Where a template is among them, they have its time.
const OPERATOR_TOO: &str = "
    UPDATE turns SET command = 'operator', not_before = NULL,
        expires_at = COALESCE(expires_at, (SELECT t.expires_at FROM turns t WHERE t.id = ?2))
    WHERE id = ?1";

const MOVE_OURS: &str = "
    UPDATE messages SET turn_id = ?3 WHERE conversation_id = ?1 AND turn_id = ?2 AND role <> 'user' AND id >= ?4";

const TOUCH: &str = "UPDATE conversations SET revision = revision + 1 WHERE id = ?1";

/// A text of so many bytes is surely one message: channels count UTF-16 units, of which it has no more.
const ONE: i64 = 1_000;

/// The one turn that was open took what the contact said and what operators wrote. What the contact said is answered after
/// them, by a turn of its own; what operators wrote beyond the parts that a turn can have is sent by the next. Whether there
/// was any.
pub(in crate::store) fn set_aside(
    tx: &mut dyn Tx,
    turn: TurnId,
    conversation: &ConversationId,
    now: Time,
) -> Result<bool, StoreError> {
    let said =
        tx.all(SAID_MEANWHILE, args![conversation, turn], |row| Ok(row.text_or_null(0)?.and_then(Request::parse)))?;
    if !said.is_empty() {
        // Who asked for a person has one: the operator, who writes.
        let person = Request::Command(Command::Human);
        let words = said.iter().flatten().filter(|word| **word != person).copied();
        let word = words.reduce(|before, word| word.after(Some(before))).map(Request::as_str);
        let next = next(tx, conversation, word, now)?;
        tx.execute(MOVE, args![conversation, turn, next])?;
    }
    let surplus = surplus(tx, turn, conversation)?;
    if let Some(first) = &surplus {
        let next = next(tx, conversation, None, now)?;
        tx.execute(OPERATOR_TOO, args![next, turn])?;
        tx.execute(MOVE_OURS, args![conversation, turn, next, first])?;
    }
    let moved = !said.is_empty() || surplus.is_some();
    if moved {
        tx.execute(TOUCH, args![conversation])?;
    }
    Ok(moved)
}

/// The turn after this one, which asks for `word` where it asks for nothing yet. There is one already where an operator's turn
/// is answered again, long after.
fn next(tx: &mut dyn Tx, conversation: &ConversationId, word: Option<&str>, now: Time) -> Result<i64, StoreError> {
    match tx.one(OPEN, args![conversation], |row| row.int(0))? {
        Some(open) => tx.execute(ASK_TOO, args![open, word]).map(|_| open),
        None => tx.insert(NEXT_TURN, args![conversation, now, word]),
    }
}

/// The first of our messages that has no room in the turn.
fn surplus(tx: &mut dyn Tx, turn: TurnId, conversation: &ConversationId) -> Result<Option<MessageId>, StoreError> {
    let ours = tx.all(OURS, args![conversation, turn], |row| {
        // A file or a template is one, whatever is said of it.
        let one = row.text(1)? != "{}" || row.int(2)? <= ONE;
        Ok((MessageId(row.uuid(0)?), if one { 1 } else { PARTS_OF_A_TEXT }))
    })?;
    let mut parts = 0;
    Ok(ours
        .into_iter()
        .find(|(_, most)| {
            parts += most;
            parts > PARTS_OF_A_TURN
        })
        .map(|(id, _)| id))
}
