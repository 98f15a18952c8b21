//! The log: to stderr, and to a file per day if a folder is set.
//!
//! Lines on stderr are written at once, so that the last line before a crash is not lost. A thread of its own writes
//! the files, so that a slow disk delays no answer. Under systemd, stderr goes to the journal, which adds the time and
//! reads the priority of each line.
//!
//! Each webhook and each turn has a span, whose fields (turn, conversation, number, channel) stand on each of its
//! lines, and by which the filter can select. The spans have the level `error`, so that no filter hides them.

mod clean_writer;
mod files;
mod journal;

use std::error::Error;
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::sync::OnceLock;

use tracing::Subscriber;
use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::filter::{EnvFilter, ParseError};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::writer::MakeWriterExt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Layer, Registry, reload};

use self::clean_writer::{CleanWriter, Target};
use crate::config::{LogConfig, LogFormat};

/// Changes the filter of the running log.
type FilterHandle = reload::Handle<EnvFilter, tracing_subscriber::layer::Layered<Vec<BoxedLayer>, Registry>>;

type BoxedLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// The filter of the log of the process, once it runs.
static FILTER: OnceLock<FilterHandle> = OnceLock::new();

/// Keeps the log running. Dropping it writes the lines that still wait.
#[must_use = "the log ends when this is dropped"]
#[derive(Debug)]
pub struct LogGuard {
    _file_writer: Option<WorkerGuard>,
}

/// Why the log could not be started.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is not valid.
    #[error("MYNAH_LOG: {filter:?} is not a valid filter; expected a filter such as info or info,mynah=debug")]
    Filter {
        /// The filter as given.
        filter: String,
        /// The parse error.
        source: ParseError,
    },
    /// The folder cannot be created or written to.
    #[error("MYNAH_LOG_DIR: cannot write to {}", dir.display())]
    Dir {
        /// The folder.
        dir: PathBuf,
        /// The cause.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The log was already started in this process.
    #[error("the log is already running")]
    AlreadyRunning(#[from] TryInitError),
}

/// What stderr is.
#[derive(Clone, Copy, Debug)]
struct Stderr {
    colour: bool,
    target: Target,
}

/// Starts the log of the process. Call it once.
pub fn start(config: &LogConfig) -> Result<LogGuard, TelemetryError> {
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let target = if journal::receives_stderr() { Target::Journal } else { Target::Plain };
    let colour = target == Target::Plain && io::stderr().is_terminal() && !plain;
    let (subscriber, filter, guard) = build_subscriber(config, io::stderr, Stderr { colour, target })?;
    subscriber.try_init()?;
    // Only the first call gets this far.
    drop(FILTER.set(filter));
    Ok(guard)
}

/// Replaces the filter of the running log. Does nothing if no log runs.
pub fn set_filter(filter: &str) -> Result<(), TelemetryError> {
    let filter = parse_filter(filter)?;
    if let Some(running) = FILTER.get() {
        // This fails only after the log has ended.
        drop(running.reload(filter));
    }
    Ok(())
}

fn parse_filter(filter: &str) -> Result<EnvFilter, TelemetryError> {
    EnvFilter::builder().parse(filter).map_err(|source| TelemetryError::Filter { filter: filter.to_owned(), source })
}

fn build_subscriber<W>(
    config: &LogConfig,
    writer: W,
    stderr: Stderr,
) -> Result<(impl Subscriber + Send + Sync, FilterHandle, LogGuard), TelemetryError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let (filter, handle) = reload::Layer::new(parse_filter(&config.filter)?);
    let (file, guard) = match &config.dir {
        Some(dir) => files::open(dir, config.max_files).map(|(file, guard)| (Some(file), Some(guard)))?,
        None => (None, None),
    };
    let lines: Vec<BoxedLayer> = match (config.format, stderr.target, file) {
        // Both get the same line, so it is formatted once.
        (LogFormat::Json, Target::Plain, Some(file)) => vec![json_layer(writer.and(file), Target::Plain)],
        (format, target, file) => {
            let to_stderr = match format {
                LogFormat::Text => text_layer(writer, stderr),
                LogFormat::Json => json_layer(writer, target),
            };
            std::iter::once(to_stderr).chain(file.map(|file| json_layer(file, Target::Plain))).collect()
        }
    };
    let subscriber = tracing_subscriber::registry().with(lines).with(filter);
    Ok((subscriber, handle, LogGuard { _file_writer: guard }))
}

fn text_layer<W>(writer: W, stderr: Stderr) -> BoxedLayer
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let writer = CleanWriter::new(writer, stderr.colour, stderr.target);
    let layer = tracing_subscriber::fmt::layer().compact().with_ansi(stderr.colour).with_writer(writer);
    match stderr.target {
        Target::Plain => layer.boxed(),
        Target::Journal => layer.without_time().boxed(),
    }
}

fn json_layer<S, W>(writer: W, target: Target) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let layer = tracing_subscriber::fmt::layer().json().flatten_event(true).with_current_span(true);
    layer.with_span_list(false).with_writer(CleanWriter::new(writer, false, target)).boxed()
}

#[cfg(test)]
mod tests;
