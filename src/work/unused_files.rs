//! Removes files that no conversation uses.

use std::time::Duration;

use anyhow::Result;
use tracing::info;

use crate::app::App;

/// How old a file must be to be removed. A file is written before the row that refers to it, so a newer one may still
/// wait for its row.
pub(super) const GRACE: Duration = Duration::from_secs(3600);

/// Removes the files that no conversation uses and that are older than `grace`, one shelf of the file store at a time. Returns how many it removed. If
/// mynah crashes in the middle, the next run removes the rest.
pub(super) async fn remove_unused_files(app: &App, grace: Duration) -> Result<usize> {
    let before = app.clock.now() - grace;
    let mut removed = 0;
    for shelf in 0..=u8::MAX {
        let files = app.files.clone();
        let old = tokio::task::spawn_blocking(move || files.files_older_than(shelf, before)).await??;
        if old.is_empty() {
            continue;
        }
        let unowned = app.store.unused_files(old).await?;
        let files = app.files.clone();
        removed += tokio::task::spawn_blocking(move || {
            let mut removed = 0;
            for hash in &unowned {
                removed += usize::from(files.remove_if_older(hash, before)?);
            }
            Ok::<_, crate::file_store::FileStoreError>(removed)
        })
        .await??;
    }
    if removed > 0 {
        info!(removed, "removed files that no conversation uses");
    }
    Ok(removed)
}
