//! Scheduled backups: how often, where, how many, and for whom they are encrypted.

use std::path::PathBuf;
use std::time::Duration;

use age::x25519::Recipient;

use crate::config::schema::parse;
use crate::config::schema::parse::Parsed;
use crate::config::schema::problem::Rejected;
use crate::config::sections::server::DataConfig;
use crate::config::sources::reader::SettingsReader;

/// More often, a backup would hardly be done before the next begins.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(60);

const LONGEST_INTERVAL: Duration = Duration::from_secs(365 * 86_400);

/// When and where backups are made.
#[derive(Clone, Debug, PartialEq)]
pub struct BackupConfig {
    /// The time between two scheduled backups; `None` makes none.
    pub every: Option<Duration>,
    /// How many scheduled backups are kept; at least one.
    pub kept: usize,
    /// The folder of scheduled backups.
    pub dir: PathBuf,
    /// Whom every backup is encrypted for; nobody means that backups are not encrypted.
    pub recipients: Vec<Recipient>,
}

pub(in crate::config) fn read(reader: &mut SettingsReader, data: &DataConfig) -> BackupConfig {
    // The simulation is a try, and its data is not worth keeping.
    let simulation = reader.layers.is_simulation();
    let every = reader.read_or_default("MYNAH_BACKUP_EVERY", parse_interval);
    BackupConfig {
        every: every.filter(|_| !simulation),
        kept: reader.read_or_default("MYNAH_BACKUP_KEEP", |text| parse::integer(text, 1..=10_000)),
        dir: reader.read_path("MYNAH_BACKUP_DIR").unwrap_or_else(|| data.default_backup_dir()),
        recipients: reader.read("MYNAH_BACKUP_RECIPIENTS", parse_recipients).valid().unwrap_or_default(),
    }
}

fn parse_interval(text: &str) -> Parsed<Option<Duration>> {
    let interval = parse::duration(text, Duration::ZERO..=LONGEST_INTERVAL)?;
    if interval.is_zero() {
        return Ok(None);
    }
    if interval < SHORTEST_INTERVAL { Err(Rejected::default()) } else { Ok(Some(interval)) }
}

fn parse_recipients(text: &str) -> Parsed<Vec<Recipient>> {
    text.split(',').map(str::trim).filter(|text| !text.is_empty()).map(parse_recipient).collect()
}

fn parse_recipient(text: &str) -> Parsed<Recipient> {
    text.parse().map_err(|_| match text.to_ascii_uppercase().starts_with("AGE-SECRET-KEY-") {
        // Never shown: whoever has it reads every backup.
        true => Rejected { found: Some("an age identity, which is secret"), ..Rejected::default() },
        false => Rejected::default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_long_enough_or_off() {
        assert_eq!(parse_interval("0").unwrap(), None);
        assert_eq!(parse_interval("24h").unwrap(), Some(Duration::from_secs(86_400)));
        assert!(parse_interval("59s").is_err() && parse_interval("-1h").is_err() && parse_interval("daily").is_err());
    }

    #[test]
    fn a_recipient_is_public_and_an_identity_is_not_shown() {
        let identity = age::x25519::Identity::generate();
        let (ours, theirs) = (identity.to_public(), age::x25519::Identity::generate().to_public());
        let read = parse_recipients(&format!("{ours}, {theirs},")).unwrap();
        assert_eq!(read, [ours, theirs]);
        assert!(parse_recipients("age1short").is_err());
        let secret = secrecy::ExposeSecret::expose_secret(&identity.to_string()).to_owned();
        assert_eq!(parse_recipients(&secret).unwrap_err().found, Some("an age identity, which is secret"));
    }
}
