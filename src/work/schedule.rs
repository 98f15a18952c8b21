//! The regular jobs: what runs by the clock and not because somebody wrote.
//!
//! To add one: a row in [`JOBS`] and an arm in [`perform`]. The store remembers when each ran, how that went and when it
//! runs next, also over a restart.

use std::time::{Duration, Instant};

use anyhow::Result as Outcome;
use tracing::{error, info};

use super::{catch_up, unused_files};
use crate::app::App;
use crate::clock::Time;
use crate::store::{ScheduledJob, StoreError};

/// What was spent is known for at least so long; budgets need it for a month.
const USAGE_RETENTION: Duration = Duration::from_secs(62 * 86_400);

/// A regular job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Job {
    ExpireTurns,
    EndIdle,
    DeleteEnded,
    DeleteAlerts,
    DeleteWebhookLog,
    ForgetOldUsage,
    RemoveFiles,
}

/// Names and intervals.
const JOBS: [(Job, &str, Duration); 7] = [
    (Job::ExpireTurns, "expire_turns", Duration::from_secs(10 * 60)),
    (Job::EndIdle, "end_idle_conversations", Duration::from_secs(10 * 60)),
    (Job::DeleteEnded, "delete_old_conversations", Duration::from_secs(3600)),
    (Job::DeleteAlerts, "delete_old_alerts", Duration::from_secs(3600)),
    (Job::DeleteWebhookLog, "delete_old_webhook_log", Duration::from_secs(3600)),
    (Job::ForgetOldUsage, "forget_old_spending", Duration::from_secs(86_400)),
    (Job::RemoveFiles, "remove_unused_files", Duration::from_secs(3600)),
];

/// The name of the job that looks for missed messages. It asks the provider, so it has a time of its own: it never keeps the
/// others waiting, and is none of those that `mynah cleanup` runs.
const CATCH_UP_JOB: &str = "catch_up";

/// Looks for missed messages, whenever that was last done. What came of it is recorded.
pub async fn catch_up(app: &App) -> Result<ScheduledJob, StoreError> {
    let (now, began) = (app.clock.now(), Instant::now());
    let last = app.store.schedule().await?.into_iter().find(|run| run.job == CATCH_UP_JOB);
    let last = last.map(|run| if run.failed { Err(run.result) } else { Ok(run.result) });
    let outcome = catch_up::run(app).await;
    catch_up::log_outcome(&outcome, last.as_ref());
    let (result, failed) = match outcome {
        Ok(result) => (result, false),
        Err(why) => (why, true),
    };
    record(app, CATCH_UP_JOB, catch_up::CATCH_UP_INTERVAL, (now, began), result, failed).await
}

/// Runs the jobs that are due, or all of them. What each did is recorded, and told to the caller.
pub async fn run(app: &App, all: bool) -> Result<Vec<ScheduledJob>, StoreError> {
    let mut runs = Vec::new();
    for (job, name, every) in JOBS {
        let now = app.clock.now();
        if !all && app.store.next_run(name).await?.is_some_and(|due| due > now) {
            continue;
        }
        let began = Instant::now();
        let outcome = perform(app, job).await;
        let (result, failed) = match outcome {
            Ok(result) => (result, false),
            Err(why) => {
                error!(job = name, %why, "a regular job failed");
                (why.to_string(), true)
            }
        };
        runs.push(record(app, name, every, (now, began), result, failed).await?);
    }
    Ok(runs)
}

async fn record(
    app: &App,
    job: &str,
    every: Duration,
    (now, began): (Time, Instant),
    result: String,
    failed: bool,
) -> Result<ScheduledJob, StoreError> {
    let took_ms = i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX);
    let run = ScheduledJob { job: job.to_owned(), last_run_at: now, took_ms, result, failed, next_run_at: now + every };
    app.store.record_run(run.clone()).await?;
    Ok(run)
}

async fn perform(app: &App, job: Job) -> Outcome<String> {
    let (store, now, times) = (&app.store, app.clock.now(), &app.config.conversation);
    match job {
        Job::ExpireTurns => {
            let turns = store.expire_overdue_turns(now).await?;
            if turns > 0 {
                error!(turns, "turns expired unanswered: 23 hours have passed since the contact wrote");
            }
            Ok(format!("{turns} turns expired"))
        }
        Job::EndIdle => {
            let ended = store.end_idle_conversations(now - times.ttl, now).await?;
            Ok(format!("{ended} conversations ended"))
        }
        Job::DeleteEnded => {
            let Some(kept) = times.retention else { return Ok("conversations are kept".into()) };
            let deleted = store.delete_ended_conversations(now - kept).await?;
            if deleted > 0 {
                info!(deleted, "conversations past their retention were deleted");
            }
            Ok(format!("{deleted} conversations deleted"))
        }
        Job::DeleteAlerts => {
            let Some(kept) = times.retention else { return Ok("alerts are kept".into()) };
            let deleted = store.delete_alerts(now - kept).await?;
            Ok(format!("{deleted} alerts deleted"))
        }
        Job::DeleteWebhookLog => {
            let Some(kept) = times.webhook_log_retention else { return Ok("the log is kept".into()) };
            let deleted = store.delete_webhook_log(now - kept).await?;
            Ok(format!("{deleted} lines of the webhook log deleted"))
        }
        Job::ForgetOldUsage => {
            let forgotten = store.delete_old_charges(now - USAGE_RETENTION).await?;
            Ok(format!("{forgotten} old figures of spending forgotten"))
        }
        Job::RemoveFiles => {
            let removed = unused_files::remove_unused_files(app).await?;
            Ok(format!("{removed} files removed"))
        }
    }
}
