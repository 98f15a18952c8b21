//! The regular jobs, which run by the clock.
//!
//! To add a job, add a row in [`JOBS`] and an arm in [`perform`]. The store records when each job last ran, with what
//! result, and when it runs next. It keeps this over a restart.

use std::time::{Duration, Instant};

use anyhow::Result as Outcome;
use tracing::{error, info};

use super::{alerts, catch_up, unused_files};
use crate::app::App;
use crate::clock::Time;
use crate::disk_space::low_disk_space;
use crate::store::{ScheduledJob, StoreError};

/// How long usage is kept. Budgets need it for a month.
const USAGE_RETENTION: Duration = Duration::from_secs(62 * 86_400);

/// How long an erased message is recognized if it comes again.
const ERASED_MESSAGE_RETENTION: Duration = Duration::from_secs(31 * 86_400);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Job {
    CheckDisk,
    CheckBudgets,
    ExpireTurns,
    EndIdle,
    DeleteEnded,
    DeleteAlerts,
    DeleteWebhookLog,
    ForgetOldUsage,
    ForgetErasedMessages,
    DeleteAdminSessions,
    RemoveFiles,
}

/// The jobs with their names and intervals.
const JOBS: [(Job, &str, Duration); 11] = [
    (Job::CheckDisk, "check_disk", Duration::from_secs(10 * 60)),
    (Job::CheckBudgets, "check_budgets", Duration::from_secs(10 * 60)),
    (Job::ExpireTurns, "expire_turns", Duration::from_secs(10 * 60)),
    (Job::EndIdle, "end_idle_conversations", Duration::from_secs(10 * 60)),
    (Job::DeleteEnded, "delete_old_conversations", Duration::from_secs(3600)),
    (Job::DeleteAlerts, "delete_old_alerts", Duration::from_secs(3600)),
    (Job::DeleteWebhookLog, "delete_old_webhook_log", Duration::from_secs(3600)),
    (Job::ForgetOldUsage, "forget_old_spending", Duration::from_secs(86_400)),
    (Job::ForgetErasedMessages, "forget_erased_messages", Duration::from_secs(86_400)),
    (Job::DeleteAdminSessions, "delete_ended_sessions", Duration::from_secs(3600)),
    (Job::RemoveFiles, "remove_unused_files", Duration::from_secs(3600)),
];

/// The name of the job that catches up with missed messages. It calls the provider, so it has a schedule of its own: it
/// never delays the other jobs, and `mynah cleanup` does not run it.
const CATCH_UP_JOB: &str = "catch_up";

/// Catches up with missed messages now, whether or not that is due, and records the result.
pub async fn catch_up(app: &App) -> Result<ScheduledJob, StoreError> {
    let (now, began) = (app.clock.now(), Instant::now());
    let last = app.store.schedule().await?.into_iter().find(|run| run.job == CATCH_UP_JOB);
    let last = last.map(|run| if run.failed { Err(run.result) } else { Ok(run.result) });
    let has_failed_before = last.as_ref().is_some_and(Result::is_err);
    let outcome = catch_up::run(app).await;
    catch_up::log_outcome(&outcome, last.as_ref());
    let (result, failed) = match outcome {
        Ok(result) => (result, false),
        Err(why) => (why, true),
    };
    // One failure is nothing: the next run is a minute away.
    if failed && has_failed_before {
        alerts::record(app, "catch_up", "", result.clone()).await;
    } else if !failed {
        alerts::record_recovery(app, "catch_up", "").await;
    }
    record(app, CATCH_UP_JOB, catch_up::CATCH_UP_INTERVAL, (now, began), result, failed).await
}

/// Runs the jobs that are due, or `all` jobs. Records and returns the result of each.
pub async fn run(app: &App, all: bool) -> Result<Vec<ScheduledJob>, StoreError> {
    let mut runs = Vec::new();
    for (job, name, every) in JOBS {
        let now = app.clock.now();
        // A clock that was ahead for a while must not put a job off until then.
        if !all && app.store.next_run(name).await?.is_some_and(|due| due > now && due <= now + every) {
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

pub(super) async fn record(
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
        Job::CheckDisk => match low_disk_space(&app.config.data.dir) {
            Some(why) => {
                error!(why, "the disk is nearly full");
                alerts::record(app, "disk", "", why.clone()).await;
                Ok(why)
            }
            None => {
                alerts::record_recovery(app, "disk", "").await;
                Ok("there is enough room".into())
            }
        },
        Job::CheckBudgets => {
            // A day or a month has ended, or the owner has raised the budget.
            let with_room = store.shared_budgets_with_room(now).await?;
            for budget in &with_room {
                alerts::record_recovery(app, "budget", budget).await;
            }
            Ok(format!("{} of 2 shared budgets have room", with_room.len()))
        }
        Job::ExpireTurns => {
            let turns = store.expire_overdue_turns(now).await?;
            if turns > 0 {
                error!(turns, "turns expired without an answer, because their 23 hours have passed");
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
                info!(deleted, "deleted conversations past their retention");
            }
            Ok(format!("{deleted} conversations deleted"))
        }
        Job::DeleteAlerts => {
            let Some(kept) = times.retention else { return Ok("alerts are kept".into()) };
            let deleted = store.delete_alerts(now - kept).await?;
            Ok(format!("{deleted} alerts deleted"))
        }
        Job::DeleteWebhookLog => {
            let Some(kept) = times.webhook_log_retention else { return Ok("the webhook log is kept".into()) };
            let deleted = store.delete_webhook_log(now - kept).await?;
            Ok(format!("{deleted} entries of the webhook log deleted"))
        }
        Job::ForgetOldUsage => {
            let forgotten = store.delete_old_charges(now - USAGE_RETENTION).await?;
            Ok(format!("{forgotten} old usage records deleted"))
        }
        Job::ForgetErasedMessages => {
            let forgotten = store.delete_erased_messages(now - ERASED_MESSAGE_RETENTION).await?;
            Ok(format!("{forgotten} hashes of erased messages deleted"))
        }
        Job::DeleteAdminSessions => {
            let deleted = store.delete_ended_admin_sessions(now).await?;
            Ok(format!("{deleted} sessions of the admin page deleted"))
        }
        Job::RemoveFiles => {
            let removed = unused_files::remove_unused_files(app, unused_files::GRACE).await?;
            Ok(format!("{removed} files removed"))
        }
    }
}
