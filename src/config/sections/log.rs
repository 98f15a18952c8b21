//! The log: what mynah logs, and where.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::schema::parse;
use crate::config::schema::parse::Parsed;
use crate::config::schema::problem::Rejected;
use crate::config::sources::reader::SettingsReader;

/// What mynah logs, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// A filter such as `info` or `info,mynah=debug`.
    pub filter: String,
    /// The format of the log on stderr.
    pub format: LogFormat,
    /// The folder of the daily JSON files; `None` logs only to stderr.
    pub dir: Option<PathBuf>,
    /// How many daily files are kept, today's included; `None` keeps all.
    pub max_files: Option<usize>,
}

const DAY: Duration = Duration::from_secs(86_400);

/// Parses a retention as a number of daily files. Today's file comes on top of those of the days before.
fn parse_retention(text: &str) -> Parsed<Option<usize>> {
    let kept = parse::duration(text, Duration::ZERO..=DAY * 3_650)?;
    if kept.is_zero() {
        return Ok(None);
    }
    let days = kept.as_secs().div_ceil(DAY.as_secs());
    usize::try_from(days).map(|days| Some(days + 1)).map_err(|_| Rejected::default())
}

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object on each line.
    Json,
}

pub(in crate::config) fn read(reader: &mut SettingsReader) -> LogConfig {
    LogConfig {
        filter: reader.read_or_default("MYNAH_LOG", parse::filter),
        format: reader.read_or_default("MYNAH_LOG_FORMAT", |text| {
            parse::choice(text, &[("text", LogFormat::Text), ("json", LogFormat::Json)])
        }),
        dir: reader.read_path("MYNAH_LOG_DIR"),
        max_files: reader.read_or_default("MYNAH_LOG_RETENTION", parse_retention),
    }
}
