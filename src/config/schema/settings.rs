//! The table of all settings: their names in each layer, the values that they take, and their defaults.
//!
//! To add a setting, add a row in a file of `settings/`, read it in the file of its section, and run
//! `MYNAH_BLESS=1 cargo test reference`.

mod admin;
mod alerts;
mod backup;
mod contact_policy;
mod fallback;
mod media;
mod metrics;
mod table;
mod texts;

use Group::{Ai, Answers, Backups, Logs, Media, Monitoring, People, Server, Texts, Twilio};

/// One setting.
#[derive(Debug)]
pub struct Setting {
    /// The environment variable, such as `MYNAH_LISTEN`.
    pub key: &'static str,
    /// The key in `mynah.toml`: the variable in lower case without `mynah_`. Empty if the file cannot hold the setting.
    pub file_key: &'static str,
    /// The chapter of the reference that lists it.
    pub group: Group,
    /// Whether mynah never shows its value.
    pub secret: bool,
    /// Whether the file may hold an array of strings, which stands for the strings joined with commas.
    pub is_list: bool,
    /// The value if no layer has one.
    pub default: DefaultValue,
    /// The form of a value; completes `expected …` in errors.
    pub expects: &'static str,
    /// What the setting does, in full sentences.
    pub meaning: &'static str,
}

/// The value of a setting if no layer has one.
#[derive(Debug)]
pub enum DefaultValue {
    /// None: the feature is off, or the other side decides.
    Unset,
    /// This value, parsed like any other.
    Value(&'static str),
    /// A value that depends on other settings, described in words.
    Computed(&'static str),
}

/// The chapters of the reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// The web server and the data folder.
    Server,
    /// The WhatsApp number.
    Twilio,
    /// The language model.
    Ai,
    /// Attachments of contacts.
    Media,
    /// How answers are made.
    Answers,
    /// Who may talk, and how much.
    People,
    /// The fixed texts that contacts read.
    Texts,
    /// Metrics.
    Monitoring,
    /// Logs.
    Logs,
    /// Backups.
    Backups,
}

impl Group {
    /// All groups, in the order of the reference.
    pub const ALL: [Group; 10] = [Server, Twilio, Ai, Media, Answers, People, Texts, Monitoring, Logs, Backups];

    /// Returns the heading.
    pub fn title(self) -> &'static str {
        match self {
            Server => "Server and data",
            Twilio => "WhatsApp through Twilio",
            Ai => "Language model",
            Media => "Attachments",
            Answers => "Answers and conversations",
            People => "Contacts and limits",
            Texts => "Texts to contacts",
            Monitoring => "Monitoring",
            Logs => "Logs",
            Backups => "Backups",
        }
    }
}

impl Setting {
    /// Returns the command-line flag without its dashes: `data-dir` for `MYNAH_DATA_DIR`.
    pub fn flag(&self) -> String {
        let name = self.key.strip_prefix("MYNAH_").unwrap_or(self.key);
        name.to_ascii_lowercase().replace('_', "-")
    }

    /// Whether the database may store the setting.
    pub fn can_be_stored(&self) -> bool {
        self.why_not_storable().is_none()
    }

    /// Whether the database may store the setting as an encrypted secret. The address of the database cannot be stored
    /// there.
    pub fn can_be_stored_as_secret(&self) -> bool {
        self.secret && self.key != "DATABASE_URL"
    }

    /// Returns why the database may not store the setting in clear, or `None` if it may.
    ///
    /// Secrets are stored encrypted elsewhere. Some settings are needed to find the database, and a running process cannot
    /// move to another address or log elsewhere. Base URLs are addresses
    /// that mynah calls, perhaps without TLS and inside the owner's network: only somebody with access to the machine
    /// may set them, not somebody who gets access to a web page.
    pub fn why_not_storable(&self) -> Option<&'static str> {
        if self.secret {
            Some("a secret, which cannot be stored as a setting")
        } else if self.file_key.is_empty() || matches!(self.key, "MYNAH_DATA_DIR" | "MYNAH_AGE_KEY_FILE") {
            Some("a setting that mynah needs to read the database, so it cannot be stored there")
        } else if matches!(self.key, "MYNAH_LISTEN" | "MYNAH_LOG_FORMAT" | "MYNAH_LOG_DIR" | "MYNAH_LOG_RETENTION") {
            Some("a setting that a running process cannot change, so it counts only from the next start")
        } else if self.key == "MYNAH_NUMBERS" {
            Some("a list of files, which can be set only on the machine itself")
        } else if self.key.ends_with("_BASE_URL") {
            Some("an address that mynah calls, which can be set only on the machine itself")
        } else {
            None
        }
    }
}

/// Returns every setting.
pub fn all() -> impl Iterator<Item = &'static Setting> {
    [
        table::ROWS,
        admin::ROWS,
        fallback::ROWS,
        media::ROWS,
        contact_policy::ROWS,
        texts::ROWS,
        metrics::ROWS,
        alerts::ROWS,
        backup::ROWS,
    ]
    .into_iter()
    .flatten()
}

/// Returns the setting with this environment variable.
pub(in crate::config) fn find(key: &str) -> Option<&'static Setting> {
    all().find(|setting| setting.key == key)
}
