//! The backups that `serve` makes: the last one worked, and is not long ago.

use super::finding::Finding;
use crate::app::App;
use crate::store::ScheduledJob;

const NAME: &str = "backup";

pub(super) async fn check(app: &App) -> Finding {
    let Some(every) = app.config.backup.every else {
        return Finding::skipped(NAME, "scheduled backups are off (MYNAH_BACKUP_EVERY=0)");
    };
    let schedule = match app.store.schedule().await {
        Ok(schedule) => schedule,
        Err(error) => return Finding::skipped(NAME, format!("not known: {error}")),
    };
    let Some(last) = schedule.into_iter().find(|run| run.job == ScheduledJob::BACKUP) else {
        return Finding::ok(NAME, "there is none yet; `mynah serve` makes one soon after it starts");
    };
    if last.failed {
        let found = format!("the last one failed at {}: {}", last.last_run_at, last.result);
        return Finding::warning(NAME, found, "mend what it says; `mynah serve` tries again within the hour");
    }
    let found = format!("the last one is of {}: {}", last.last_run_at, last.result);
    if last.last_run_at + every + every < app.clock.now() {
        Finding::warning(NAME, found, "it should be newer: start `mynah serve`, and look at its log")
    } else {
        Finding::ok(NAME, found)
    }
}
