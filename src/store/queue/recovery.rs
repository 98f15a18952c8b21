//! What mynah does at its start with the work that the last process left behind.
//!
//! The lock on the data folder proves that no other process works here. Everything in flight therefore belongs to a
//! dead process, and no lease has to expire.

use std::time::Duration;

use super::reconcile_claims::FIRST_LOOKUP_DELAY;
use super::settle;
use crate::clock::Time;
use crate::model::{ConversationId, TurnId};
use crate::store::database::{PerNumber, Store, StoreError, args};

/// A turn that was the only running one at this many crashes is taken as their cause.
const MAX_CRASHES_ALONE: i64 = 3;

/// How long a turn that was running when the process died waits before it is retried, by the number of such crashes. A
/// turn that was running at more crashes than there are delays is taken as their cause.
///
/// A crash does not name its cause: other turns ran too, and a kill from outside has no cause in here. So after the
/// first crash, all turns are retried at once. After that, the delays grow. A burst of kills, or a restart loop with
/// another cause, seldom lasts longer than they do, and the turn that causes the crashes soon runs alone. That a turn
/// ran alone at one crash proves no more than that it ran beside others, because a kill from outside can come at any
/// time.
const CRASH_RETRY_DELAYS: [Duration; 6] = [
    Duration::ZERO,
    Duration::from_secs(10),
    Duration::from_secs(60),
    Duration::from_secs(10 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(60 * 60),
];

/// The delay between turns that wait after the same crash, so that the turn that caused it runs without the others.
const CRASH_RETRY_SPACING: Duration = Duration::from_secs(5);

const RUNNING: &str = "
    SELECT t.id, t.conversation_id, t.crashes, t.crashes_alone, c.account, c.our_address
    FROM turns t JOIN conversations c ON c.id = t.conversation_id
    WHERE t.live = 0 AND t.state = 'running'";

const RETRY_TURN: &str = "
    UPDATE turns SET state = 'retry', crashes = ?2, crashes_alone = ?3, attempts = attempts - 1, due_at = ?4, token = NULL
    WHERE id = ?1";

const MARK_SENDING_UNKNOWN: &str = "
    UPDATE parts SET state = 'unknown', due_at = ?1, token = NULL, absences = 0, looks_failed = 0,
        error = 'the process ended while it was being sent'
    WHERE state IN ('sending', 'unknown') AND state = 'sending'";

/// Breaks rule 1 of docs/ARCHITECTURE.md, for the test that shows why the rule exists.
#[cfg(feature = "failpoints")]
const SENDING_BROKEN: &str = "
    UPDATE parts SET state = 'ready', due_at = ?1, token = NULL
    WHERE state IN ('sending', 'unknown') AND state = 'sending'";

const SHORTEN_LOOKUP_LEASES: &str = "
    UPDATE parts SET due_at = MIN(due_at, ?1) WHERE state IN ('sending', 'unknown') AND state = 'unknown'";

const SCHEDULE_PARKED_TURNS: &str = "
    UPDATE turns SET due_at = MAX(?1, COALESCE(not_before, 0))
    WHERE live = 1 AND due_at IS NULL
    AND NOT EXISTS (SELECT 1 FROM turns a WHERE a.conversation_id = turns.conversation_id
        AND a.live = 0)";

/// What the recovery found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Turns that are retried.
    pub retried_turns: usize,
    /// Turns that were given up, because the process died too often while they were running.
    pub dead_turns: usize,
    /// Parts that mynah looks up, because it is unknown whether they were sent.
    pub unknown_parts: u64,
}

impl Store {
    /// Takes over the work that a dead process left: `running` turns are retried, and `sending` parts become `unknown`
    /// and are looked up. Call this once, under the lock on the data folder, before the first claim. `apology` is the
    /// text for the contact of a turn that is given up.
    pub async fn recover(&self, now: Time, apology: PerNumber<String>) -> Result<RecoveryReport, StoreError> {
        self.write(move |tx| {
            let mut recovered = RecoveryReport::default();
            let mut running = tx.fetch_all(RUNNING, &[], |row| {
                let apology = apology.get(row.text(4)?, row.text(5)?);
                Ok((TurnId(row.int(0)?), ConversationId(row.uuid(1)?), row.int(2)?, row.int(3)?, apology))
            })?;
            let mut spacing = Duration::ZERO;
            running.sort_unstable_by_key(|(turn, ..)| *turn);
            let now_alone = i64::from(running.len() == 1);
            for (turn, conversation, crashes, alone, apology) in running {
                let (crashes, crashes_alone) = (crashes + 1, alone + now_alone);
                let retry_delay = usize::try_from(crashes - 1).ok().and_then(|before| CRASH_RETRY_DELAYS.get(before));
                let wait = retry_delay.filter(|_| crashes_alone < MAX_CRASHES_ALONE);
                let Some(wait) = wait else {
                    let why = format!("the process ended {crashes} times while this turn was being answered");
                    settle::give_up_with_apology(tx, turn, &conversation, &why, &apology, now)?;
                    recovered.dead_turns += 1;
                    continue;
                };
                let mut due = now;
                if !wait.is_zero() {
                    due = now + *wait + spacing;
                    spacing += CRASH_RETRY_SPACING;
                }
                tx.execute(RETRY_TURN, args![turn, crashes, crashes_alone, due])?;
                recovered.retried_turns += 1;
            }
            #[cfg(feature = "failpoints")]
            if std::env::var_os("MYNAH_TEST_BREAK_RULE_1").is_some() {
                tx.execute(SENDING_BROKEN, args![now])?;
            }
            recovered.unknown_parts = tx.execute(MARK_SENDING_UNKNOWN, args![now + FIRST_LOOKUP_DELAY])?;
            tx.execute(SHORTEN_LOOKUP_LEASES, args![now + FIRST_LOOKUP_DELAY])?;
            tx.execute(SCHEDULE_PARKED_TURNS, args![now])?;
            Ok(recovered)
        })
        .await
    }
}
