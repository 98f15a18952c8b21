//! The daily files of the log.

use std::fs;
use std::path::Path;

use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_appender::rolling::{RollingFileAppender, Rotation};

use super::TelemetryError;

/// The most lines that wait for the disk. Further lines are dropped. The crate's default of 128,000 would allocate some
/// megabytes at the start.
const WAITING_LINES: usize = 8_192;

/// Opens today's file in the folder. `max_files`: how many daily files are kept, today's included; `None` keeps all.
pub(super) fn open(dir: &Path, max_files: Option<usize>) -> Result<(NonBlocking, WorkerGuard), TelemetryError> {
    let dir_error = |source| TelemetryError::Dir { dir: dir.to_owned(), source };
    // The appender would create the folder, too, but first complain on stderr that it cannot read the folder.
    fs::create_dir_all(dir).map_err(|error| dir_error(error.into()))?;
    let builder =
        RollingFileAppender::builder().rotation(Rotation::DAILY).filename_prefix("mynah").filename_suffix("log");
    let builder = match max_files {
        Some(most) => builder.max_log_files(most),
        None => builder,
    };
    let file = builder.build(dir).map_err(|error| dir_error(error.into()))?;
    Ok(NonBlockingBuilder::default().buffered_lines_limit(WAITING_LINES).thread_name("log").finish(file))
}
