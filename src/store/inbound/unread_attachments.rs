//! Attachments of turns that ended before they were read, such as those that came while a person answers.

use super::attachments::{AttachmentOutcome, StoredAttachment, record_outcomes};
use crate::clock::Time;
use crate::model::{Attachment, ConversationId, MessageId, TurnId};
use crate::store::database::{Store, StoreError, Tx, args};

/// Few attachments wait, and a partial index lists them.
const UNREAD_ATTACHMENTS: &str = "
    SELECT a.conversation_id, m.turn_id, c.channel, c.account, c.our_address, t.state, a.message_id, a.number, a.url,
        a.media_type, a.mark
    FROM attachments a
    JOIN messages m ON m.conversation_id = a.conversation_id AND m.id = a.message_id
    JOIN turns t ON t.id = m.turn_id
    JOIN conversations c ON c.id = a.conversation_id
    WHERE a.state = 'waiting' AND t.live IS NULL LIMIT ?1";

const BUMP_REVISION: &str = "UPDATE conversations SET revision = revision + 1 WHERE id = ?1";

/// An attachment that waits in a turn that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadAttachment {
    /// Its conversation.
    pub conversation: ConversationId,
    /// Its turn.
    pub turn: TurnId,
    /// The channel that the attachment came through.
    pub channel: String,
    /// The account at the channel's provider.
    pub account: String,
    /// Our address in the conversation.
    pub our_address: String,
    /// Whether mynah gave up an answer, as when a budget is exhausted. Otherwise no answer was due, as while a person
    /// answers.
    pub turn_failed: bool,
    /// The attachment itself.
    pub attachment: StoredAttachment,
}

impl Store {
    /// Returns attachments that wait in turns that have ended, at most `most`.
    pub async fn unread_attachments(&self, most: i64) -> Result<Vec<UnreadAttachment>, StoreError> {
        self.read(move |tx| {
            tx.fetch_all(UNREAD_ATTACHMENTS, args![most], |row| {
                let attachment = Attachment {
                    url: row.text(8)?.to_owned(),
                    media_type: row.text(9)?.to_owned(),
                    placeholder: row.text(10)?.to_owned(),
                };
                let message = MessageId(row.uuid(6)?);
                Ok(UnreadAttachment {
                    conversation: ConversationId(row.uuid(0)?),
                    turn: TurnId(row.int(1)?),
                    channel: row.text(2)?.to_owned(),
                    account: row.text(3)?.to_owned(),
                    our_address: row.text(4)?.to_owned(),
                    turn_failed: matches!(row.text(5)?, "dead" | "expired"),
                    attachment: StoredAttachment {
                        message,
                        number: row.int(7)?,
                        attachment,
                        waiting: true,
                        unreadable: false,
                    },
                })
            })
        })
        .await
    }

    /// Records the result of reading the attachment, and writes its text into the message. If its turn is being
    /// answered again meanwhile, the result that is recorded first counts.
    pub async fn record_unread_attachment(
        &self,
        left: &UnreadAttachment,
        outcome: AttachmentOutcome,
        now: Time,
    ) -> Result<(), StoreError> {
        let (conversation, turn) = (left.conversation, left.turn);
        self.write(move |tx: &mut dyn Tx| {
            record_outcomes(tx, (&conversation, turn), std::slice::from_ref(&outcome), now)?;
            tx.execute(BUMP_REVISION, args![&conversation])?;
            Ok(())
        })
        .await
    }
}
