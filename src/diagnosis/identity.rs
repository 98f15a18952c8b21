//! The age identity, which decrypts the stored secrets: it is there, readable by mynah, and by nobody else.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::finding::Finding;
use crate::secrets::{IDENTITY_FILE, Secrets};

pub(super) const NAME: &str = "age identity";

pub(super) const REMEDY: &str = "restore the file from the same backup as the database; without it, the stored secrets \
                                 cannot be read and must be set again";

/// Checks the identity in the data folder.
pub(super) fn check(folder: &Path) -> Finding {
    let path = folder.join(IDENTITY_FILE);
    let shown = path.display();
    let mode = match fs::metadata(&path) {
        Ok(metadata) => metadata.permissions().mode() & 0o777,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Finding::ok(NAME, format!("{shown} does not exist yet; mynah creates it"));
        }
        Err(error) => return unreadable(format!("{shown} cannot be read: {error}")),
    };
    if let Err(error) = Secrets::open(folder) {
        return unreadable(error.to_string());
    }
    if mode & 0o077 != 0 {
        let found = format!("other users of this machine can read {shown} (mode {mode:o})");
        return Finding::failed(NAME, found, format!("run: chmod 600 {shown}"));
    }
    Finding::ok(NAME, format!("{shown} is readable by mynah alone"))
}

fn unreadable(found: String) -> Finding {
    Finding::failed(NAME, found, REMEDY)
}
