//! Scheduled backups. They take long, so they have a schedule of their own: they delay neither the queue nor the other
//! regular jobs, and `mynah cleanup` does not make one.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::{alerts, schedule};
use crate::app::App;
use crate::backup::{self, BackupOptions, Rotation, Stopped};
use crate::clock::Time;
use crate::config::BackupConfig;
use crate::disk_space::in_units;
use crate::store::{ScheduledJob, StoreError};

/// How often the worker looks whether a backup is due.
pub(super) const CHECK_INTERVAL: Duration = Duration::from_secs(60);

/// How long after a failure the next backup is tried.
const RETRY_DELAY: Duration = Duration::from_secs(3600);

/// How long a stop waits until what a backup has written is removed.
const CLEAN_UP_TIMEOUT: Duration = Duration::from_secs(5);

/// Makes a backup if one is due, and records the result. Returns whether one was due.
pub async fn run_if_due(app: Arc<App>, stop: CancellationToken) -> Result<bool, StoreError> {
    let now = app.clock.now();
    let Some(every) = app.config.backup.every else {
        // The owner wants none, so nobody is to mend what failed.
        alerts::record_recovery(&app, "backup", "").await;
        return Ok(false);
    };
    // A clock that was ahead for a while must not put backups off until then.
    if due_at(&app, every).await?.is_some_and(|due| due > now && due <= now + every) {
        return Ok(false);
    }
    let began = Instant::now();
    let (making, stopping) = (Arc::clone(&app), stop.clone());
    let mut made = tokio::task::spawn_blocking(move || make(&making, &stopping));
    let made = tokio::select! {
        made = &mut made => made,
        () = stop.cancelled() => match tokio::time::timeout(CLEAN_UP_TIMEOUT, made).await {
            Ok(made) => made,
            // It ends with the process. The next backup removes what it leaves.
            Err(_) => return Ok(true),
        },
    };
    let (result, failed, next) =
        match made.unwrap_or_else(|_| Err(anyhow::anyhow!("a bug in mynah: the backup panicked"))) {
            Ok(result) => {
                info!(result, "a backup was made");
                alerts::record_recovery(&app, "backup", "").await;
                (result, false, every)
            }
            Err(error) if error.is::<Stopped>() => return Ok(true),
            Err(error) => {
                let why = format!("{error:#}");
                error!(why, "the backup failed");
                alerts::record(&app, "backup", "", why.clone()).await;
                (why, true, every.min(RETRY_DELAY))
            }
        };
    schedule::record(&app, ScheduledJob::BACKUP, next, (now, began), result, failed).await?;
    Ok(true)
}

/// Returns when the next backup is due; `None` if there was none yet. A changed interval counts from the last backup on.
async fn due_at(app: &App, every: Duration) -> Result<Option<Time>, StoreError> {
    let last = app.store.schedule().await?.into_iter().find(|run| run.job == ScheduledJob::BACKUP);
    Ok(last.map(|run| if run.failed { run.next_run_at } else { run.last_run_at + every }))
}

/// Makes a backup and removes the oldest. Returns what was done, in a sentence.
fn make(app: &App, stop: &CancellationToken) -> Result<String> {
    let BackupConfig { dir, recipients, kept, .. } = &app.config.backup;
    if *dir == app.config.data.default_backup_dir() {
        let created = DirBuilder::new().recursive(true).mode(0o700).create(dir);
        created.with_context(|| format!("the folder {} cannot be created", dir.display()))?;
    } else if !dir.is_dir() {
        // Not created: a disk that is not mounted would be taken for one.
        bail!("there is no folder {} (MYNAH_BACKUP_DIR): create it, or mount its disk", dir.display());
    }
    let host = app.config.server.public_url.as_ref().and_then(|url| url.host_str());
    let rotation = Rotation::new(dir, host);
    // First, because they may be what fills the disk.
    rotation.remove_drafts()?;
    let named_at = app.clock.now();
    let options = BackupOptions {
        file: rotation.path(named_at, !recipients.is_empty()),
        recipients: recipients.clone(),
        overwrite: false,
    };
    let report = backup::create(&app.config.data, &options, app.clock.as_ref(), &mut |_| !stop.is_cancelled())?;
    let mut sentence = format!("{}, {}", options.file.display(), in_units(report.bytes));
    let missing = report.contents.end.missing_files.len();
    if missing > 0 {
        sentence += &format!("; {missing} files are missing or damaged in the folder media");
    }
    let removed = rotation.remove_oldest(*kept, named_at)?.len();
    if removed > 0 {
        sentence += &format!("; removed {removed} old");
    }
    Ok(sentence)
}
