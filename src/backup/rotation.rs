//! The names of scheduled backups, and which of them are old.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::clock::Time;

const PREFIX: &str = "mynah-";
const SUFFIX: &str = ".tar";
const ENCRYPTED_SUFFIX: &str = ".tar.age";

/// `20261101T100000Z`: sorts by time.
const TIME_FORMAT: &str = "%Y%m%dT%H%M%SZ";

/// Returns the name of a scheduled backup, such as `mynah-20261101T100000Z.tar`.
pub fn file_name(made_at: Time, encrypted: bool) -> String {
    let time = jiff::Timestamp::from_millisecond(made_at.millis()).unwrap_or_default().strftime(TIME_FORMAT);
    format!("{PREFIX}{time}{}", if encrypted { ENCRYPTED_SUFFIX } else { SUFFIX })
}

/// Removes the oldest scheduled backups in the folder beyond the newest `kept`, and what a killed process has left of one.
/// Returns the removed backups. Files with other names are left alone.
///
/// # Errors
/// If the folder cannot be read, or a file cannot be removed.
pub fn remove_oldest(folder: &Path, kept: usize) -> Result<Vec<PathBuf>> {
    let listed = fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let listed = listed.with_context(|| format!("the folder {} cannot be read", folder.display()))?;
    let names = listed.into_iter().filter_map(|entry| entry.file_name().into_string().ok());
    let (mut names, others): (Vec<String>, Vec<String>) = names.partition(|name| is_scheduled(name));
    let drafts = others.iter().filter(|name| draft_target(name).is_some_and(is_scheduled));
    names.sort_unstable();
    names.truncate(names.len().saturating_sub(kept));
    let old: Vec<_> = names.into_iter().map(|name| folder.join(name)).collect();
    for path in old.iter().cloned().chain(drafts.map(|name| folder.join(name))) {
        let path = &path;
        fs::remove_file(path).with_context(|| format!("the old backup {} cannot be removed", path.display()))?;
    }
    Ok(old)
}

/// Returns the name of the file that this one is written for, before it is whole.
pub(super) fn draft_name(name: &str) -> String {
    format!(".{name}.new")
}

fn draft_target(name: &str) -> Option<&str> {
    name.strip_prefix('.')?.strip_suffix(".new")
}

fn is_scheduled(name: &str) -> bool {
    let time = name.strip_prefix(PREFIX);
    let time = time.and_then(|rest| rest.strip_suffix(ENCRYPTED_SUFFIX).or_else(|| rest.strip_suffix(SUFFIX)));
    time.is_some_and(|time| jiff::civil::DateTime::strptime(TIME_FORMAT, time).is_ok() && time.len() == 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_oldest_of_our_own_files_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let at = |day: i64| Time(1_793_527_200_000 + day * 86_400_000);
        let ours: Vec<_> = (0..5).map(|day| file_name(at(day), day % 2 == 0)).collect();
        assert_eq!(ours[1], "mynah-20261102T100000Z.tar");
        let others = [
            "mynah-before-upgrade.tar",
            "mynah-20261101T100000Z.tar.gz",
            "mynah-2026.tar",
            "mynah-20261301T100000Z.tar",
            "mynah-20261101T100000Z.tar.age.new",
            "notes.txt",
        ];
        for name in ours.iter().map(String::as_str).chain(others) {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let (left, foreign) = (draft_name(&ours[0]), ".mynah-before-upgrade.tar.new");
        fs::write(folder.path().join(&left), "").unwrap();
        fs::write(folder.path().join(foreign), "").unwrap();
        let removed = remove_oldest(folder.path(), 2).unwrap();
        assert!(!folder.path().join(left).exists() && folder.path().join(foreign).exists());
        assert_eq!(removed, ours[..3].iter().map(|name| folder.path().join(name)).collect::<Vec<_>>());
        assert!(ours[3..].iter().map(String::as_str).chain(others).all(|name| folder.path().join(name).exists()));
        assert!(remove_oldest(folder.path(), 2).unwrap().is_empty());
    }
}
