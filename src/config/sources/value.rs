//! A value as it is written somewhere, and the files that hold one.

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;

use crate::config::schema::problem::Problem;

/// A value as written. Prints nothing, because it may be a secret.
pub(in crate::config) struct FoundValue {
    pub(in crate::config) value: String,
    pub(in crate::config) origin: Origin,
}

/// The layer that a value comes from.
pub(in crate::config) enum Origin {
    /// None yet: it is tried.
    Candidate,
    Flag,
    Env,
    /// The file that `<KEY>_FILE` names.
    EnvFile,
    Credential,
    /// The line of `mynah.toml`.
    File(usize),
    /// A number's own file, or what it names: the whole place.
    NumberFile(String),
    /// The store.
    Stored,
    /// The command's own.
    CommandDefault,
}

/// No setting is longer; a wrong path (`/dev/zero`) ends here.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// A file's text without the newline at its end.
pub(in crate::config) fn read_file(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let size = fs::File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_string(&mut text)?;
    if size as u64 > MAX_FILE_BYTES {
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
pub(in crate::config) fn is_explicit_path(path: &Path) -> bool {
    path.is_absolute() || path.starts_with(".") || path.starts_with("..")
}

pub(in crate::config) fn unreadable_file(place: String, path: &Path, error: &io::Error, expected: &str) -> Problem {
    Problem::new(place, format!("{}, which cannot be read ({error})", path.display()), expected)
}

/// Where a value on trial stands, for errors.
pub(in crate::config) fn candidate_place(key: &str) -> String {
    format!("setting {}", key.escape_debug())
}
