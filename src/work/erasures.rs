//! What a running process does about persons whom an operator erased, mostly in another process: it forgets what it has
//! cached, cancels model calls about them, and finishes what the erasure could not.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use anyhow::Result;
use tracing::{info, warn};

use super::unused_files;
use crate::app::App;
use crate::personal_data::FILE_GRACE;

/// How often the worker looks for erasures.
pub(super) const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Looks for erasures. `seen` is the latest one that this process knows.
pub async fn check(app: &App, seen: &AtomicI64) -> Result<()> {
    let latest = app.store.latest_erasure().await?;
    if latest > seen.load(Ordering::Relaxed) {
        // It is not known which entries are about the person: nothing that names them is kept.
        app.cache.clear().await;
        for turn in app.running_turns.turns() {
            if !app.store.is_turn_running(turn).await? {
                app.running_turns.interrupt(turn);
            }
        }
        seen.store(latest, Ordering::Relaxed);
        info!("a person was erased; forgot what was cached");
    }
    for erasure in app.store.unfinished_erasures().await? {
        if app.clock.now() < erasure.erased_at + FILE_GRACE {
            continue;
        }
        // What was being read at that moment may have been cached or stored since.
        app.cache.clear().await;
        unused_files::remove_unused_files(app, FILE_GRACE).await?;
        if app.store.empty_log().await? {
            app.store.finish_erasure(erasure.id).await?;
            info!(erasure = erasure.id, "finished an erasure: its files and the database's log are removed");
        } else {
            warn!(erasure = erasure.id, "the database's log is in use; an erasure is finished later");
        }
    }
    Ok(())
}
