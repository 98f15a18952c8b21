//! Where a setting's value comes from: the first layer that has one.
//!
//! To add a layer: a variant of [`Origin`] and a step in [`Layers::find`].

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::file::{self, File};
use super::nearest::nearest;
use super::number_file::NumberFile;
use super::problem::Problem;
use super::settings::{self, Setting};
use super::stored;

/// What a configuration is made from. Prints nothing, because it holds secrets.
#[derive(Clone, Default)]
pub struct Sources {
    /// The values of command-line flags, by the variable that each stands for: `MYNAH_LISTEN`.
    pub flags: BTreeMap<String, String>,
    /// The environment.
    pub env: BTreeMap<String, OsString>,
    /// What a command takes where no other layer has a value, by the variable: a quieter log.
    pub fallbacks: BTreeMap<&'static str, String>,
    /// Whether it is for a command that plays on a stage, the demo or the chat: that one brings a Twilio of its own, and
    /// starts with whatever model it finds.
    pub stage: bool,
    /// The settings that the store holds, by their variables.
    pub stored: BTreeMap<String, String>,
    /// A value that is to be stored, by its variable: it goes before every layer, and is an error where it is wrong.
    pub trial: Option<(&'static str, String)>,
    /// The folder that relative paths start from; empty is the working directory.
    pub dir: PathBuf,
}

impl Sources {
    /// Those of this process, with the flags it was given.
    pub fn of_process(flags: BTreeMap<String, String>) -> Sources {
        let env = std::env::vars_os().filter_map(|(key, value)| Some((key.into_string().ok()?, value))).collect();
        Sources { flags, env, ..Sources::default() }
    }
}

/// A value as written. Prints nothing, because it may be a secret.
pub(super) struct Found {
    pub(super) value: String,
    pub(super) origin: Origin,
}

/// The layer that a value comes from.
pub(super) enum Origin {
    /// None yet: it is tried.
    Trial,
    Flag,
    Env,
    /// The file that `<KEY>_FILE` names.
    EnvFile,
    Credential,
    /// The line of `mynah.toml`.
    File(usize),
    /// A number's own file, or what it names: the whole place.
    Number(String),
    /// The store.
    Stored,
    /// The command's own.
    Fallback,
}

/// The layers, and the configuration file if there is one.
pub(super) struct Layers {
    sources: Sources,
    file: File,
    file_path: PathBuf,
    /// The file of the number that is read just now, which goes before every layer.
    pub(super) own: Option<NumberFile>,
}

/// No setting is longer; a wrong path (`/dev/zero`) ends here.
const LONGEST: u64 = 1024 * 1024;

impl Layers {
    /// Finds and reads the configuration file. A file that is named must be there.
    pub(super) fn open(sources: Sources, problems: &mut Vec<Problem>) -> Layers {
        let mut layers = Layers { sources, file: File::default(), file_path: PathBuf::new(), own: None };
        for key in layers.sources.flags.keys().filter(|key| settings::find(key).is_none()) {
            problems.push(Problem::new(
                format!("flag for {key}"),
                "an unknown setting",
                "one of docs/configuration.md",
            ));
        }
        let config = settings::find("MYNAH_CONFIG").expect("the table holds the configuration file");
        let named = layers.find(config).unwrap_or_else(|problem| {
            problems.push(problem);
            None
        });
        if let Some(Found { value, origin }) = named {
            let path = layers.here(Path::new(&value));
            match read(&path) {
                Ok(text) => layers.take_file(path, &text, problems),
                Err(error) => {
                    let place = layers.place(config, &origin);
                    problems.push(unreadable(place, &path, &error, config.expects));
                }
            }
            return layers;
        }
        // The data folder as the layers above the file name it; what is wrong there, the reader tells later.
        let data = settings::find("MYNAH_DATA_DIR").and_then(|setting| layers.find(setting).ok().flatten());
        let data = data.map_or_else(|| layers.default_data_dir(), |found| layers.here(Path::new(&found.value)));
        for path in [layers.here(Path::new("mynah.toml")), data.join("mynah.toml")] {
            match read(&path) {
                Ok(text) => layers.take_file(path, &text, problems),
                Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                    continue;
                }
                Err(error) => {
                    problems.push(unreadable(format!("file {}", path.display()), &path, &error, config.expects));
                }
            }
            break;
        }
        layers
    }

    fn take_file(&mut self, path: PathBuf, text: &str, problems: &mut Vec<Problem>) {
        self.file = File::parse(&path, text, problems);
        self.file_path = path;
    }

    /// The setting's value from the first layer that has one. The error says why that one cannot be read.
    pub(super) fn find(&self, setting: &Setting) -> Result<Option<Found>, Problem> {
        if let Some(own) = &self.own {
            let found = own.find(setting, self)?;
            if found.is_some() || own.is_closed(setting.key) {
                return Ok(found);
            }
        }
        let found = |value, origin| Ok(Some(Found { value, origin }));
        if let Some((_, value)) = self.sources.trial.as_ref().filter(|(key, _)| *key == setting.key) {
            return found(value.clone(), Origin::Trial);
        }
        if let Some(value) = self.sources.flags.get(setting.key) {
            return found(value.clone(), Origin::Flag);
        }
        if let Some(value) = self.variable(setting.key) {
            return match value.to_str() {
                Some(value) => found(value.to_owned(), Origin::Env),
                None => {
                    Err(Problem::new(self.place(setting, &Origin::Env), "a value that is not UTF-8", setting.expects))
                }
            };
        }
        // A setting that cannot stand in the file is the one that names the file.
        if setting.file.is_empty() {
            return Ok(None);
        }
        let named = format!("{}_FILE", setting.key);
        if let Some(written) = self.variable(&named).map(Path::new) {
            let path = self.here(written);
            let place = || format!("environment variable {named}");
            return match read(&path) {
                Ok(text) if text.is_empty() => Err(Problem::new(place(), "an empty file", setting.expects)),
                Ok(text) => found(text, Origin::EnvFile),
                // Somebody may have put the secret itself where its path belongs.
                Err(error) if setting.secret && !is_plain_path(written) => {
                    let found = format!("a relative path, not shown, of a file that cannot be read ({})", error.kind());
                    Err(Problem::new(place(), found, "the path of a file, from / or ./ on"))
                }
                Err(error) => Err(unreadable(place(), &path, &error, "the path of a file that can be read")),
            };
        }
        if let Some(folder) = self.variable("CREDENTIALS_DIRECTORY") {
            let path = Path::new(folder).join(setting.key.to_ascii_lowercase());
            match read(&path) {
                Ok(text) if text.is_empty() => {}
                Ok(text) => return found(text, Origin::Credential),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    let place = self.place(setting, &Origin::Credential);
                    return Err(unreadable(place, &path, &error, "a credential that can be read"));
                }
            }
        }
        let in_file = self.file.value(setting);
        let in_file = in_file
            .map_err(|(line, what)| Problem::new(self.place(setting, &Origin::File(line)), what, setting.expects))?;
        match in_file {
            Some((line, value)) => found(value, Origin::File(line)),
            None => {
                let stored = self.sources.stored.get(setting.key);
                let stored = stored.filter(|value| setting.can_be_stored() && !value.is_empty());
                match (stored, self.sources.fallbacks.get(setting.key)) {
                    (Some(value), _) => found(value.clone(), Origin::Stored),
                    (None, Some(value)) => found(value.clone(), Origin::Fallback),
                    (None, None) => Ok(None),
                }
            }
        }
    }

    /// Whether the command plays on a stage.
    pub(super) fn stage(&self) -> bool {
        self.sources.stage
    }

    /// Where a value stands, for errors.
    pub(super) fn place(&self, setting: &Setting, origin: &Origin) -> String {
        match origin {
            Origin::Trial => stored::place(setting.key),
            Origin::Flag => format!("flag --{}", setting.flag()),
            Origin::Env => format!("environment variable {}", setting.key),
            Origin::EnvFile => format!("file named by environment variable {}_FILE", setting.key),
            Origin::Credential => format!("systemd credential {}", setting.key.to_ascii_lowercase()),
            Origin::File(line) => file::place(&self.file_path, setting.file, *line),
            Origin::Number(place) => place.clone(),
            Origin::Stored => format!("stored setting {}", setting.key),
            Origin::Fallback => format!("the command's own {}", setting.key),
        }
    }

    /// What stands in a file, without the newline at its end.
    pub(super) fn text(&self, path: &Path) -> io::Result<String> {
        read(&self.here(path))
    }

    /// The file of a credential that systemd hands over, where it hands any.
    pub(super) fn credential(&self, name: &str) -> Option<PathBuf> {
        self.variable("CREDENTIALS_DIRECTORY").map(|folder| Path::new(folder).join(name))
    }

    /// A path from the folder that relative paths start from.
    pub(super) fn here(&self, path: &Path) -> PathBuf {
        self.sources.dir.join(path)
    }

    /// The data folder where none is set: the first that systemd made for the service, else one beside us.
    pub(super) fn default_data_dir(&self) -> PathBuf {
        let states = self.variable("STATE_DIRECTORY").and_then(OsStr::to_str);
        let first = states.and_then(|states| states.split(':').find(|state| !state.is_empty()));
        self.here(Path::new(first.unwrap_or("./mynah-data")))
    }

    /// A sentence for each environment variable that looks like ours and is not.
    pub(super) fn strangers(&self) -> Vec<String> {
        let ours = |key: &&String| {
            key.starts_with("MYNAH_") && !key.starts_with("MYNAH_TEST_") && !key.starts_with("MYNAH_FAILPOINT")
        };
        self.sources.env.keys().filter(ours).filter_map(|key| stranger(key)).collect()
    }

    /// An environment variable; an empty one is none.
    fn variable(&self, name: &str) -> Option<&OsStr> {
        self.sources.env.get(name).map(OsString::as_os_str).filter(|value| !value.is_empty())
    }
}

/// What to say of an environment variable that begins like ours, if it is none.
fn stranger(key: &str) -> Option<String> {
    let (name, end) = key.strip_suffix("_FILE").map_or((key, ""), |name| (name, "_FILE"));
    if settings::find(name).is_some_and(|setting| end.is_empty() || !setting.file.is_empty()) {
        return None;
    }
    let names = settings::all().filter_map(|setting| setting.key.strip_prefix("MYNAH_"));
    let near = nearest(name.strip_prefix("MYNAH_").unwrap_or(name), names).map(|name| format!("MYNAH_{name}"));
    let hint = match near {
        None => "see docs/configuration.md".to_owned(),
        // The configuration file is named by its variable alone.
        Some(near) if near == "MYNAH_CONFIG" => format!("did you mean {near}?"),
        Some(near) => format!("did you mean {near}{end}?"),
    };
    Some(format!("environment variable {} is no setting and is ignored; {hint}", key.escape_debug()))
}

/// A file's text without the newline at its end.
fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let size = fs::File::open(path)?.take(LONGEST + 1).read_to_string(&mut text)?;
    if size as u64 > LONGEST {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than 1 MiB"));
    }
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

/// Whether a text can only be a path: it starts at the root or at a folder.
pub(super) fn is_plain_path(path: &Path) -> bool {
    path.is_absolute() || path.starts_with(".") || path.starts_with("..")
}

pub(super) fn unreadable(place: String, path: &Path, error: &io::Error, expected: &str) -> Problem {
    Problem::new(place, format!("{}, which cannot be read ({error})", path.display()), expected)
}
