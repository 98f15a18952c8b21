//! Ends conversations: when they are idle, or when an operator ends them.

use crate::clock::Time;
use crate::model::ConversationId;
use crate::store::database::{Store, StoreError, args};

/// The most conversations that one transaction reads or ends.
const BATCH_SIZE: i64 = 200;

/// Ordered by id: an index over the times of open conversations would have to be written with each message.
const OPEN: &str = "
    SELECT id, MAX(last_inbound_at, COALESCE(reopened_at, 0)), ended_at FROM conversations WHERE id > ?1 ORDER BY id LIMIT ?2";

/// Does not end a conversation while a turn in it still waits for its answer: the answer belongs to this conversation.
const END_IDLE: &str = "
    UPDATE conversations SET ended_at = ?2, revision = revision + 1
    WHERE id = ?1 AND ended_at IS NULL AND MAX(last_inbound_at, COALESCE(reopened_at, 0)) < ?3 AND NOT EXISTS (
        SELECT 1 FROM turns t WHERE t.conversation_id = ?1 AND t.live IS NOT NULL)";

const END: &str = "UPDATE conversations SET ended_at = ?2, revision = revision + 1 WHERE id = ?1 AND ended_at IS NULL";

impl Store {
    /// Ends conversations in which, since `before`, the contact has not written and no template was sent to them.
    /// Returns how many it ended.
    pub async fn end_idle_conversations(&self, before: Time, now: Time) -> Result<usize, StoreError> {
        let mut ended = 0;
        let mut from = ConversationId(uuid::Uuid::nil());
        loop {
            let after = from;
            let some = self
                .read(move |tx| {
                    tx.fetch_all(OPEN, args![&after, BATCH_SIZE], |row| {
                        let open = row.int_or_null(2)?.is_none();
                        Ok((ConversationId(row.uuid(0)?), open && Time(row.int(1)?) < before))
                    })
                })
                .await?;
            let Some((last, _)) = some.last() else { return Ok(ended) };
            from = *last;
            let idle: Vec<_> = some.into_iter().filter(|(_, idle)| *idle).map(|(id, _)| id).collect();
            if !idle.is_empty() {
                ended += self
                    .write(move |tx| {
                        let mut count = 0;
                        for id in &idle {
                            count += usize::try_from(tx.execute(END_IDLE, args![id, now, before])?).unwrap_or(0);
                        }
                        Ok(count)
                    })
                    .await?;
            }
        }
    }

    /// Ends a conversation; the contact's next message starts a new one. Returns `false` if there is no such open
    /// conversation.
    pub async fn end_conversation(&self, id: ConversationId, now: Time) -> Result<bool, StoreError> {
        self.write(move |tx| Ok(tx.execute(END, args![&id, now])? == 1)).await
    }
}
