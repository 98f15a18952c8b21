//! What the process was given: its flags, its environment, the credentials of systemd, the folder it starts in.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use super::value::read_file;
use crate::config::schema::nearest_name::nearest_name;
use crate::config::schema::settings;

/// What a configuration is made from. Prints nothing, because it holds secrets.
#[derive(Clone, Default)]
pub struct Sources {
    /// The values of command-line flags, by the variable that each stands for: `MYNAH_LISTEN`.
    pub flags: BTreeMap<String, String>,
    /// The environment.
    pub env: BTreeMap<String, OsString>,
    /// What a command takes where no other layer has a value, by the variable: a quieter log.
    pub command_defaults: BTreeMap<&'static str, String>,
    /// Whether it is for a command that plays on a stage, the demo or the chat: that one brings a Twilio of its own, and
    /// starts with whatever model it finds.
    pub sandbox: bool,
    /// The settings that the store holds, by their variables.
    pub stored: BTreeMap<String, String>,
    /// A value that is to be stored, by its variable: it goes before every layer, and is an error where it is wrong.
    pub candidate: Option<(&'static str, String)>,
    /// The folder that relative paths start from; empty is the working directory.
    pub base_dir: PathBuf,
}

impl Sources {
    /// Those of this process, with the flags it was given.
    pub fn of_process(flags: BTreeMap<String, String>) -> Sources {
        let env = std::env::vars_os().filter_map(|(key, value)| Some((key.into_string().ok()?, value))).collect();
        Sources { flags, env, ..Sources::default() }
    }

    /// What stands in a file, without the newline at its end.
    pub(in crate::config) fn read_text(&self, path: &Path) -> io::Result<String> {
        read_file(&self.resolve_path(path))
    }

    /// The file of a credential that systemd hands over, where it hands any.
    pub(in crate::config) fn credential(&self, name: &str) -> Option<PathBuf> {
        self.env_var("CREDENTIALS_DIRECTORY").map(|folder| Path::new(folder).join(name))
    }

    /// A path from the folder that relative paths start from.
    pub(in crate::config) fn resolve_path(&self, path: &Path) -> PathBuf {
        self.base_dir.join(path)
    }

    /// The data folder where none is set: the first that systemd made for the service, else one beside us.
    pub(in crate::config) fn default_data_dir(&self) -> PathBuf {
        let states = self.env_var("STATE_DIRECTORY").and_then(OsStr::to_str);
        let first = states.and_then(|states| states.split(':').find(|state| !state.is_empty()));
        self.resolve_path(Path::new(first.unwrap_or("./mynah-data")))
    }

    /// A sentence for each environment variable that looks like ours and is not.
    pub(in crate::config) fn unknown_variable_warnings(&self) -> Vec<String> {
        let ours = |key: &&String| {
            key.starts_with("MYNAH_") && !key.starts_with("MYNAH_TEST_") && !key.starts_with("MYNAH_FAILPOINT")
        };
        self.env.keys().filter(ours).filter_map(|key| unknown_variable_warning(key)).collect()
    }

    /// An environment variable; an empty one is none.
    pub(in crate::config) fn env_var(&self, name: &str) -> Option<&OsStr> {
        self.env.get(name).map(OsString::as_os_str).filter(|value| !value.is_empty())
    }
}

/// What to say of an environment variable that begins like ours, if it is none.
fn unknown_variable_warning(key: &str) -> Option<String> {
    let (name, end) = key.strip_suffix("_FILE").map_or((key, ""), |name| (name, "_FILE"));
    if settings::find(name).is_some_and(|setting| end.is_empty() || !setting.file_key.is_empty()) {
        return None;
    }
    let names = settings::all().filter_map(|setting| setting.key.strip_prefix("MYNAH_"));
    let near = nearest_name(name.strip_prefix("MYNAH_").unwrap_or(name), names).map(|name| format!("MYNAH_{name}"));
    let hint = match near {
        None => "see docs/configuration.md".to_owned(),
        // The configuration file is named by its variable alone.
        Some(near) if near == "MYNAH_CONFIG" => format!("did you mean {near}?"),
        Some(near) => format!("did you mean {near}{end}?"),
    };
    Some(format!("environment variable {} is no setting and is ignored; {hint}", key.escape_debug()))
}
