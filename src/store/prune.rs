//! What has had its time: idle conversations end, and what is past its retention goes, a little at a time, so that no
//! webhook waits for it.

use super::database::args;
use super::{Store, StoreError};
use crate::clock::Time;
use crate::model::ConversationId;

/// Conversations, alerts, or lines of the log, of one transaction.
const AT_ONCE: i64 = 200;

/// By id: an index over the times of open conversations would be written with each message.
const OPEN: &str = "
    SELECT id, MAX(last_inbound_at, COALESCE(reopened_at, 0)), ended_at FROM conversations WHERE id > ?1 ORDER BY id LIMIT ?2";

/// Not while something in it still waits for its answer: the answer belongs to it.
const END_IDLE: &str = "
    UPDATE conversations SET ended_at = ?2, revision = revision + 1
    WHERE id = ?1 AND ended_at IS NULL AND MAX(last_inbound_at, COALESCE(reopened_at, 0)) < ?3 AND NOT EXISTS (
        SELECT 1 FROM turns t WHERE t.conversation_id = ?1 AND t.live IS NOT NULL)";

/// Not while a turn in it has no outcome yet, such as after a long time switched off: that is recorded first.
const ENDED: &str = "
    SELECT id FROM conversations WHERE ended_at IS NOT NULL AND ended_at < ?1 AND NOT EXISTS (
        SELECT 1 FROM turns t WHERE t.conversation_id = conversations.id
        AND t.live IS NOT NULL)
    ORDER BY ended_at LIMIT ?2";

/// Its messages, turns and parts go with it.
const DELETE: &str = "DELETE FROM conversations WHERE id = ?1";

/// The oldest lines have the lowest numbers.
const OLDEST_LOG: &str = "SELECT id, received_at FROM webhook_log ORDER BY id LIMIT ?1";

const DELETE_LOG: &str = "DELETE FROM webhook_log WHERE id = ?1";

const OLD_ALERTS: &str = "
    SELECT cause, subject FROM alerts WHERE last_at < ?1 ORDER BY last_at LIMIT ?2";

const DELETE_ALERT: &str = "DELETE FROM alerts WHERE cause = ?1 AND subject = ?2";

impl Store {
    /// Ends conversations in which the contact has said nothing since `before`, nor was sent a template; how many.
    pub async fn end_idle(&self, before: Time, now: Time) -> Result<usize, StoreError> {
        let mut ended = 0;
        let mut from = ConversationId(uuid::Uuid::nil());
        loop {
            let after = from;
            let some = self
                .read(move |tx| {
                    tx.all(OPEN, args![&after, AT_ONCE], |row| {
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

    /// Deletes conversations that ended before that, with all that was said in them; how many.
    pub async fn delete_ended(&self, before: Time) -> Result<usize, StoreError> {
        self.little_by_little(move |tx| {
            let old = tx.all(ENDED, args![before, AT_ONCE], |row| row.uuid(0).map(ConversationId))?;
            for id in &old {
                tx.execute(DELETE, args![id])?;
            }
            Ok(old.len())
        })
        .await
    }

    /// Deletes lines of the webhook log that are older than that; how many.
    pub async fn delete_webhook_log(&self, before: Time) -> Result<usize, StoreError> {
        self.little_by_little(move |tx| {
            let oldest = tx.all(OLDEST_LOG, args![AT_ONCE], |row| Ok((row.int(0)?, Time(row.int(1)?))))?;
            let old: Vec<_> = oldest.into_iter().filter(|(_, at)| *at < before).collect();
            for (id, _) in &old {
                tx.execute(DELETE_LOG, args![*id])?;
            }
            Ok(old.len())
        })
        .await
    }

    /// Deletes alerts that last happened before that; how many.
    pub async fn delete_alerts(&self, before: Time) -> Result<usize, StoreError> {
        self.little_by_little(move |tx| {
            let old = tx.all(OLD_ALERTS, args![before, AT_ONCE], |row| {
                Ok((row.text(0)?.to_owned(), row.text(1)?.to_owned()))
            })?;
            for (cause, subject) in &old {
                tx.execute(DELETE_ALERT, args![cause.as_str(), subject.as_str()])?;
            }
            Ok(old.len())
        })
        .await
    }

    async fn little_by_little(
        &self,
        work: impl Fn(&mut dyn super::database::Tx) -> Result<usize, StoreError> + Clone + Send + 'static,
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
