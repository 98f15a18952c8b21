//! The transcript of a conversation, as an operator reads it: messages, their attachments, and what was not delivered.

use super::listing::{ConversationRow, find};
use crate::clock::Time;
use crate::model::{ConversationId, FileHash, MessageId, Role, TurnId};
use crate::store::database::{Store, StoreError, Tx, args};

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
    /// Who wrote it.
    pub role: Role,
    /// Its text.
    pub content: String,
    /// When it was sent.
    pub at: Time,
    /// Its turn.
    pub turn: TurnId,
    /// The turn's state.
    pub turn_state: String,
    /// Why the turn was not answered, if it was not.
    pub turn_error: Option<String>,
    /// Parts of the turn that the provider accepted and did not deliver.
    pub undelivered: Vec<Undelivered>,
    /// Its attachments.
    pub attachments: Vec<AttachmentRow>,
}

/// An attachment, as it is shown to an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachmentRow {
    /// Its media type: from its content if it was fetched, else as the provider gave it; may be empty.
    pub media_type: String,
    /// `waiting`, `read` or `unreadable`.
    pub state: String,
    /// The original file if it was fetched, and its size in bytes.
    pub file: Option<(FileHash, i64)>,
    /// Why it could not be read, if it could not.
    pub error: Option<String>,
}

/// A part of a turn that the provider accepted and did not deliver.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Undelivered {
    /// The number of the part in the turn, from 1.
    pub message: i64,
    /// The provider's error code, such as 63016.
    pub code: Option<i64>,
    /// The provider's error message.
    pub provider_error: Option<String>,
}

impl Store {
    /// Returns one conversation with its last `most` messages, oldest first.
    pub async fn conversation(
        &self,
        id: ConversationId,
        most: i64,
    ) -> Result<Option<(ConversationRow, Vec<TranscriptLine>)>, StoreError> {
        self.read(move |tx| {
            let Some(found) = find(tx, &id)? else { return Ok(None) };
            let mut lines = tx.fetch_all(TRANSCRIPT, args![&id, most], |row| {
                let message = MessageId(row.uuid(6)?);
                let line = TranscriptLine {
                    role: Role::parse(row.text(0)?).ok_or_else(|| StoreError::unexpected(0, "a role"))?,
                    content: row.text(1)?.to_owned(),
                    at: Time(row.int(2)?),
                    turn: TurnId(row.int(3)?),
                    turn_state: row.text(4)?.to_owned(),
                    turn_error: row.text_or_null(5)?.map(str::to_owned),
                    undelivered: Vec::new(),
                    attachments: Vec::new(),
                };
                Ok((message, line))
            })?;
            lines.reverse();
            for (message, line) in &mut lines {
                line.undelivered = undelivered_parts(tx, line.turn)?;
                line.attachments = message_attachments(tx, &id, message)?;
            }
            Ok(Some((found, lines.into_iter().map(|(_, line)| line).collect())))
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

/// Returns the parts of a turn that were not delivered.
pub(in crate::store) fn undelivered_parts(tx: &mut dyn Tx, turn: TurnId) -> Result<Vec<Undelivered>, StoreError> {
    tx.fetch_all(UNDELIVERED, args![turn], |row| {
        Ok(Undelivered {
            message: row.int(0)?,
            code: row.int_or_null(1)?,
            provider_error: row.text_or_null(2)?.map(str::to_owned),
        })
    })
}
