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

/// The scheduled backups of one installation in a folder.
pub struct Rotation<'a> {
    folder: &'a Path,
    prefix: String,
}

impl<'a> Rotation<'a> {
    /// `host` is that of the public URL. It is in the names, so that installations that share a folder leave each other's
    /// backups alone.
    pub fn new(folder: &'a Path, host: Option<&str>) -> Rotation<'a> {
        let host = host
            .map(|host| format!("{}-", host.replace(|char: char| !char.is_ascii_alphanumeric() && char != '.', "_")));
        Rotation { folder, prefix: format!("{PREFIX}{}", host.unwrap_or_default()) }
    }

    /// Returns the path of a backup, such as `mynah-bot.example.org-20261101T100000Z.tar`.
    pub fn path(&self, made_at: Time, encrypted: bool) -> PathBuf {
        let suffix = if encrypted { ENCRYPTED_SUFFIX } else { SUFFIX };
        self.folder.join(format!("{}{}{suffix}", self.prefix, time_text(made_at)))
    }

    /// Removes what killed processes have left of backups in the folder. What somebody is writing stays.
    ///
    /// # Errors
    /// If the folder cannot be read, or a file cannot be removed.
    pub fn remove_drafts(&self) -> Result<()> {
        for name in self.names()? {
            let is_draft = draft_target(&name).is_some_and(|target| self.time_of(target).is_some());
            let path = self.folder.join(&name);
            if is_draft && fs::File::open(&path).is_ok_and(|draft| draft.try_lock().is_ok()) {
                fs::remove_file(&path).with_context(|| format!("{} cannot be removed", path.display()))?;
            }
        }
        Ok(())
    }

    /// Removes the oldest backups beyond the newest `kept`. The one of `made_at` is the newest and stays: a clock that was
    /// ahead may have left names from the future, which count for nothing and stay. Returns the removed files.
    ///
    /// # Errors
    /// If the folder cannot be read, or a file cannot be removed.
    pub fn remove_oldest(&self, kept: usize, made_at: Time) -> Result<Vec<PathBuf>> {
        let newest = time_text(made_at);
        let mut names = self.names()?;
        names.retain(|name| self.time_of(name).is_some_and(|time| time < newest.as_str()));
        names.sort_unstable_by(|one, other| self.time_of(one).cmp(&self.time_of(other)));
        names.truncate(names.len().saturating_sub(kept.saturating_sub(1)));
        let old: Vec<_> = names.into_iter().map(|name| self.folder.join(name)).collect();
        for path in &old {
            fs::remove_file(path).with_context(|| format!("the old backup {} cannot be removed", path.display()))?;
        }
        Ok(old)
    }

    fn names(&self) -> Result<Vec<String>> {
        let listed = fs::read_dir(self.folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let listed = listed.with_context(|| format!("the folder {} cannot be read", self.folder.display()))?;
        Ok(listed.into_iter().filter_map(|entry| entry.file_name().into_string().ok()).collect())
    }

    /// Returns the time in a name of ours.
    fn time_of<'b>(&self, name: &'b str) -> Option<&'b str> {
        let rest = name.strip_prefix(&self.prefix)?;
        let time = rest.strip_suffix(ENCRYPTED_SUFFIX).or_else(|| rest.strip_suffix(SUFFIX))?;
        (time.len() == 16 && jiff::civil::DateTime::strptime(TIME_FORMAT, time).is_ok()).then_some(time)
    }
}

fn time_text(at: Time) -> String {
    jiff::Timestamp::from_millisecond(at.millis()).unwrap_or_default().strftime(TIME_FORMAT).to_string()
}

/// Returns the name of the file that this one is written for, before it is whole.
pub(super) fn draft_name(name: &str) -> String {
    format!(".{name}.new")
}

fn draft_target(name: &str) -> Option<&str> {
    name.strip_prefix('.')?.strip_suffix(".new")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(day: i64) -> Time {
        Time(1_793_527_200_000 + day * 86_400_000)
    }

    fn name(path: &Path) -> String {
        path.file_name().unwrap().to_str().unwrap().to_owned()
    }

    #[test]
    fn only_the_oldest_of_our_own_files_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let rotation = Rotation::new(folder.path(), Some("bot.example.org"));
        let ours: Vec<_> = (0..5).map(|day| rotation.path(at(day), day % 2 == 0)).collect();
        assert_eq!(name(&ours[1]), "mynah-bot.example.org-20261102T100000Z.tar");
        let others = [
            "mynah-before-upgrade.tar",
            "mynah-bot.example.org-20261101T100000Z.tar.gz",
            "mynah-bot.example.org-2026.tar",
            "mynah-bot.example.org-20261301T100000Z.tar",
            "mynah-20261101T100000Z.tar",
            "mynah-other.example.org-20261101T100000Z.tar",
            "notes.txt",
        ];
        for path in ours.iter().cloned().chain(others.map(|other| folder.path().join(other))) {
            fs::write(path, "").unwrap();
        }
        let removed = rotation.remove_oldest(2, at(4)).unwrap();
        assert_eq!(removed, ours[..3]);
        assert!(ours[3..].iter().all(|path| path.exists()));
        assert!(others.iter().all(|other| folder.path().join(other).exists()));
        assert!(rotation.remove_oldest(2, at(4)).unwrap().is_empty());
    }

    #[test]
    fn names_from_the_future_cost_no_new_backup() {
        let folder = tempfile::tempdir().unwrap();
        let rotation = Rotation::new(folder.path(), None);
        for day in [0, 1, 900, 901] {
            fs::write(rotation.path(at(day), false), "").unwrap();
        }
        assert_eq!(rotation.remove_oldest(1, at(1)).unwrap(), [rotation.path(at(0), false)]);
        assert!([1, 900, 901].iter().all(|day| rotation.path(at(*day), false).exists()));
    }

    #[test]
    fn a_draft_that_nobody_writes_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let rotation = Rotation::new(folder.path(), None);
        let draft = |name: &str| folder.path().join(draft_name(name));
        let (left, written) = (draft(&name(&rotation.path(at(0), false))), draft(&name(&rotation.path(at(1), true))));
        let foreign = draft("mynah-before-upgrade.tar");
        for path in [&left, &written, &foreign] {
            fs::write(path, "").unwrap();
        }
        let writer = fs::File::open(&written).unwrap();
        writer.lock().unwrap();
        rotation.remove_drafts().unwrap();
        assert!(!left.exists() && written.exists() && foreign.exists());
    }
}
