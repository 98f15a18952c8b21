//! Messages: what was said, in order.

use super::StoreError;
use super::database::{Tx, args};
use crate::clock::Time;
use crate::model::{ConversationId, MessageId, Role, TurnId};

const NEW_MESSAGE: &str = "
    INSERT INTO messages (id, conversation_id, turn_id, role, content, metadata, channel, provider_id, created_at, word)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";

/// A message about to be stored.
pub(super) struct NewMessage<'a> {
    pub(super) role: Role,
    pub(super) content: &'a str,
    pub(super) metadata: &'a str,
    pub(super) provider: Option<(&'a str, &'a str)>,
    pub(super) at: Time,
    /// What it asks of us, where it is nothing but a word for that.
    pub(super) word: Option<&'static str>,
}

pub(super) fn insert_message(
    tx: &mut dyn Tx,
    id: &MessageId,
    conversation: &ConversationId,
    turn: TurnId,
    message: &NewMessage<'_>,
) -> Result<(), StoreError> {
    let (channel, provider_id) = message.provider.unzip();
    tx.execute(
        NEW_MESSAGE,
        args![
            id,
            conversation,
            turn,
            message.role.as_str(),
            message.content,
            message.metadata,
            channel,
            provider_id,
            message.at,
            message.word,
        ],
    )?;
    Ok(())
}
