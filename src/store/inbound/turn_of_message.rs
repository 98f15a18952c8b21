//! Finds or starts the turn that answers a message.

use std::time::Duration;

use super::message_transaction::{Conversation, InboundTransaction};
use crate::clock::Time;
use crate::model::{Attachment, Command, ConversationId, TurnId};
use crate::store::database::{StoreError, args};
use crate::store::queue::built_in_request::BuiltInRequest;

/// At most two turns: the open one and the active one.
const LIVE_TURNS: &str = "
    SELECT id, state, created_at, command FROM turns
    WHERE conversation_id = ?1 AND live IS NOT NULL";

const NEW_TURN: &str = "
    INSERT INTO turns (conversation_id, state, live, created_at, due_at, not_before, command)
    VALUES (?1, 'open', 1, ?2, ?3, ?4, ?5)";

/// A turn with a command does not wait for the end of the merge window, but it does wait for the contact's rate limit
/// like any other turn.
const SET_COMMAND: &str = "
    UPDATE turns SET command = ?2,
        due_at = CASE WHEN due_at IS NULL THEN NULL ELSE MIN(due_at, MAX(?3, COALESCE(not_before, 0))) END
    WHERE id = ?1";

/// More pictures may follow, even after the turn before has ended. A turn with a command does not wait for them.
const WAIT_FOR_MORE: &str = "
    UPDATE turns SET
        not_before = CASE WHEN due_at IS NULL THEN MAX(COALESCE(not_before, 0), MIN(?2, created_at + ?3)) ELSE not_before END,
        due_at = CASE WHEN due_at IS NULL THEN NULL ELSE MAX(due_at, MIN(?2, created_at + ?3)) END
    WHERE id = ?1 AND command IS NULL";

const SKIPPED_TURN: &str = "
    INSERT INTO turns (conversation_id, state, created_at, finished_at, error) VALUES (?1, 'skipped', ?2, ?2, ?3)";

/// The attempt does not count, because the turn was given up only so that the model reads more. An operator's turn is
/// not sent to a model, so it is not restarted.
const RESTART: &str = "
    UPDATE turns SET state = 'retry', due_at = ?2, attempts = attempts - 1, token = NULL
    WHERE id = ?1 AND state = 'running' AND COALESCE(command, '') <> 'operator'";

/// An older turn is not restarted for one more message, so that a contact who never stops writing gets an answer too.
const RESTART_MAX_AGE: Duration = Duration::from_secs(30);

/// An album arrives as one message for each picture, one after the other as they are uploaded. After each picture,
/// mynah waits this long for the next.
const ALBUM_GAP: Duration = Duration::from_secs(3);

/// The longest that mynah waits for all pictures of an album, in milliseconds.
const ALBUM_MAX_MILLIS: i64 = 15_000;

impl InboundTransaction<'_> {
    /// Returns the turn that answers the message, and whether this restarted work that had begun on it. The open turn
    /// takes everything that is said until it is claimed. A new turn waits while another one is active.
    pub(in crate::store) fn find_or_start_turn(
        &mut self,
        conversation: &Conversation,
    ) -> Result<(TurnId, bool), StoreError> {
        let (now, overtaken, conversation) = (self.stored_at(), conversation.is_out_of_order, &conversation.id);
        let word = self.admission.request();
        let command = word.map(BuiltInRequest::as_str);
        let live = self.tx.fetch_all(LIVE_TURNS, args![conversation], |row| {
            let before = row.text_or_null(3)?.and_then(BuiltInRequest::parse);
            Ok((TurnId(row.int(0)?), row.text(1)?.to_owned(), Time(row.int(2)?), before))
        })?;
        let album = self.inbound.attachments.iter().any(Attachment::can_be_in_album);
        if let Some((turn, _, _, before)) = live.iter().find(|(_, state, ..)| state == "open") {
            if let Some(word) = word {
                let word = match before {
                    Some(later) if overtaken => later.merged_with_earlier(Some(word)),
                    before => word.merged_with_earlier(*before),
                };
                self.tx.execute(SET_COMMAND, args![*turn, word.as_str(), now])?;
            } else if album {
                self.tx.execute(WAIT_FOR_MORE, args![*turn, now + ALBUM_GAP, ALBUM_MAX_MILLIS])?;
            }
            return Ok((*turn, false));
        }
        let merge = if album { self.options.merge_window.max(ALBUM_GAP) } else { self.options.merge_window };
        let soon = now + merge;
        if let [(turn, state, created_at, _)] = live.as_slice()
            && state == "running"
            && self.admission.restart_running_turn
            && command.is_none()
            && *created_at > now - RESTART_MAX_AGE
            && self.tx.execute(RESTART, args![*turn, soon])? == 1
        {
            return Ok((*turn, true));
        }
        // The one confirmation after STOP does not wait for anything.
        let opts_out = self.admission.command == Some(Command::OptOut);
        let not_before = self.admission.rate_wait.filter(|_| !opts_out).map(|wait| now + wait);
        let soon = if command.is_some() { now } else { soon };
        let due = not_before.map_or(soon, |at| at.max(soon));
        let due = live.is_empty().then_some(due);
        // The turn becomes due when the active one has ended, which may be before the rest of an album has arrived.
        let not_before = if due.is_none() && album { not_before.max(Some(now + ALBUM_GAP)) } else { not_before };
        Ok((TurnId(self.tx.insert(NEW_TURN, args![conversation, now, due, not_before, command])?), false))
    }

    pub(in crate::store) fn insert_skipped_turn(
        &mut self,
        conversation: &ConversationId,
        why: &str,
    ) -> Result<TurnId, StoreError> {
        Ok(TurnId(self.tx.insert(SKIPPED_TURN, args![conversation, self.stored_at(), why])?))
    }
}
