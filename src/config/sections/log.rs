//! The log: what mynah logs, and where.

use std::path::PathBuf;

use crate::config::schema::parse;
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
    }
}
