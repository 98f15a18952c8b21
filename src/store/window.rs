//! The window of the history that the model sees.

use super::database::args;
use super::{Store, StoreError};
use crate::model::{ConversationId, ProviderId, Role, TurnId};

/// Ordered by turn, then by id: what was said while an earlier turn was being answered comes after that answer.
const WINDOW: &str = "
    SELECT role, content, provider_id FROM messages
    WHERE conversation_id = ?1 AND turn_id <= ?2
    ORDER BY turn_id DESC, id DESC LIMIT ?3";

/// One message of the window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowLine {
    /// Who said it.
    pub role: Role,
    /// What was said.
    pub content: String,
    /// The provider's id of an inbound message.
    pub provider_id: Option<ProviderId>,
}

impl Store {
    /// The last `most` messages up to and with that turn, oldest first.
    pub async fn window(
        &self,
        conversation: ConversationId,
        turn: TurnId,
        most: usize,
    ) -> Result<Vec<WindowLine>, StoreError> {
        self.read(move |tx| {
            let most = i64::try_from(most).unwrap_or(i64::MAX);
            let mut lines = tx.all(WINDOW, args![&conversation, turn, most], |row| {
                Ok(WindowLine {
                    role: Role::parse(row.text(0)?).ok_or_else(|| StoreError::unexpected(0, "a role"))?,
                    content: row.text(1)?.to_owned(),
                    provider_id: row.text_or_null(2)?.map(|id| ProviderId(id.to_owned())),
                })
            })?;
            lines.reverse();
            Ok(lines)
        })
        .await
    }
}
