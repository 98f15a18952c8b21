//! Ends turns, and schedules what waited for them. Each turn ends once, and the conversation goes on.

use std::time::Duration;

use super::limits::SEND_WITHIN;
use crate::clock::Time;
use crate::model::{ContentSid, ConversationId, PartRef, ProviderId, TurnId};
use crate::store::database::{StoreError, StoreOptions, Tx, args};

const CONVERSATION: &str = "SELECT conversation_id FROM parts WHERE id = ?1 * 16 + ?2";

/// How long a part waits for the news that the part before it is on its way. The provider accepts messages in order and
/// delivers them in any order, so two that are posted at once may arrive swapped.
const PART_SPACING: Duration = Duration::from_secs(3);

const SENT: &str = "
    UPDATE parts SET state = 'sent', provider_id = ?3, sent_at = ?4, token = NULL, due_at = NULL, error = NULL
    WHERE id = ?1 * 16 + ?2";

/// A part that nobody here tried, although somebody did, comes from a restored backup (`restored_work`): mynah looks it up
/// before it sends it.
const NEXT_PART: &str = "
    UPDATE parts SET due_at = ?3,
        state = CASE WHEN attempts = 0 AND first_tried_at IS NOT NULL THEN 'unknown' ELSE state END
    WHERE id = ?1 * 16 + ?2 + 1 AND state = 'ready'";

/// Leaves out a part that waits for another reason, such as a rate limit of the provider.
const NEXT_PART_NOW: &str = "
    UPDATE parts SET due_at = ?3
    WHERE id = ?1 * 16 + ?2 + 1 AND state = 'ready' AND attempts = 0 AND due_at > ?3";

const FINISH: &str = "
    UPDATE turns SET state = CASE WHEN error IS NULL THEN 'done' ELSE 'dead' END, live = NULL, finished_at = ?2
    WHERE id = ?1 AND state = 'sending'";

const FAIL_PART: &str = "
    UPDATE parts SET state = ?3, error = ?4, token = NULL, due_at = NULL
    WHERE id = ?1 * 16 + ?2";

const FAIL_LATER_PARTS: &str = "
    UPDATE parts SET state = 'failed', error = ?3, due_at = NULL
    WHERE id > ?1 * 16 + ?2 AND id < ?1 * 16 + 16 AND state = 'ready'";

const HOLD_UNKNOWN: &str = "
    UPDATE parts SET state = 'held', error = ?2, due_at = NULL
    WHERE id > ?1 * 16 AND id < ?1 * 16 + 16 AND state = 'unknown'";

const END: &str = "
    UPDATE turns SET state = ?2, live = NULL, error = COALESCE(?3, error), finished_at = ?4, due_at = NULL, token = NULL
    WHERE id = ?1 AND live IS NOT NULL";

const START_SENDING_APOLOGY: &str = "
    UPDATE turns SET state = 'sending', live = 0, error = ?2, due_at = NULL, token = NULL WHERE id = ?1";

const APOLOGY: &str = "
    INSERT INTO parts (id, conversation_id, body, state, due_at) VALUES (?1 * 16 + 1, ?2, ?3, 'ready', ?4)";

const TEMPLATE: &str = "
    INSERT INTO parts (id, conversation_id, body, template, state, due_at, expires_at)
    VALUES (?1 * 16 + 1, ?2, '', ?3, 'ready', ?4, ?5)";

const SET_REOPENED_AT: &str = "
    UPDATE conversations SET reopened_at = ?2 WHERE id = ?1 AND (reopened_at IS NULL OR reopened_at < last_inbound_at)";

/// Does nothing while another turn is active: a late callback about a held part ends nothing, and a turn that is due
/// beside an active one would make every claim fail.
const WAKE_NEXT: &str = "
    UPDATE turns SET due_at = MAX(?2, created_at + ?3, COALESCE(not_before, 0))
    WHERE conversation_id = ?1 AND live = 1 AND due_at IS NULL
    AND NOT EXISTS (SELECT 1 FROM turns a WHERE a.conversation_id = ?1
        AND a.live = 0)";

/// How a part that is not known to be sent ends, and its turn with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Ending {
    /// The part was not sent and cannot be.
    Failed,
    /// The part may have been sent, and the operator chose not to send it again.
    Held,
    /// The part is not sent, because the contact opted out or is blocked.
    OptedOutOrBlocked,
    /// The part may have been sent, and mynah could not find out in time.
    HeldTooLate,
}

impl Ending {
    /// Returns the states of the part and of the turn.
    const fn states(self) -> (&'static str, &'static str) {
        match self {
            Ending::Failed => ("failed", "dead"),
            Ending::Held => ("held", "dead"),
            Ending::OptedOutOrBlocked => ("failed", "skipped"),
            Ending::HeldTooLate => ("held", "expired"),
        }
    }
}

/// Records that the provider accepted the part. The next part becomes due after a short delay, or the turn is done.
/// Returns whether this scheduled a part or a turn that waited for it.
pub(in crate::store) fn mark_sent(
    tx: &mut dyn Tx,
    part: PartRef,
    id: &ProviderId,
    now: Time,
    options: StoreOptions,
) -> Result<bool, StoreError> {
    let conversation = conversation_of_part(tx, part)?;
    tx.execute(SENT, args![part.turn, part.number, id.0.as_str(), now])?;
    if tx.execute(NEXT_PART, args![part.turn, part.number, now + PART_SPACING])? > 0 {
        return Ok(true);
    }
    tx.execute(FINISH, args![part.turn, now])?;
    schedule_next_turn(tx, &conversation, now, options)
}

/// Makes the next part due now: the provider has passed this one on, so the next cannot overtake it. Returns whether
/// there is a next part.
pub(in crate::store) fn advance_next_part(tx: &mut dyn Tx, part: PartRef, now: Time) -> Result<bool, StoreError> {
    Ok(tx.execute(NEXT_PART_NOW, args![part.turn, part.number, now])? > 0)
}

fn conversation_of_part(tx: &mut dyn Tx, part: PartRef) -> Result<ConversationId, StoreError> {
    tx.fetch_optional(CONVERSATION, args![part.turn, part.number], |row| row.uuid(0).map(ConversationId))?
        .ok_or_else(|| StoreError::Refused(format!("part {part} no longer exists")))
}

/// Gives up a turn that no other worker has claimed: `text` tells the contact, and the turn ends `dead` once that is
/// sent.
pub(in crate::store) fn give_up_with_apology(
    tx: &mut dyn Tx,
    turn: TurnId,
    conversation: &ConversationId,
    why: &str,
    text: &str,
    now: Time,
) -> Result<(), StoreError> {
    tx.execute(START_SENDING_APOLOGY, args![turn, why])?;
    tx.execute(APOLOGY, args![turn, conversation, text, now])?;
    Ok(())
}

/// Ends a part that is not sent, or not sent again. The parts after it fail, and the turn ends.
pub(in crate::store) fn end_unsent(
    tx: &mut dyn Tx,
    part: PartRef,
    ending: Ending,
    why: &str,
    now: Time,
    options: StoreOptions,
) -> Result<(), StoreError> {
    let (part_state, turn_state) = ending.states();
    let conversation = conversation_of_part(tx, part)?;
    tx.execute(FAIL_PART, args![part.turn, part.number, part_state, why])?;
    tx.execute(FAIL_LATER_PARTS, args![part.turn, part.number, "an earlier part was not sent"])?;
    tx.execute(END, args![part.turn, turn_state, why, now])?;
    schedule_next_turn(tx, &conversation, now, options).map(drop)
}

/// Ends a turn that no worker has claimed and whose deadline passed before it was answered. The template that the owner
/// chose is sent instead of the answer, once until the contact writes again. Without a template the turn expires.
pub(in crate::store) fn expire_or_send_template(
    tx: &mut dyn Tx,
    turn: TurnId,
    conversation: &ConversationId,
    template: Option<ContentSid>,
    now: Time,
    options: StoreOptions,
) -> Result<(), StoreError> {
    if let Some(template) = template
        && tx.execute(SET_REOPENED_AT, args![conversation, now])? == 1
    {
        tx.execute(
            START_SENDING_APOLOGY,
            args![turn, "too late to answer; the template that reopens the conversation was sent instead"],
        )?;
        tx.execute(TEMPLATE, args![turn, conversation, template.as_str(), now, now + SEND_WITHIN])?;
        return Ok(());
    }
    expire(tx, turn, conversation, false, now, options)
}

/// Expires a turn whose deadline passed before it was answered, or before the template in it was sent.
pub(in crate::store) fn expire(
    tx: &mut dyn Tx,
    turn: TurnId,
    conversation: &ConversationId,
    template: bool,
    now: Time,
    options: StoreOptions,
) -> Result<(), StoreError> {
    let why = if template {
        "too late: the template could not be sent within 23 hours"
    } else {
        "too late: 23 hours have passed since the contact's last message"
    };
    tx.execute(END, args![turn, "expired", template.then_some(why), now])?;
    tx.execute(FAIL_LATER_PARTS, args![turn, 0, why])?;
    schedule_next_turn(tx, conversation, now, options).map(drop)
}

/// Ends a turn that must not be answered.
pub(in crate::store) fn skip(
    tx: &mut dyn Tx,
    turn: TurnId,
    conversation: &ConversationId,
    why: &str,
    now: Time,
    options: StoreOptions,
) -> Result<(), StoreError> {
    tx.execute(END, args![turn, "skipped", why, now])?;
    schedule_next_turn(tx, conversation, now, options).map(drop)
}

/// Gives up a turn without telling the contact. Parts that may have been sent are held, because news of them may still
/// come.
pub(in crate::store) fn give_up_silently(
    tx: &mut dyn Tx,
    turn: TurnId,
    conversation: &ConversationId,
    why: &str,
    now: Time,
    options: StoreOptions,
) -> Result<(), StoreError> {
    tx.execute(END, args![turn, "dead", why, now])?;
    tx.execute(HOLD_UNKNOWN, args![turn, why])?;
    tx.execute(FAIL_LATER_PARTS, args![turn, 0, why])?;
    schedule_next_turn(tx, conversation, now, options).map(drop)
}

/// Makes the turn that waited for this one due, after what is left of its merge window. Returns whether there was one.
pub(in crate::store) fn schedule_next_turn(
    tx: &mut dyn Tx,
    conversation: &ConversationId,
    now: Time,
    options: StoreOptions,
) -> Result<bool, StoreError> {
    let window = i64::try_from(options.merge_window.as_millis()).unwrap_or(i64::MAX);
    Ok(tx.execute(WAKE_NEXT, args![conversation, now, window])? > 0)
}
