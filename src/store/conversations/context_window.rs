//! The context window: the messages of a conversation that the model sees.

use crate::model::{ConversationId, ProviderId, Role, TurnId};
use crate::store::database::{Store, StoreError, args};

/// Ordered by turn, then by id: a message that arrived while an earlier turn was being answered comes after that
/// answer. Command words are left out.
const WINDOW: &str = "
    SELECT role, content, provider_id, turn_id FROM messages
    WHERE conversation_id = ?1 AND turn_id <= ?2 AND word IS NULL
    ORDER BY turn_id DESC, id DESC LIMIT ?3";

const HAS_LATER_TURN: &str = "SELECT 1 FROM messages WHERE conversation_id = ?1 AND turn_id > ?2 LIMIT 1";

const REVISION: &str = "SELECT revision FROM conversations WHERE id = ?1";

/// One message of the context window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowLine {
    /// Its turn.
    pub turn: TurnId,
    /// Who wrote it.
    pub role: Role,
    /// Its text.
    pub content: String,
    /// The provider's id, if the message is inbound.
    pub provider_id: Option<ProviderId>,
}

impl Store {
    /// Returns the last messages up to and including that turn, oldest first: at most `most`, in whole exchanges. An
    /// exchange that would be cut in the middle is left out, unless it is that turn's own.
    pub async fn context_window(
        &self,
        conversation: ConversationId,
        turn: TurnId,
        most: usize,
    ) -> Result<Vec<WindowLine>, StoreError> {
        Ok(self.history(conversation, turn, most).await?.1)
    }

    /// Like [`Store::context_window`], together with the conversation's revision if these are its latest messages. The
    /// revision is `None` if a later turn has messages.
    pub async fn history(
        &self,
        conversation: ConversationId,
        turn: TurnId,
        most: usize,
    ) -> Result<(Option<i64>, Vec<WindowLine>), StoreError> {
        self.read(move |tx| {
            let later = tx.fetch_optional(HAS_LATER_TURN, args![&conversation, turn], |_| Ok(()))?.is_some();
            let revision =
                if later { None } else { tx.fetch_optional(REVISION, args![&conversation], |row| row.int(0))? };
            // One line more than wanted shows whether the oldest exchange is whole.
            let wanted = i64::try_from(most).unwrap_or(i64::MAX).saturating_add(1);
            let mut lines = tx.fetch_all(WINDOW, args![&conversation, turn, wanted], |row| {
                Ok(WindowLine {
                    turn: TurnId(row.int(3)?),
                    role: Role::parse(row.text(0)?).ok_or_else(|| StoreError::unexpected(0, "a role"))?,
                    content: row.text(1)?.to_owned(),
                    provider_id: row.text_or_null(2)?.map(|id| ProviderId(id.to_owned())),
                })
            })?;
            lines.reverse();
            Ok((revision, keep_whole_exchanges(lines, most, turn)))
        })
        .await
    }
}

/// Keeps the last `most` of these lines, which are oldest first. An exchange that would be cut in the middle is left
/// out, unless it is that turn's own.
pub fn keep_whole_exchanges(mut lines: Vec<WindowLine>, most: usize, turn: TurnId) -> Vec<WindowLine> {
    if lines.len() > most {
        let over = lines.len() - most;
        let cut = lines[over - 1].turn;
        let whole = lines[over..].iter().take_while(|line| line.turn == cut && cut != turn).count();
        lines.drain(..over + whole);
    }
    lines
}
