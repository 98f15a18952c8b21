//! The table of all settings: what they are called in each layer, what they expect, what they do without a value.
//!
//! To add one: a row in a file of `settings/`, a line that reads it in the file of its concern, and
//! `MYNAH_BLESS=1 cargo test reference`.

mod contact_policy;
mod fallback;
mod media;
mod table;
mod texts;

use Group::{Ai, Answers, Logs, Media, People, Server, Texts, Twilio};

/// One setting.
#[derive(Debug)]
pub struct Setting {
    /// The environment variable, such as `MYNAH_LISTEN`.
    pub key: &'static str,
    /// The key in `mynah.toml`: the variable in lower case without `mynah_`. Empty where it cannot stand there.
    pub file_key: &'static str,
    /// Where the reference lists it.
    pub group: Group,
    /// Whether its value is never shown.
    pub secret: bool,
    /// Whether the file may give an array of strings, the same as the strings with commas between.
    pub is_list: bool,
    /// What holds where no layer gives a value.
    pub default: DefaultValue,
    /// What a value looks like; completes `expected …`.
    pub expects: &'static str,
    /// What it does, in whole sentences.
    pub meaning: &'static str,
}

/// What holds where no layer gives a value.
#[derive(Debug)]
pub enum DefaultValue {
    /// The feature is off, or the other side decides.
    Unset,
    /// This value, read like any other.
    Value(&'static str),
    /// A value that depends on others, in words.
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
    /// What contacts attach.
    Media,
    /// How answers are made.
    Answers,
    /// Who may talk, and how much.
    People,
    /// What contacts read that no model wrote.
    Texts,
    /// Logs.
    Logs,
}

impl Group {
    /// All, in the order of the reference.
    pub const ALL: [Group; 8] = [Server, Twilio, Ai, Media, Answers, People, Texts, Logs];

    /// The heading.
    pub fn title(self) -> &'static str {
        match self {
            Server => "Server and data",
            Twilio => "WhatsApp through Twilio",
            Ai => "Language model",
            Media => "Attachments",
            Answers => "Answers and conversations",
            People => "Contacts and limits",
            Texts => "Texts to contacts",
            Logs => "Logs",
        }
    }
}

impl Setting {
    /// The command-line flag without its dashes: `MYNAH_DATA_DIR` is `data-dir`.
    pub fn flag(&self) -> String {
        let name = self.key.strip_prefix("MYNAH_").unwrap_or(self.key);
        name.to_ascii_lowercase().replace('_', "-")
    }

    /// Whether it may be stored.
    pub fn can_be_stored(&self) -> bool {
        self.why_not_storable().is_none()
    }

    /// What it is that may not be stored: a secret, which is sealed elsewhere; what tells where the store is; an address that
    /// is called, perhaps without TLS and inside of the owner's network, which is set by whoever has the machine, not by
    /// whoever came to a page.
    pub fn why_not_storable(&self) -> Option<&'static str> {
        if self.secret {
            Some("a secret, which is not stored among the settings")
        } else if self.file_key.is_empty() || self.key == "MYNAH_DATA_DIR" {
            Some("what tells where stored settings lie, and so cannot be one")
        } else if self.key == "MYNAH_NUMBERS" {
            Some("a list of files, which only whoever has the machine may set")
        } else if self.key.ends_with("_BASE_URL") {
            Some("an address that is called, which only whoever has the machine may set")
        } else {
            None
        }
    }
}

/// Every setting.
pub fn all() -> impl Iterator<Item = &'static Setting> {
    [table::ROWS, fallback::ROWS, media::ROWS, contact_policy::ROWS, texts::ROWS].into_iter().flatten()
}

/// The setting of that environment variable.
pub(in crate::config) fn find(key: &str) -> Option<&'static Setting> {
    all().find(|setting| setting.key == key)
}
