//! Attachments of turns that nobody answers any more, such as what came while a person answers.

use super::attachments::AttachmentOutcome;
use super::attachments::StoredAttachment;
use super::attachments::record_outcomes;
use crate::clock::Time;
use crate::model::{Attachment, ConversationId, MessageId, TurnId};
use crate::store::database::Store;
use crate::store::database::StoreError;
use crate::store::database::Tx;
use crate::store::database::args;

/// What waits is little: see its index.
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
    /// The channel that it came by.
    pub channel: String,
    /// The account at the channel's provider.
    pub account: String,
    /// Our address in the conversation.
    pub our_address: String,
    /// Whether an answer was given up, as where a budget is spent; else none was to be given, as while a person answers.
    pub turn_failed: bool,
    /// Itself.
    pub attachment: StoredAttachment,
}

impl Store {
    /// Some of what waits and will not be asked about, at most `most`.
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

    /// Records what became of it, and puts that into words in its message. Should its turn be answered again by now, whoever
    /// is the first to have read it is believed.
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
