//! The window of the history that the model sees.

use super::database::args;
use super::{Store, StoreError};
use crate::model::{ConversationId, ProviderId, Role, TurnId};

/// Ordered by turn, then by id: what was said while an earlier turn was being answered comes after that answer.
const WINDOW: &str = "
    SELECT role, content, provider_id, turn_id FROM messages
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
    /// The last messages up to and with that turn, oldest first: at most `most`, in whole exchanges. An exchange that would
    /// be cut in the middle is left out, unless it is the turn's own.
    pub async fn window(
        &self,
        conversation: ConversationId,
        turn: TurnId,
        most: usize,
    ) -> Result<Vec<WindowLine>, StoreError> {
        self.read(move |tx| {
            // One more than wanted tells whether the oldest exchange is whole.
            let wanted = i64::try_from(most).unwrap_or(i64::MAX).saturating_add(1);
            let mut lines = tx.all(WINDOW, args![&conversation, turn, wanted], |row| {
                let line = WindowLine {
                    role: Role::parse(row.text(0)?).ok_or_else(|| StoreError::unexpected(0, "a role"))?,
                    content: row.text(1)?.to_owned(),
                    provider_id: row.text_or_null(2)?.map(|id| ProviderId(id.to_owned())),
                };
                Ok((TurnId(row.int(3)?), line))
            })?;
            if lines.len() > most {
                let cut = lines.pop().map(|(turn, _)| turn);
                while lines.last().is_some_and(|(of, _)| Some(*of) == cut && *of != turn) {
                    lines.pop();
                }
            }
            Ok(lines.into_iter().rev().map(|(_, line)| line).collect())
        })
        .await
    }
}
