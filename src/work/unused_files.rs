//! Files that nobody needs any more.

use std::time::Duration;

use anyhow::Result;
use tracing::info;

use crate::app::App;

/// A file is put before the row that keeps it: what was put so short a time ago may be waiting for its row.
const GRACE: Duration = Duration::from_secs(3600);

/// Removes the files that no conversation holds, a shelf at a time; how many. A crash in the middle leaves the rest for the
/// next time.
pub(super) async fn remove_unused_files(app: &App) -> Result<usize> {
    let before = app.clock.now() - GRACE;
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
            Ok::<_, crate::files::FileStoreError>(removed)
        })
        .await??;
    }
    if removed > 0 {
        info!(removed, "files that no conversation holds were removed");
    }
    Ok(removed)
}
