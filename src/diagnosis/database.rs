//! The database: it opens, is sound, has a schema that this program knows, and takes a write.

use std::path::Path;
use std::time::Duration;

use super::finding::Finding;
use crate::app::App;
use crate::store::{self, Inspection, StoreError};

pub(super) const NAME: &str = "database";

/// How long the content of a large file is checked.
const INTEGRITY_LIMIT: Duration = Duration::from_secs(20);

/// Checks the file before anything else opens it. Says nothing if all is well: then [`check_write`] does.
pub(super) async fn check_file(path: &Path) -> Option<Finding> {
    if !path.exists() {
        return None;
    }
    let (file, shown) = (path.to_owned(), path.display());
    let inspected = tokio::task::spawn_blocking(move || store::inspect(&file, INTEGRITY_LIMIT)).await;
    match inspected {
        Ok(Ok(Inspection::Sound)) => None,
        Ok(Ok(Inspection::Unfinished)) => {
            let limit = INTEGRITY_LIMIT.as_secs();
            Some(Finding::ok(NAME, format!("{shown} is large; what was checked of it in {limit} s is sound")))
        }
        Ok(Ok(Inspection::Damaged(what))) => Some(damaged(format!("{shown} is damaged: {}", what.join("; ")))),
        Ok(Ok(Inspection::Newer { schema, known })) => {
            let found = format!(
                "{shown} has schema {schema}, which a newer program wrote; this program knows the schemas up to {known}"
            );
            let remedy = "run the newest version of mynah that has used this data folder; an older one cannot read it";
            Some(Finding::failed(NAME, found, remedy))
        }
        Ok(Err(error)) => Some(explain_error(&error, path)),
        Err(panic) => Some(damaged(format!("{shown} cannot be checked: {panic}"))),
    }
}

/// Checks that a write takes effect.
pub(super) async fn check_write(app: &App) -> Finding {
    let path = &app.config.data.database;
    let shown = path.display();
    if let Err(error) = app.store.probe_write().await {
        return explain_error(&error, path);
    }
    match app.store.backlog().await {
        Ok(backlog) => {
            let found = format!("{shown} is sound and up to date, and takes writes; {} turns wait", backlog.waiting);
            Finding::ok(NAME, found)
        }
        Err(error) => explain_error(&error, path),
    }
}

fn damaged(found: String) -> Finding {
    let remedy = "stop mynah, check the disk, and restore a backup; keep the damaged file until you have done so";
    Finding::failed(NAME, found, remedy)
}

/// Explains an error of the store.
pub(super) fn explain_error(error: &StoreError, path: &Path) -> Finding {
    let found = error.to_string();
    let shown = path.display();
    match error {
        StoreError::Fatal(_) => damaged(found),
        StoreError::Open(_) => Finding::failed(
            NAME,
            found,
            format!(
                "make {shown} and its folder readable and writable for the user who runs mynah, and check DATABASE_URL"
            ),
        ),
        _ => Finding::failed(NAME, found, "free space on the disk, and check that it is not mounted read-only"),
    }
}
