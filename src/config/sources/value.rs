//! A value as written in a layer, and the files that hold values.

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;

use crate::config::schema::problem::Problem;

/// A value as written. Has no `Debug`, because it may be a secret.
pub(in crate::config) struct FoundValue {
    pub(in crate::config) value: String,
    pub(in crate::config) origin: Origin,
}

/// The layer that a value comes from.
pub(in crate::config) enum Origin {
    /// No layer yet: the value is only checked.
    Candidate,
    Flag,
    Env,
    /// The file that `<KEY>_FILE` names.
    EnvFile,
    Credential,
    /// This line of `mynah.toml`.
    File(usize),
    /// The own settings of a number or an AI configuration: a description of the place.
    Own(String),
    /// The same, where they are stored in the database in clear.
    StoredOwn(String),
    /// A stored setting.
    Stored,
    /// A stored secret.
    StoredSecret,
    /// The command's own default.
    CommandDefault,
}

impl FoundValue {
    /// Whether the value comes from the database.
    pub(in crate::config) fn is_stored(&self) -> bool {
        matches!(self.origin, Origin::Stored | Origin::StoredSecret | Origin::StoredOwn(_))
    }
}

/// The most bytes that are read from a file. No setting is longer, and this stops at a wrong path such as `/dev/zero`.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// Reads a file's text, without the newline at its end.
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

/// Whether a text can only be a path, because it begins with `/`, `./` or `../`.
pub(in crate::config) fn is_explicit_path(path: &Path) -> bool {
    path.is_absolute() || path.starts_with(".") || path.starts_with("..")
}

pub(in crate::config) fn unreadable_file(place: String, path: &Path, error: &io::Error, expected: &str) -> Problem {
    Problem::new(place, format!("{}, which cannot be read ({error})", path.display()), expected)
}

/// Describes the place of a value that is to be stored, for errors.
pub(in crate::config) fn candidate_place(key: &str) -> String {
    format!("setting {}", key.escape_debug())
}
