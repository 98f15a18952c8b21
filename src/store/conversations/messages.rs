//! Stores the messages of a conversation.

use crate::clock::Time;
use crate::model::{ConversationId, MessageId, Role, TurnId};
use crate::store::database::{StoreError, Tx, args};

pub(in crate::store) const STORED_MESSAGE: &str =
    "SELECT id FROM messages WHERE channel = ?1 AND provider_id = ?2 AND provider_id IS NOT NULL";

const NEW_MESSAGE: &str = "
    INSERT INTO messages (id, conversation_id, turn_id, role, content, metadata, channel, provider_id, created_at, word)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";

/// A message about to be stored.
pub(in crate::store) struct NewMessage<'a> {
    pub(in crate::store) role: Role,
    pub(in crate::store) content: &'a str,
    pub(in crate::store) metadata: &'a str,
    pub(in crate::store) provider: Option<(&'a str, &'a str)>,
    pub(in crate::store) at: Time,
    /// The stored name of its command, if the message is nothing but a command word or the pairing code.
    pub(in crate::store) request: Option<&'static str>,
}

pub(in crate::store) fn insert_message(
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
            message.request,
        ],
    )?;
    Ok(())
}
