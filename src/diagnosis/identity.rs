//! The age identity, which decrypts the stored secrets: it is there, readable by mynah, and by nobody else.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::finding::Finding;
use crate::config::{AgeKeyFile, AgeKeyOrigin};
use crate::secrets::{Secrets, SecretsError};

pub(super) const NAME: &str = "age identity";

pub(super) const REMEDY: &str = "put the file back that belongs to this database; without it, the stored secrets \
                                 cannot be read and must be set again (`mynah secret set`)";

/// Checks the identity file.
pub(super) fn check(file: &AgeKeyFile) -> Finding {
    let shown = file.path.display();
    let mode = fs::metadata(&file.path).map_or(0, |metadata| metadata.permissions().mode() & 0o777);
    match Secrets::open(file) {
        Ok(_) => {}
        Err(SecretsError::Missing(_)) if file.origin == AgeKeyOrigin::DataFolder => {
            return Finding::ok(NAME, format!("{shown} does not exist yet; mynah creates it"));
        }
        Err(SecretsError::Permissions(_)) => {
            let found = format!("every user of this machine can read {shown} (mode {mode:o})");
            return Finding::failed(NAME, found, format!("run: chmod 600 {shown}"));
        }
        Err(error) => return Finding::failed(NAME, error.to_string(), REMEDY),
    }
    if file.origin != AgeKeyOrigin::Credential && mode & 0o070 != 0 {
        let found = format!("the group of {shown} can read it (mode {mode:o})");
        return Finding::warning(NAME, found, format!("run chmod 600 {shown}, unless mynah itself needs the group"));
    }
    Finding::ok(NAME, format!("{shown} is readable by mynah alone"))
}
