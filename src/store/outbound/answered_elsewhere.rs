//! Turns of a restored backup that somebody may have answered since: the process that was lost, or a person in the
//! provider's console. What they sent is in the provider's list.

use std::time::Duration;

use super::parts::PROVIDER_ID_IN_USE;
use crate::clock::Time;
use crate::model::{MessageId, Role, SentMessage};
use crate::store::conversations::messages::{NewMessage, STORED_MESSAGE, insert_message};
use crate::store::database::{Store, StoreError, Tx, args};
use crate::store::queue::restored_work::{Restore, latest_restore};
use crate::store::queue::turns::TurnClaim;
use crate::store::queue::{budget_reservations, settle};

/// A notice of mynah's own is the assistant's, and answers nothing that was said in its turn.
const ASKED: &str = "
    SELECT COALESCE(MIN(m.created_at), t.created_at), COALESCE(MAX(m.created_at), t.created_at)
    FROM turns t LEFT JOIN messages m ON m.conversation_id = ?1 AND m.turn_id = t.id AND m.role <> 'assistant'
    WHERE t.id = ?2 GROUP BY t.id";

const NEXT_ASKED: &str = "
    SELECT MIN(created_at) FROM messages WHERE conversation_id = ?1 AND turn_id > ?2 AND role <> 'assistant'";

const IS_CLAIM_CURRENT: &str = "SELECT 1 FROM turns WHERE id = ?1 AND token = ?2 AND state = 'running'";

const NOT_ANSWERED: &str = "UPDATE turns SET may_be_answered = NULL WHERE id = ?1";

const BUMP_REVISION: &str = "UPDATE conversations SET revision = revision + 1 WHERE id = ?1";

const REVISION: &str = "SELECT revision FROM conversations WHERE id = ?1";

/// A message that arrived before the backup was dated by our clock, and the provider dates by its own.
const MAX_CLOCK_SKEW: Duration = Duration::from_secs(60);

/// The provider's dates have a resolution of one second.
const WITHIN_A_SECOND: Duration = Duration::from_millis(999);

/// Whether a turn was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerCheck {
    /// The turn was answered, so it was skipped.
    Answered,
    /// The turn was not answered. The conversation is at this revision now.
    NotAnswered(i64),
    /// The claim was stale. Nothing changed.
    StaleClaim,
}

impl Store {
    /// Returns since when an answer to the turn may have been sent: since its first message.
    pub async fn asked_since(&self, claim: &TurnClaim) -> Result<Time, StoreError> {
        let (turn, conversation) = (claim.turn, claim.conversation);
        self.read(move |tx| {
            let first = tx.fetch_optional(ASKED, args![&conversation, turn], |row| row.int_or_null(0))?.flatten();
            Ok(Time(first.unwrap_or_default()))
        })
        .await
    }

    /// Decides whether the turn was answered. `listed`: everything that was sent to the contact since the turn's first
    /// message, oldest first. What belongs to no part of ours goes into the history as an answer. If something of it
    /// was sent after the turn's last message, the turn is skipped.
    pub async fn settle_answer_check(
        &self,
        claim: &TurnClaim,
        listed: Vec<SentMessage>,
        channel: &'static str,
        now: Time,
    ) -> Result<AnswerCheck, StoreError> {
        let (turn, token, conversation, ids) = (claim.turn, claim.token, claim.conversation, self.ids.clone());
        let (reservation, options) = (claim.reservation.clone(), self.options);
        self.write(move |tx| {
            if tx.fetch_optional(IS_CLAIM_CURRENT, args![turn, token], |_| Ok(()))?.is_none() {
                return Ok(AnswerCheck::StaleClaim);
            }
            let last = tx.fetch_optional(ASKED, args![&conversation, turn], |row| row.int_or_null(1))?.flatten();
            let answers_from = answers_from(latest_restore(tx)?, Time(last.unwrap_or_default()));
            let next = tx.fetch_optional(NEXT_ASKED, args![&conversation, turn], |row| row.int_or_null(0))?.flatten();
            let (mut answered, mut added) = (false, false);
            for message in &listed {
                // Whoever got nothing was not answered.
                if message.has_failed {
                    continue;
                }
                let id = message.id.0.as_str();
                if tx.fetch_optional(PROVIDER_ID_IN_USE, args![id], |_| Ok(()))?.is_some() {
                    continue;
                }
                let sent_at = message.created_at.map(|at| at + WITHIN_A_SECOND);
                answered |= answers_from.is_some_and(|from| sent_at.is_none_or(|at| at >= from));
                let (Some(at), Some(text)) = (sent_at, message.text.as_deref()) else { continue };
                // What was sent after the contact's next message belongs to the turn of that message.
                let is_later = next.is_some_and(|next| at.millis() >= next);
                if is_later || text.trim().is_empty() || is_stored(tx, channel, id)? {
                    continue;
                }
                let new = NewMessage {
                    role: Role::Assistant,
                    content: text,
                    metadata: "{}",
                    provider: Some((channel, id)),
                    at,
                    request: None,
                };
                insert_message(tx, &MessageId(ids.backdated_id(at)), &conversation, turn, &new)?;
                added = true;
            }
            if added {
                tx.execute(BUMP_REVISION, args![&conversation])?;
            }
            if answered {
                budget_reservations::settle(tx, options, turn, reservation.as_ref())?;
                let why = "answered between the restored backup and its restore";
                settle::skip(tx, turn, &conversation, why, now, options)?;
                return Ok(AnswerCheck::Answered);
            }
            tx.execute(NOT_ANSWERED, args![turn])?;
            let revision = tx.fetch_optional(REVISION, args![&conversation], |row| row.int(0))?;
            Ok(AnswerCheck::NotAnswered(revision.unwrap_or_default()))
        })
        .await
    }
}

/// Returns from when on a message to the contact answers a turn whose last message is from `last`; `None` if none can,
/// because the contact wrote after the restore.
fn answers_from(restore: Option<Restore>, last: Time) -> Option<Time> {
    match restore {
        Some(restore) if last > restore.restored_at => None,
        // In the backup, so dated by us.
        Some(restore) if last <= restore.made_at => Some(last - MAX_CLOCK_SKEW),
        // Found by catch-up, so dated by the provider, like its answer.
        _ => Some(last),
    }
}

fn is_stored(tx: &mut dyn Tx, channel: &str, id: &str) -> Result<bool, StoreError> {
    Ok(tx.fetch_optional(STORED_MESSAGE, args![channel, id], |_| Ok(()))?.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_counts_from_the_last_message_on_by_the_clock_that_dated_it() {
        let restore = Some(Restore { made_at: Time(1_000_000), restored_at: Time(2_000_000) });
        assert_eq!(answers_from(restore, Time(1_000_000)), Some(Time(940_000)), "by our clock");
        assert_eq!(answers_from(restore, Time(1_000_001)), Some(Time(1_000_001)), "by the provider's clock");
        assert_eq!(answers_from(restore, Time(2_000_001)), None, "after the restore");
    }
}
