//! The window of the history that the model sees.

use crate::model::{ConversationId, ProviderId, Role, TurnId};
use crate::store::database::Store;
use crate::store::database::StoreError;
use crate::store::database::args;

/// Ordered by turn, then by id: what was said while an earlier turn was being answered comes after that answer. Words for
/// the assistant itself are none of it.
const WINDOW: &str = "
    SELECT role, content, provider_id, turn_id FROM messages
    WHERE conversation_id = ?1 AND turn_id <= ?2 AND word IS NULL
    ORDER BY turn_id DESC, id DESC LIMIT ?3";

const HAS_LATER_TURN: &str = "SELECT 1 FROM messages WHERE conversation_id = ?1 AND turn_id > ?2 LIMIT 1";

const REVISION: &str = "SELECT revision FROM conversations WHERE id = ?1";

/// One message of the window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowLine {
    /// Its turn.
    pub turn: TurnId,
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
    pub async fn context_window(
        &self,
        conversation: ConversationId,
        turn: TurnId,
        most: usize,
    ) -> Result<Vec<WindowLine>, StoreError> {
        Ok(self.history(conversation, turn, most).await?.1)
    }

    /// The same, with the conversation's revision at which that is all that was said last; `None` where a later turn holds
    /// more.
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
            // One more than wanted tells whether the oldest exchange is whole.
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

/// The last `most` of these lines, oldest first. An exchange that would be cut in the middle is left out, unless it is the
/// last turn's own.
pub fn keep_whole_exchanges(mut lines: Vec<WindowLine>, most: usize, turn: TurnId) -> Vec<WindowLine> {
    if lines.len() > most {
        let over = lines.len() - most;
        let cut = lines[over - 1].turn;
        let whole = lines[over..].iter().take_while(|line| line.turn == cut && cut != turn).count();
        lines.drain(..over + whole);
    }
    lines
}
