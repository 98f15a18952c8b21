//! A conversation with what was said in it, as an operator reads it: messages, what came with them, what was not delivered.

use super::listing::ConversationRow;
use super::listing::find;
use crate::clock::Time;
use crate::model::{ConversationId, FileHash, MessageId, Role, TurnId};
use crate::store::database::Store;
use crate::store::database::StoreError;
use crate::store::database::Tx;
use crate::store::database::args;

const TRANSCRIPT: &str = "
    SELECT m.role, m.content, m.created_at, m.turn_id, t.state, t.error, m.id
    FROM messages m JOIN turns t ON t.id = m.turn_id
    WHERE m.conversation_id = ?1 ORDER BY m.turn_id DESC, m.id DESC LIMIT ?2";

const OF_MESSAGE: &str = "
    SELECT media_type, state, hash, size, error FROM attachments WHERE conversation_id = ?1 AND message_id = ?2 ORDER BY number";

const UNDELIVERED: &str = "
    SELECT number, error_code, error FROM parts WHERE id > ?1 * 16 AND id < ?1 * 16 + 16 AND status = 'failed'
    ORDER BY id";

/// One message of a transcript.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TranscriptLine {
    /// Who said it.
    pub role: Role,
    /// What was said.
    pub content: String,
    /// When.
    pub at: Time,
    /// Its turn, and how that stands.
    pub turn: TurnId,
    /// The turn's state.
    pub turn_state: String,
    /// Why the turn was not answered, if it was not.
    pub turn_error: Option<String>,
    /// The turn's messages that the provider took and did not deliver.
    pub undelivered: Vec<Undelivered>,
    /// What came with it.
    pub attachments: Vec<AttachmentRow>,
}

/// What came with a message, as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachmentRow {
    /// Its type: by its content where it was fetched, else as the provider told; may be empty.
    pub media_type: String,
    /// `waiting`, `read` or `unreadable`.
    pub state: String,
    /// The file as it came, where it was fetched, and its bytes.
    pub file: Option<(FileHash, i64)>,
    /// Why it could not be read.
    pub error: Option<String>,
}

/// One message of a turn that the provider took and did not deliver.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Undelivered {
    /// Which of the turn's messages, from 1.
    pub message: i64,
    /// The provider's error code, such as 63016.
    pub code: Option<i64>,
    /// The provider's words.
    pub provider_error: Option<String>,
}

impl Store {
    /// One conversation with the last of what was said in it, oldest first.
    pub async fn conversation(
        &self,
        id: ConversationId,
        most: i64,
    ) -> Result<Option<(ConversationRow, Vec<TranscriptLine>)>, StoreError> {
        self.read(move |tx| {
            let Some(found) = find(tx, &id)? else { return Ok(None) };
            let mut said = tx.fetch_all(TRANSCRIPT, args![&id, most], |row| {
                let message = MessageId(row.uuid(6)?);
                let said = TranscriptLine {
                    role: Role::parse(row.text(0)?).ok_or_else(|| StoreError::unexpected(0, "a role"))?,
                    content: row.text(1)?.to_owned(),
                    at: Time(row.int(2)?),
                    turn: TurnId(row.int(3)?),
                    turn_state: row.text(4)?.to_owned(),
                    turn_error: row.text_or_null(5)?.map(str::to_owned),
                    undelivered: Vec::new(),
                    attachments: Vec::new(),
                };
                Ok((message, said))
            })?;
            said.reverse();
            for (message, said) in &mut said {
                said.undelivered = undelivered_parts(tx, said.turn)?;
                said.attachments = message_attachments(tx, &id, message)?;
            }
            Ok(Some((found, said.into_iter().map(|(_, said)| said).collect())))
        })
        .await
    }
}

fn message_attachments(
    tx: &mut dyn Tx,
    conversation: &ConversationId,
    message: &MessageId,
) -> Result<Vec<AttachmentRow>, StoreError> {
    tx.fetch_all(OF_MESSAGE, args![conversation, message], |row| {
        let hash = row.text_or_null(2)?.and_then(FileHash::parse);
        Ok(AttachmentRow {
            media_type: row.text(0)?.to_owned(),
            state: row.text(1)?.to_owned(),
            file: hash.zip(row.int_or_null(3)?),
            error: row.text_or_null(4)?.map(str::to_owned),
        })
    })
}

/// What of a turn was not delivered.
pub(in crate::store) fn undelivered_parts(tx: &mut dyn Tx, turn: TurnId) -> Result<Vec<Undelivered>, StoreError> {
    tx.fetch_all(UNDELIVERED, args![turn], |row| {
        Ok(Undelivered {
            message: row.int(0)?,
            code: row.int_or_null(1)?,
            provider_error: row.text_or_null(2)?.map(str::to_owned),
        })
    })
}
