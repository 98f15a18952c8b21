//! Who answers a conversation: the assistant, or a person.

use super::settle;
use crate::clock::Time;
use crate::model::{ConversationId, TurnId};
use crate::store::conversations::listing::find;
use crate::store::database::{Store, StoreError, StoreOptions, Tx, args};
use crate::store::operations::alerts;

pub(in crate::store) const SET_MODE: &str = "
    UPDATE conversations SET mode = ?2, mode_until = ?3, mode_why = ?4, revision = revision + 1
    WHERE id = ?1 AND ended_at IS NULL";

pub(in crate::store) const LIVE: &str = "
    SELECT id, state, command FROM turns
    WHERE conversation_id = ?1 AND live IS NOT NULL";

const SKIP: &str = "
    UPDATE turns SET state = 'skipped', live = NULL, error = ?2, finished_at = ?3, due_at = NULL, token = NULL
    WHERE id = ?1 AND state IN ('open', 'running', 'retry')";

impl Store {
    /// Returns the conversation to the assistant, from the next message on. Returns `false` if the conversation is not
    /// open.
    pub async fn return_to_assistant(&self, id: ConversationId) -> Result<bool, StoreError> {
        self.write(move |tx| Ok(tx.execute(SET_MODE, args![&id, "auto", None::<i64>, None::<&str>])? == 1)).await
    }
}

/// Hands a conversation to a person, in the transaction of the event that led to it. Returns `false` if the
/// conversation is not open.
pub(in crate::store) fn take_over(
    tx: &mut dyn Tx,
    id: &ConversationId,
    until: Option<Time>,
    why: &str,
    now: Time,
    options: StoreOptions,
) -> Result<bool, StoreError> {
    if tx.execute(SET_MODE, args![id, "human", until, why])? == 0 {
        return Ok(false);
    }
    for (turn, command) in live_turns(tx, id)? {
        if command.is_none() {
            tx.execute(SKIP, args![turn, "a person answers this conversation", now])?;
        }
    }
    // A command from the contact may have waited for a turn that was just skipped.
    settle::schedule_next_turn(tx, id, now, options)?;
    Ok(true)
}

/// Returns whether a person answers the conversation.
pub(in crate::store) fn is_in_human_mode(tx: &mut dyn Tx, id: &ConversationId, now: Time) -> Result<bool, StoreError> {
    let found = find(tx, id)?;
    Ok(found.is_some_and(|found| found.human_mode && found.human_until.is_none_or(|until| until > now)))
}

/// Records the alert that a person is wanted.
pub(in crate::store) fn alert_person_wanted(
    tx: &mut dyn Tx,
    id: &ConversationId,
    why: &str,
    now: Time,
) -> Result<(), StoreError> {
    alerts::record(tx, "hand_over", &id.to_string(), &format!("a person is wanted: {why}"), now)
}

/// Records the alert that a person answers from now on, unless one already does. Several operators may watch the
/// conversation.
pub(in crate::store) fn alert_person_answers(
    tx: &mut dyn Tx,
    id: &ConversationId,
    why: &str,
    now: Time,
) -> Result<(), StoreError> {
    let found = find(tx, id)?;
    let begins = found.is_some_and(|found| found.ended_at.is_none() && !found.as_of(now).human_mode);
    if begins {
        alerts::record(tx, "hand_over", &id.to_string(), &format!("a person answers: {why}"), now)?;
    }
    Ok(())
}

fn live_turns(tx: &mut dyn Tx, id: &ConversationId) -> Result<Vec<(TurnId, Option<String>)>, StoreError> {
    tx.fetch_all(LIVE, args![id], |row| Ok((TurnId(row.int(0)?), row.text_or_null(2)?.map(str::to_owned))))
}
