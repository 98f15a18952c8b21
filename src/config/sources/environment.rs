//! The input of the process: its flags, its environment, systemd credentials, and the folder that it starts in.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use secrecy::SecretString;

use super::value::read_file;
use crate::config::schema::nearest_name::nearest_name;
use crate::config::schema::settings;

/// The sources of a configuration. Has no `Debug`, because it holds secrets.
#[derive(Clone, Default)]
pub struct Sources {
    /// The values of command-line flags, by the variable that each flag sets: `MYNAH_LISTEN`.
    pub flags: BTreeMap<String, String>,
    /// The environment.
    pub env: BTreeMap<String, OsString>,
    /// The command's own defaults, such as a quieter log, by variable. They apply if no other layer has a value.
    pub command_defaults: BTreeMap<&'static str, String>,
    /// Whether the command runs in a simulation: the demo or the chat. These bring a simulated Twilio, and start with any
    /// model that they find.
    pub simulation: bool,
    /// The stored settings, by variable.
    pub stored: BTreeMap<String, String>,
    /// The stored secrets, by variable.
    pub secrets: BTreeMap<String, StoredSecret>,
    /// The stored AI configurations: by name, the settings by variable.
    pub ai_configurations: BTreeMap<String, BTreeMap<String, String>>,
    /// The stored numbers, likewise.
    pub numbers: BTreeMap<String, BTreeMap<String, String>>,
    /// Whether a stored value that is wrong is an error: it is to be stored now. Otherwise it is a warning, because a
    /// newer version may have stored it.
    pub strict: bool,
    /// A value that is to be stored, with its variable. It overrides every layer, and is an error if it is wrong.
    pub candidate: Option<(&'static str, String)>,
    /// The folder that relative paths start from; empty for the working directory.
    pub base_dir: PathBuf,
}

/// A secret that is stored encrypted.
#[derive(Clone)]
pub enum StoredSecret {
    /// Its value.
    Opened(SecretString),
    /// Why it cannot be decrypted.
    Unreadable(String),
}

impl Sources {
    /// Returns the sources of this process, with the flags that it got.
    pub fn of_process(flags: BTreeMap<String, String>) -> Sources {
        let env = std::env::vars_os().filter_map(|(key, value)| Some((key.into_string().ok()?, value))).collect();
        Sources { flags, env, ..Sources::default() }
    }

    /// Reads a file, without the newline at its end.
    pub(in crate::config) fn read_text(&self, path: &Path) -> io::Result<String> {
        read_file(&self.resolve_path(path))
    }

    /// Returns the file of a systemd credential, if systemd passes credentials.
    pub(in crate::config) fn credential(&self, name: &str) -> Option<PathBuf> {
        self.env_var("CREDENTIALS_DIRECTORY").map(|folder| Path::new(folder).join(name))
    }

    /// Resolves a relative path.
    pub(in crate::config) fn resolve_path(&self, path: &Path) -> PathBuf {
        self.base_dir.join(path)
    }

    /// Returns the default data folder: the first that systemd made for the service, else `./mynah-data`.
    pub(in crate::config) fn default_data_dir(&self) -> PathBuf {
        let states = self.env_var("STATE_DIRECTORY").and_then(OsStr::to_str);
        let first = states.and_then(|states| states.split(':').find(|state| !state.is_empty()));
        self.resolve_path(Path::new(first.unwrap_or("./mynah-data")))
    }

    /// Returns a warning for each unknown environment variable that begins with `MYNAH_`.
    pub(in crate::config) fn unknown_variable_warnings(&self) -> Vec<String> {
        let ours = |key: &&String| {
            key.starts_with("MYNAH_") && !key.starts_with("MYNAH_TEST_") && !key.starts_with("MYNAH_FAILPOINT")
        };
        self.env.keys().filter(ours).filter_map(|key| unknown_variable_warning(key)).collect()
    }

    /// Returns an environment variable; an empty one counts as not set.
    pub(in crate::config) fn env_var(&self, name: &str) -> Option<&OsStr> {
        self.env.get(name).map(OsString::as_os_str).filter(|value| !value.is_empty())
    }
}

/// Returns a warning about an environment variable that begins with `MYNAH_`, if it is unknown.
fn unknown_variable_warning(key: &str) -> Option<String> {
    let (name, end) = key.strip_suffix("_FILE").map_or((key, ""), |name| (name, "_FILE"));
    if settings::find(name).is_some_and(|setting| end.is_empty() || !setting.file_key.is_empty()) {
        return None;
    }
    let names = settings::all().filter_map(|setting| setting.key.strip_prefix("MYNAH_"));
    let near = nearest_name(name.strip_prefix("MYNAH_").unwrap_or(name), names).map(|name| format!("MYNAH_{name}"));
    let hint = match near {
        None => "see docs/configuration.md".to_owned(),
        // MYNAH_CONFIG has no `_FILE` variant.
        Some(near) if near == "MYNAH_CONFIG" => format!("did you mean {near}?"),
        Some(near) => format!("did you mean {near}{end}?"),
    };
    Some(format!("environment variable {} is not a setting and is ignored; {hint}", key.escape_debug()))
}
