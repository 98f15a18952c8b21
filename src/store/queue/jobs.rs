//! The queue as an operator sees it.

use super::limits::SEND_WITHIN;
use super::settle;
use crate::clock::Time;
use crate::model::{ConversationId, TurnId, TurnState};
use crate::store::conversations::transcript::{Undelivered, undelivered_parts};
use crate::store::database::{Row, Store, StoreError, Tx, args};

/// Turns that have not ended. They are few, and come in no order.
const LIVE: &str = "
    SELECT id, state FROM turns WHERE live IS NOT NULL";

const FAILED: &str = "
    SELECT id FROM turns WHERE state IN ('dead', 'expired', 'skipped') AND state = ?1 AND id < ?2
    ORDER BY id DESC LIMIT ?3";

/// Reads from the newest turn on. Nearly every turn is `done`, so this reads little more than it returns.
const DONE: &str = "SELECT id FROM turns WHERE state = 'done' AND id < ?1 ORDER BY id DESC LIMIT ?2";

/// Turns with a message that was not delivered. The limit `?1` is the id of a part, not of a turn.
const UNDELIVERED: &str = "
    SELECT turn_id FROM parts WHERE status = 'failed' AND id < ?1 ORDER BY id DESC LIMIT ?2";

const ROW: &str = "
    SELECT id, conversation_id, state, attempts, created_at, due_at, finished_at, error FROM turns WHERE id = ?1";

const BACKLOG: &str = "
    SELECT COUNT(*), MIN(due_at) FROM turns WHERE due_at IS NOT NULL";

/// Excludes turns in which mynah wrote on its own, such as a notice, because those answer nobody. `not_before` starts
/// anew, so that the turn may wait for a model as long as any other.
const REQUEUE: &str = "
    UPDATE turns SET state = 'retry', live = 0, due_at = ?2, not_before = ?2, attempts = 0, crashes = 0, crashes_alone = 0,
        finished_at = NULL, error = NULL
    WHERE id = ?1 AND state IN ('dead', 'expired')
    AND NOT EXISTS (SELECT 1 FROM parts WHERE id > ?1 * 16 AND id < ?1 * 16 + 16
        AND state IN ('sent', 'held', 'unknown', 'sending'))
    AND NOT EXISTS (SELECT 1 FROM turns a WHERE a.conversation_id = turns.conversation_id
        AND a.live = 0)
    AND NOT EXISTS (SELECT 1 FROM messages m JOIN turns l ON l.id = m.turn_id
        WHERE m.conversation_id = turns.conversation_id AND m.turn_id > ?1 AND l.state <> 'open')
    AND (command IS NOT NULL OR EXISTS (SELECT 1 FROM messages q
        WHERE q.conversation_id = turns.conversation_id AND q.turn_id = ?1 AND q.role <> 'assistant'))";

const REQUEUE_DEADLINE: &str = "
    SELECT c.last_inbound_at, t.expires_at FROM turns t JOIN conversations c ON c.id = t.conversation_id
    WHERE t.id = ?1 AND t.state IN ('dead', 'expired')";

const CLEAR_PARTS: &str = "DELETE FROM parts WHERE id > ?1 * 16 AND id < ?1 * 16 + 16 AND state = 'failed'";

/// Deletes an answer if none of its parts was sent; otherwise the model would continue from a text that nobody has
/// read. In an operator's turn the message stays, because it is what mynah sends.
const DELETE_UNSENT_ANSWER: &str = "
    DELETE FROM messages WHERE turn_id = ?1 AND role = 'assistant'
    AND conversation_id = (SELECT conversation_id FROM turns WHERE id = ?1 AND COALESCE(command, '') <> 'operator')";

const BUMP_REVISION: &str = "
    UPDATE conversations SET revision = revision + 1
    WHERE id = (SELECT conversation_id FROM turns WHERE id = ?1)";

const PARK: &str = "
    UPDATE turns SET due_at = NULL WHERE live = 1
    AND conversation_id = (SELECT conversation_id FROM turns WHERE id = ?1)";

/// A turn that no worker has claimed.
const UNCLAIMED_TURN: &str = "
    SELECT conversation_id FROM turns WHERE id = ?1 AND (state IN ('open', 'retry') OR (state = 'sending'
        AND NOT EXISTS (SELECT 1 FROM parts WHERE id > ?1 * 16 AND id < ?1 * 16 + 16 AND state = 'sending')))";

/// A turn in a list of jobs.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct JobRow {
    /// The turn's id.
    pub turn: i64,
    /// Its conversation.
    pub conversation: String,
    /// `open`, `running`, `retry`, `sending`, `done`, `dead`, `expired` or `skipped`.
    pub state: String,
    /// Attempts so far.
    pub attempts: i64,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339; the time from which the turn may be claimed.
    pub due_at: Option<String>,
    /// RFC 3339.
    pub finished_at: Option<String>,
    /// Why the turn failed, or why its last attempt failed.
    pub error: Option<String>,
    /// Messages that the provider accepted and did not deliver.
    pub undelivered: Vec<Undelivered>,
}

/// The result of a request to answer a turn again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequeueOutcome {
    /// The turn will be answered again.
    Requeued,
    /// The contact's last message is so old that an answer could not be sent.
    TooLate,
    /// No `dead` or `expired` turn has that id, part of its answer may have been sent, or its conversation has gone on.
    NotPossible,
}

/// How many turns wait to be answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// The number of turns.
    pub waiting: i64,
    /// The earliest due time among them.
    pub oldest_due: Option<Time>,
}

impl Store {
    /// Lists turns, newest first: the turns in `state`; or, if it is `None`, all turns that are not `done` and all with
    /// a message that was not delivered. `before` pages: only turns with a lower id are returned.
    pub async fn jobs(
        &self,
        state: Option<TurnState>,
        before: Option<TurnId>,
        most: usize,
    ) -> Result<Vec<JobRow>, StoreError> {
        self.read(move |tx| {
            let before = before.map_or(i64::MAX, |turn| turn.0);
            let wanted = |of| state.map_or(of != TurnState::Done, |state| state == of);
            let mut turns = turn_ids(tx, wanted, before, most)?;
            if state.is_none() {
                // A turn has at most fifteen parts.
                let limit = i64::try_from(most).unwrap_or(i64::MAX).saturating_mul(15);
                turns.extend(tx.fetch_all(UNDELIVERED, args![before.saturating_mul(16), limit], |row| row.int(0))?);
                turns.sort_unstable_by_key(|turn| std::cmp::Reverse(*turn));
                turns.dedup();
                turns.truncate(most);
            }
            let mut jobs = Vec::with_capacity(turns.len());
            for turn in turns {
                let Some(mut job) = tx.fetch_optional(ROW, args![turn], job_from_row)? else { continue };
                job.undelivered = undelivered_parts(tx, TurnId(turn))?;
                jobs.push(job);
            }
            Ok(jobs)
        })
        .await
    }

    /// Returns how many turns wait.
    pub async fn backlog(&self) -> Result<Backlog, StoreError> {
        self.read(|tx| {
            let backlog = tx.fetch_optional(BACKLOG, &[], |row| {
                Ok(Backlog { waiting: row.int(0)?, oldest_due: row.int_or_null(1)?.map(Time) })
            })?;
            Ok(backlog.unwrap_or_default())
        })
        .await
    }

    /// Queues a `dead` or `expired` turn to be answered again.
    pub async fn requeue(&self, turn: TurnId, now: Time) -> Result<RequeueOutcome, StoreError> {
        self.write(move |tx| {
            let ended = tx.fetch_optional(REQUEUE_DEADLINE, args![turn], |row| {
                Ok((Time(row.int(0)?) + SEND_WITHIN).max(Time(row.int_or_null(1)?.unwrap_or(0))))
            })?;
            let Some(deadline) = ended else { return Ok(RequeueOutcome::NotPossible) };
            // The next claim would only end the turn again.
            if deadline <= now {
                return Ok(RequeueOutcome::TooLate);
            }
            if tx.execute(REQUEUE, args![turn, now])? == 0 {
                return Ok(RequeueOutcome::NotPossible);
            }
            tx.execute(CLEAR_PARTS, args![turn])?;
            tx.execute(PARK, args![turn])?;
            if tx.execute(DELETE_UNSENT_ANSWER, args![turn])? > 0 {
                tx.execute(BUMP_REVISION, args![turn])?;
            }
            Ok(RequeueOutcome::Requeued)
        })
        .await
    }

    /// Gives up a turn that waits for a claim, for its next part, or for evidence about an unknown part, which becomes
    /// `held`. The turn ends `dead`. Returns `false` if a worker has claimed the turn or if it has ended.
    pub async fn discard(&self, turn: TurnId, now: Time) -> Result<bool, StoreError> {
        let options = self.options;
        self.write(move |tx| {
            let Some(conversation) =
                tx.fetch_optional(UNCLAIMED_TURN, args![turn], |row| row.uuid(0))?.map(ConversationId)
            else {
                return Ok(false);
            };
            settle::give_up_silently(tx, turn, &conversation, "discarded by the operator", now, options)?;
            Ok(true)
        })
        .await
    }
}

/// Returns the ids below `before` of turns whose state is `wanted`: the highest `most` ids, highest first.
fn turn_ids(
    tx: &mut dyn Tx,
    wanted: impl Fn(TurnState) -> bool,
    before: i64,
    most: usize,
) -> Result<Vec<i64>, StoreError> {
    let limit = i64::try_from(most).unwrap_or(i64::MAX);
    let live = tx.fetch_all(LIVE, &[], |row| Ok((row.int(0)?, TurnState::parse(row.text(1)?))))?;
    let live = live.into_iter().filter(|(turn, state)| *turn < before && state.is_some_and(&wanted));
    let mut turns: Vec<i64> = live.map(|(turn, _)| turn).collect();
    for state in [TurnState::Dead, TurnState::Expired, TurnState::Skipped].into_iter().filter(|state| wanted(*state)) {
        turns.extend(tx.fetch_all(FAILED, args![state.as_str(), before, limit], |row| row.int(0))?);
    }
    if wanted(TurnState::Done) {
        turns.extend(tx.fetch_all(DONE, args![before, limit], |row| row.int(0))?);
    }
    turns.sort_unstable_by_key(|turn| std::cmp::Reverse(*turn));
    turns.truncate(most);
    Ok(turns)
}

fn job_from_row(row: &dyn Row) -> Result<JobRow, StoreError> {
    let time = |column| -> Result<Option<String>, StoreError> {
        Ok(row.int_or_null(column)?.map(|millis| Time(millis).to_string()))
    };
    Ok(JobRow {
        turn: row.int(0)?,
        conversation: ConversationId(row.uuid(1)?).to_string(),
        state: row.text(2)?.to_owned(),
        attempts: row.int(3)?,
        created_at: Time(row.int(4)?).to_string(),
        due_at: time(5)?,
        finished_at: time(6)?,
        error: row.text_or_null(7)?.map(str::to_owned),
        undelivered: Vec::new(),
    })
}
