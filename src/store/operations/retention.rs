//! Deletes what is past its retention, a few rows at a time, so that no webhook waits for it.

use crate::clock::Time;
use crate::model::ConversationId;
use crate::store::database::{Store, StoreError, args};

/// The most conversations, alerts, or rows of the webhook log that one transaction deletes.
const AT_ONCE: i64 = 200;

/// Leaves out a conversation while a turn in it has no outcome yet, for example after mynah was switched off for a long
/// time. The outcome is recorded first.
const ENDED: &str = "
    SELECT id FROM conversations WHERE ended_at IS NOT NULL AND ended_at < ?1 AND NOT EXISTS (
        SELECT 1 FROM turns t WHERE t.conversation_id = conversations.id
        AND t.live IS NOT NULL)
    ORDER BY ended_at LIMIT ?2";

/// Its messages, turns and parts are deleted with it.
const DELETE: &str = "DELETE FROM conversations WHERE id = ?1";

/// The oldest rows have the lowest ids.
const OLDEST_LOG: &str = "SELECT id, received_at FROM webhook_log ORDER BY id LIMIT ?1";

const DELETE_LOG: &str = "DELETE FROM webhook_log WHERE id = ?1";

const OLD_ALERTS: &str = "
    SELECT cause, subject FROM alerts WHERE last_at < ?1 ORDER BY last_at LIMIT ?2";

const DELETE_ALERT: &str = "DELETE FROM alerts WHERE cause = ?1 AND subject = ?2";

const DELETE_DELIVERIES: &str = "DELETE FROM alert_deliveries WHERE cause = ?1 AND subject = ?2";

impl Store {
    /// Deletes conversations that ended before `before`, with all their messages. Returns how many it deleted.
    pub async fn delete_ended_conversations(&self, before: Time) -> Result<usize, StoreError> {
        self.delete_in_batches(move |tx| {
            let old = tx.fetch_all(ENDED, args![before, AT_ONCE], |row| row.uuid(0).map(ConversationId))?;
            for id in &old {
                tx.execute(DELETE, args![id])?;
            }
            Ok(old.len())
        })
        .await
    }

    /// Deletes rows of the webhook log that are older than `before`. Returns how many it deleted.
    pub async fn delete_webhook_log(&self, before: Time) -> Result<usize, StoreError> {
        self.delete_in_batches(move |tx| {
            let oldest = tx.fetch_all(OLDEST_LOG, args![AT_ONCE], |row| Ok((row.int(0)?, Time(row.int(1)?))))?;
            let old: Vec<_> = oldest.into_iter().filter(|(_, at)| *at < before).collect();
            for (id, _) in &old {
                tx.execute(DELETE_LOG, args![*id])?;
            }
            Ok(old.len())
        })
        .await
    }

    /// Deletes alerts that last occurred before `before`. Returns how many it deleted.
    pub async fn delete_alerts(&self, before: Time) -> Result<usize, StoreError> {
        self.delete_in_batches(move |tx| {
            let old = tx.fetch_all(OLD_ALERTS, args![before, AT_ONCE], |row| {
                Ok((row.text(0)?.to_owned(), row.text(1)?.to_owned()))
            })?;
            for (cause, subject) in &old {
                tx.execute(DELETE_ALERT, args![cause.as_str(), subject.as_str()])?;
                tx.execute(DELETE_DELIVERIES, args![cause.as_str(), subject.as_str()])?;
            }
            Ok(old.len())
        })
        .await
    }

    async fn delete_in_batches(
        &self,
        work: impl Fn(&mut dyn crate::store::database::Tx) -> Result<usize, StoreError> + Clone + Send + 'static,
    ) -> Result<usize, StoreError> {
        let mut all = 0;
        loop {
            let some = self.write(work.clone()).await?;
            all += some;
            if some < usize::try_from(AT_ONCE).unwrap_or(usize::MAX) {
                return Ok(all);
            }
        }
    }
}
