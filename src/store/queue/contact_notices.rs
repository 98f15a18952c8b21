//! Notices that mynah sends on its own, beside its answers. A contact gets one only once in a while, and not while an
//! answer is on its way.

use std::time::Duration;

use crate::clock::Time;
use crate::model::{ConversationId, MessageId, Role, TurnId};
use crate::store::conversations::messages::{NewMessage, insert_message};
use crate::store::database::ids::IdGenerator;
use crate::store::database::{StoreError, Tx, args};

const HAS_ACTIVE_TURN: &str = "SELECT 1 FROM turns WHERE conversation_id = ?1 AND live = 0";

const TURN: &str = "
    INSERT INTO turns (conversation_id, state, live, created_at) VALUES (?1, 'sending', 0, ?2)";

const PART: &str = "
    INSERT INTO parts (id, conversation_id, body, state, due_at) VALUES (?1 * 16 + 1, ?2, ?3, 'ready', ?4)";

/// Turns that wait to be answered wait until the notice is sent.
const PARK: &str = "
    UPDATE turns SET due_at = NULL
    WHERE conversation_id = ?1 AND live = 1";

/// The notice is part of the history, so a window that was cached without it is stale.
const BUMP_REVISION: &str = "UPDATE conversations SET revision = revision + 1 WHERE id = ?1";

const SET_NOTICED_AT: &str = "UPDATE contacts SET noticed_at = ?2 WHERE id = ?1";

/// A notice for a contact.
pub(in crate::store) struct Notice<'a> {
    pub(in crate::store) contact: i64,
    pub(in crate::store) conversation: &'a ConversationId,
    pub(in crate::store) text: &'a str,
    /// When the contact last got a notice.
    pub(in crate::store) last_noticed_at: Option<Time>,
    /// The contact gets at most one notice in this time.
    pub(in crate::store) min_interval: Duration,
}

impl Notice<'_> {
    /// Sends the notice, unless the contact got one lately or an answer is on its way. Returns whether it was sent,
    /// which raises the conversation's revision.
    pub(in crate::store) fn send_if_due(
        &self,
        tx: &mut dyn Tx,
        ids: &IdGenerator,
        now: Time,
    ) -> Result<bool, StoreError> {
        let was_notified_recently = self.last_noticed_at.is_some_and(|at| at > now - self.min_interval);
        if was_notified_recently || tx.fetch_optional(HAS_ACTIVE_TURN, args![self.conversation], |_| Ok(()))?.is_some()
        {
            return Ok(false);
        }
        let turn = TurnId(tx.insert(TURN, args![self.conversation, now])?);
        let message = NewMessage {
            role: Role::Assistant,
            content: self.text,
            metadata: "{}",
            provider: None,
            at: now,
            request: None,
        };
        insert_message(tx, &MessageId(ids.next(now)), self.conversation, turn, &message)?;
        tx.execute(PART, args![turn, self.conversation, self.text, now])?;
        tx.execute(PARK, args![self.conversation])?;
        tx.execute(BUMP_REVISION, args![self.conversation])?;
        tx.execute(SET_NOTICED_AT, args![self.contact, now])?;
        Ok(true)
    }
}
