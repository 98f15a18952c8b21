//! The log: to stderr, and to a file per day if a folder is set.
//!
//! Lines on stderr are written at once, so that the last line before a crash is not lost. A thread of its own writes
//! the files, so that a slow disk delays no answer.

use std::error::Error;
use std::fs;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use tracing::Subscriber;
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_appender::rolling::{RollingFileAppender, Rotation};
use tracing_subscriber::filter::{ParseError, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::writer::MakeWriterExt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Layer, Registry};

use crate::config::{LogConfig, LogFormat};
use crate::text;

/// How many daily files are kept: today's and those of the two weeks before.
const MAX_LOG_FILES: usize = 15;

/// The most lines that wait for the disk. Further lines are dropped. The crate's default of 128,000 would allocate some
/// megabytes at the start.
const WAITING_LINES: usize = 8_192;

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

/// Starts the log of the process. Call it once.
pub fn start(config: &LogConfig) -> Result<LogGuard, TelemetryError> {
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let (subscriber, guard) = build_subscriber(config, io::stderr, io::stderr().is_terminal() && !plain)?;
    subscriber.try_init()?;
    Ok(guard)
}

fn build_subscriber<W>(
    config: &LogConfig,
    stderr: W,
    colour: bool,
) -> Result<(impl Subscriber + Send + Sync, LogGuard), TelemetryError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter: Targets =
        config.filter.parse().map_err(|source| TelemetryError::Filter { filter: config.filter.clone(), source })?;
    let (file, guard) = match &config.dir {
        Some(dir) => open_log_file(dir).map(|(file, guard)| (Some(file), Some(guard)))?,
        None => (None, None),
    };
    let lines: Vec<Box<dyn Layer<Registry> + Send + Sync>> = match (config.format, file) {
        (LogFormat::Text, file) => {
            let text = tracing_subscriber::fmt::layer()
                .compact()
                .with_ansi(colour)
                .with_writer(HiddenCharFilter { inner: stderr, colour });
            let mut lines: Vec<Box<dyn Layer<Registry> + Send + Sync>> = vec![text.boxed()];
            lines.extend(file.map(json_layer));
            lines
        }
        // Both get the same line, so it is formatted once.
        (LogFormat::Json, Some(file)) => vec![json_layer(stderr.and(file))],
        (LogFormat::Json, None) => vec![json_layer(stderr)],
    };
    Ok((tracing_subscriber::registry().with(lines).with(filter), LogGuard { _file_writer: guard }))
}

/// Removes invisible characters, and characters that reverse the writing direction, from each line. They may come from
/// a model's server or a contact.
struct HiddenCharFilter<W> {
    inner: W,
    /// Whether the log writes colors. These begin with an invisible character, which then stays.
    colour: bool,
}

impl<'a, W: MakeWriter<'a>> MakeWriter<'a> for HiddenCharFilter<W> {
    type Writer = HiddenCharFilter<W::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        HiddenCharFilter { inner: self.inner.make_writer(), colour: self.colour }
    }
}

impl<W: io::Write> io::Write for HiddenCharFilter<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        const ESCAPE: char = '\u{1b}';
        let hides = |char: char| text::is_hidden(char) && !(self.colour && char == ESCAPE);
        match str::from_utf8(line) {
            Ok(text) if text.contains(hides) => self.inner.write_all(text.replace(hides, "").as_bytes())?,
            _ => self.inner.write_all(line)?,
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

fn json_layer<S, W>(writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let layer = tracing_subscriber::fmt::layer().json().flatten_event(true).with_current_span(true);
    layer.with_span_list(false).with_writer(HiddenCharFilter { inner: writer, colour: false }).boxed()
}

fn open_log_file(dir: &Path) -> Result<(NonBlocking, WorkerGuard), TelemetryError> {
    let dir_error = |source| TelemetryError::Dir { dir: dir.to_owned(), source };
    // The appender would create the folder, too, but first complain on stderr that it cannot read the folder.
    fs::create_dir_all(dir).map_err(|error| dir_error(error.into()))?;
    let file = RollingFileAppender::builder()
        .rotation(Rotation::DAILY)
        .filename_prefix("mynah")
        .filename_suffix("log")
        .max_log_files(MAX_LOG_FILES)
        .build(dir)
        .map_err(|error| dir_error(error.into()))?;
    Ok(NonBlockingBuilder::default().buffered_lines_limit(WAITING_LINES).thread_name("log").finish(file))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing::subscriber::with_default;

    use super::*;

    /// The text that was written to stderr.
    #[derive(Clone, Default)]
    struct CapturedStderr(Arc<Mutex<Vec<u8>>>);

    impl io::Write for CapturedStderr {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl CapturedStderr {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    fn captured_log(config: &LogConfig, colour: bool, log: impl FnOnce()) -> String {
        let screen = CapturedStderr::default();
        let writer = screen.clone();
        let (subscriber, guard) = build_subscriber(config, move || writer.clone(), colour).unwrap();
        with_default(subscriber, log);
        drop(guard);
        screen.text()
    }

    fn config(filter: &str, format: LogFormat, dir: Option<&Path>) -> LogConfig {
        LogConfig { filter: filter.into(), format, dir: dir.map(Path::to_owned) }
    }

    /// Returns the name and the text of the only file in the folder.
    fn file_in(dir: &Path) -> (String, String) {
        let files: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(files.len(), 1, "{files:?}");
        let name = files[0].file_name().unwrap().to_string_lossy().into_owned();
        (name, fs::read_to_string(&files[0]).unwrap())
    }

    #[test]
    fn a_wrong_filter_is_an_error_that_names_its_setting() {
        let wrong = config("mynah=loud", LogFormat::Text, None);
        let error = start(&wrong).unwrap_err().to_string();
        assert_eq!(
            error,
            "MYNAH_LOG: \"mynah=loud\" is not a valid filter; expected a filter such as info or info,mynah=debug"
        );
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_an_error_that_names_its_setting() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = start(&config("info", LogFormat::Text, Some(&file.path().join("logs")))).unwrap_err();
        assert!(error.to_string().starts_with("MYNAH_LOG_DIR: cannot write to "), "{error}");
    }

    #[test]
    fn the_filter_decides_what_is_logged() {
        let text = captured_log(&config("info,quiet=error", LogFormat::Text, None), false, || {
            tracing::info!("seen");
            tracing::debug!("unseen detail");
            tracing::warn!(target: "quiet", "unseen warning");
        });
        assert!(text.contains("seen") && !text.contains("unseen"), "{text}");
    }

    #[test]
    fn nothing_hides_in_a_line_whoever_wrote_it() {
        let deceives = "\u{1b}[31mpay \u{202e}001\u{2066} hi\u{e0068}\u{e0069}\u{feff} é\u{85}";
        let dir = tempfile::tempdir().unwrap();
        for (format, dir) in [(LogFormat::Text, None), (LogFormat::Json, None), (LogFormat::Text, Some(dir.path()))] {
            let mut text = captured_log(&config("info", format, dir), false, || {
                tracing::info!(shown = %deceives, quoted = deceives, "they said {deceives}");
            });
            if let Some(dir) = dir {
                text.push_str(&file_in(dir).1);
            }
            let kept: Vec<_> = text.chars().filter(|char| *char != '\n' && text::is_hidden(*char)).collect();
            assert!(kept.is_empty() && text.contains("[31mpay 001 hi é"), "{format:?} {kept:?} {text}");
        }
        let coloured =
            captured_log(&config("info", LogFormat::Text, None), true, || tracing::info!(shown = %deceives, "bright"));
        assert!(coloured.contains('\u{1b}') && !coloured.contains('\u{202e}'), "{coloured}");
    }

    #[test]
    fn log_text_is_colored_only_if_asked() {
        let config = config("info", LogFormat::Text, None);
        assert!(!captured_log(&config, false, || tracing::info!(turn = 7, "plain")).contains('\u{1b}'));
        assert!(captured_log(&config, true, || tracing::info!(turn = 7, "bright")).contains('\u{1b}'));
    }

    #[test]
    fn json_is_one_object_on_each_line_with_its_fields_and_its_span() {
        let text = captured_log(&config("info", LogFormat::Json, None), false, || {
            let _turn = tracing::info_span!("answer", turn = 7).entered();
            tracing::info!(parts = 2, "sent");
        });
        let line: serde_json::Value = serde_json::from_str(text.trim_end()).unwrap();
        assert_eq!((&line["message"], &line["parts"], &line["level"]), (&"sent".into(), &2.into(), &"INFO".into()));
        assert_eq!(line["span"], serde_json::json!({"name": "answer", "turn": 7}));
    }

    #[test]
    fn a_folder_gets_the_same_lines_as_json_by_the_time_the_guard_is_gone() {
        for format in [LogFormat::Text, LogFormat::Json] {
            let dir = tempfile::tempdir().unwrap();
            let logs = dir.path().join("logs");
            let screen = captured_log(&config("info", format, Some(&logs)), true, || tracing::info!(parts = 2, "sent"));
            let (name, text) = file_in(&logs);
            let day = name.strip_prefix("mynah.").and_then(|rest| rest.strip_suffix(".log")).unwrap();
            assert!(day.parse::<jiff::civil::Date>().is_ok() && day.len() == 10, "{name}");
            let line: serde_json::Value = serde_json::from_str(text.trim_end()).unwrap();
            assert_eq!((&line["message"], &line["parts"]), (&"sent".into(), &2.into()));
            assert_eq!(screen == text, format == LogFormat::Json, "{screen}");
        }
    }

    #[test]
    fn today_and_two_weeks_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        for day in 1..=20 {
            fs::write(dir.path().join(format!("mynah.2026-01-{day:02}.log")), "{}\n").unwrap();
        }
        fs::write(dir.path().join("other.log"), "").unwrap();
        captured_log(&config("info", LogFormat::Text, Some(dir.path())), false, || tracing::info!("today"));
        let names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names.iter().filter(|name| name.to_string_lossy().starts_with("mynah.")).count(), MAX_LOG_FILES);
        assert!(names.iter().any(|name| name == "other.log"));
    }
}
