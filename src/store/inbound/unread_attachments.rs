//! Attachments of turns that nobody answers any more, such as what came while a person answers.

use super::attachments::Attached;
use super::attachments::Outcome;
use super::attachments::record_all;
use crate::clock::Time;
use crate::model::{Attachment, ConversationId, MessageId, TurnId};
use crate::store::database::Store;
use crate::store::database::StoreError;
use crate::store::database::Tx;
use crate::store::database::args;

/// What waits is little: see its index.
const LEFT: &str = "
    SELECT a.conversation_id, m.turn_id, c.channel, c.account, c.our_address, t.state, a.message_id, a.number, a.url,
        a.media_type, a.mark
    FROM attachments a
    JOIN messages m ON m.conversation_id = a.conversation_id AND m.id = a.message_id
    JOIN turns t ON t.id = m.turn_id
    JOIN conversations c ON c.id = a.conversation_id
    WHERE a.state = 'waiting' AND t.live IS NULL LIMIT ?1";

const TOUCH: &str = "UPDATE conversations SET revision = revision + 1 WHERE id = ?1";

/// An attachment that waits in a turn that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// Its conversation.
    pub conversation: ConversationId,
    /// Its turn.
    pub turn: TurnId,
    /// The channel that it came by.
    pub channel: String,
    /// The account at the channel's provider.
    pub account: String,
    /// Our address in the conversation.
    pub ours: String,
    /// Whether an answer was given up, as where a budget is spent; else none was to be given, as while a person answers.
    pub given_up: bool,
    /// Itself.
    pub attached: Attached,
}

impl Store {
    /// Some of what waits and will not be asked about, at most `most`.
    pub async fn left(&self, most: i64) -> Result<Vec<Left>, StoreError> {
        self.read(move |tx| {
            tx.all(LEFT, args![most], |row| {
                let attachment = Attachment {
                    url: row.text(8)?.to_owned(),
                    media_type: row.text(9)?.to_owned(),
                    mark: row.text(10)?.to_owned(),
                };
                let message = MessageId(row.uuid(6)?);
                Ok(Left {
                    conversation: ConversationId(row.uuid(0)?),
                    turn: TurnId(row.int(1)?),
                    channel: row.text(2)?.to_owned(),
                    account: row.text(3)?.to_owned(),
                    ours: row.text(4)?.to_owned(),
                    given_up: matches!(row.text(5)?, "dead" | "expired"),
                    attached: Attached { message, number: row.int(7)?, attachment, waiting: true, unreadable: false },
                })
            })
        })
        .await
    }

    /// Records what became of it, and puts that into words in its message. Should its turn be answered again by now, whoever
    /// is the first to have read it is believed.
    pub async fn left_read(&self, left: &Left, outcome: Outcome, now: Time) -> Result<(), StoreError> {
        let (conversation, turn) = (left.conversation, left.turn);
        self.write(move |tx: &mut dyn Tx| {
            record_all(tx, (&conversation, turn), std::slice::from_ref(&outcome), now)?;
            tx.execute(TOUCH, args![&conversation])?;
            Ok(())
        })
        .await
    }
}
