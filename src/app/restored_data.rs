//! Puts a restored database and its files in the place of the old ones.
//!
//! Several files change place, which no system call does at once. So everything is prepared beside the old files, and a
//! marker is written. Without the marker, the old files count, and what is prepared is removed by the next restore. With
//! it, the new ones count: whoever opens the data folder next finishes what a crash has interrupted. Nothing of the old
//! data is deleted; it gets other names.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::clock::Time;
use crate::config::DataConfig;
use crate::file_owner::give_to_owner_of;
use crate::store::FolderLock;

/// What the files of SQLite beside the database end with, and the database itself. It is last, so that its log never lies
/// beside another database.
const DATABASE_SUFFIXES: [&str; 3] = ["-wal", "-shm", ""];

/// The restored data, ready to take the place of the old.
pub struct RestoredData<'a> {
    data: &'a DataConfig,
}

impl RestoredData<'_> {
    /// Removes what an earlier restore has prepared and not used, and returns the places for the new data. Call it with the
    /// lock on the data folder.
    pub fn prepare(data: &DataConfig) -> Result<RestoredData<'_>> {
        let restored = RestoredData { data };
        for suffix in DATABASE_SUFFIXES {
            or_if_missing(fs::remove_file(with_suffix(&restored.database(), suffix)))?;
        }
        or_if_missing(fs::remove_dir_all(restored.media()))?;
        Ok(restored)
    }

    /// Where the restored database lies until it is used.
    pub fn database(&self) -> PathBuf {
        with_suffix(&self.data.database, ".restored")
    }

    /// Where the folder of the restored files lies until it is used.
    pub fn media(&self) -> PathBuf {
        self.data.dir.join("media.restored")
    }

    /// Puts the restored data in the place of the old. Both of its places must be filled, and their content on the disk.
    /// Returns the new names of the old data.
    pub fn use_now(self, now: Time) -> Result<Vec<PathBuf>> {
        let stamp = free_stamp(self.data, now)?;
        crate::failpoint::hit("before-restore-marker");
        let (marker, draft) = (marker(self.data), self.data.dir.join("restore-in-progress.new"));
        let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        writeln!(file, "{stamp}\n{}", self.data.database.display())?;
        file.sync_all()?;
        give_to_owner_of(&self.data.dir, &draft)?;
        sync_folder(&self.data.database)?;
        fs::rename(&draft, &marker)?;
        sync_folder(&marker)?;
        crate::failpoint::hit("after-restore-marker");
        finish(self.data, &stamp)?;
        Ok(names_of_old(self.data, &stamp).into_iter().map(|(_, old)| old).filter(|old| old.exists()).collect())
    }
}

/// Returns the time as it is appended to the names of the old data, with a number if such names are taken.
fn free_stamp(data: &DataConfig, now: Time) -> Result<String> {
    let time = jiff::Timestamp::from_millisecond(now.millis())?.strftime("%Y%m%dT%H%M%SZ").to_string();
    let stamps = (1_u32..).map(|number| if number == 1 { time.clone() } else { format!("{time}-{number}") });
    let is_free = |stamp: &String| names_of_old(data, stamp).iter().all(|(_, old)| fs::symlink_metadata(old).is_err());
    stamps.take(1000).find(is_free).context("too many restores in one second")
}

/// Finishes a restore that a crash has interrupted. Costs one look at the data folder if there is none. Call it before the
/// database is opened.
pub fn finish_interrupted_restore(data: &DataConfig) -> Result<()> {
    let marker = marker(data);
    let read = or_if_missing(fs::read_to_string(&marker).map(Some)).with_context(|| marker.display().to_string())?;
    let Some(text) = read else { return Ok(()) };
    let (stamp, database) = text.trim_end().split_once('\n').unwrap_or((text.trim(), ""));
    if Path::new(database) != data.database {
        bail!(
            "the restore of the database {database} was interrupted, but the database here is {}: set DATABASE_URL as it \
             was then, so that mynah can finish it",
            data.database.display()
        );
    }
    let _lock = FolderLock::take(&data.dir).context("a backup is being restored at this moment")?;
    // Another process may have finished it before the lock was free.
    if marker.exists() {
        finish(data, stamp)?;
    }
    Ok(())
}

fn marker(data: &DataConfig) -> PathBuf {
    data.dir.join("restore-in-progress")
}

/// Returns each file or folder of the old data, with the name that it gets.
fn names_of_old(data: &DataConfig, stamp: &str) -> Vec<(PathBuf, PathBuf)> {
    let replaced = with_suffix(&data.database, &format!(".replaced-{stamp}"));
    let database =
        DATABASE_SUFFIXES.map(|suffix| (with_suffix(&data.database, suffix), with_suffix(&replaced, suffix)));
    let media = data.dir.join("media");
    let media = (media.clone(), with_suffix(&media, &format!(".replaced-{stamp}")));
    database.into_iter().chain([media]).collect()
}

/// Each step shows by itself whether it was done, so the steps can be repeated.
fn finish(data: &DataConfig, stamp: &str) -> Result<()> {
    let restored = RestoredData { data };
    for (place, old_name) in names_of_old(data, stamp) {
        let new = if place == data.dir.join("media") { restored.media() } else { restored.database() };
        // Once the new one is in its place, nothing old is left there.
        if new.exists() && !old_name.exists() {
            or_if_missing(fs::rename(&place, &old_name))
                .with_context(|| format!("cannot rename {}", place.display()))?;
            crate::failpoint::hit("restore-renamed");
        }
        if place == data.database || place == data.dir.join("media") {
            or_if_missing(fs::rename(&new, &place)).with_context(|| format!("cannot rename {}", new.display()))?;
            crate::failpoint::hit("restore-renamed");
        }
    }
    sync_folder(&data.database)?;
    let marker = marker(data);
    sync_folder(&marker)?;
    or_if_missing(fs::remove_file(&marker))?;
    sync_folder(&marker)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

/// Flushes the folder that the path lies in.
fn sync_folder(path: &Path) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).with_context(|| folder.display().to_string())
}

fn or_if_missing<T: Default>(outcome: io::Result<T>) -> io::Result<T> {
    match outcome {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(T::default()),
        outcome => outcome,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time(1_793_527_200_000);
    const OLD: [(&str, &str); 3] = [("mynah.db", "old"), ("mynah.db-wal", "old log"), ("media/ab", "old file")];
    const NEW: [(&str, &str); 2] = [("mynah.db", "new"), ("media/cd", "new file")];

    fn data(old: &[(&str, &str)]) -> (tempfile::TempDir, DataConfig) {
        let folder = tempfile::tempdir().unwrap();
        let data = DataConfig::in_folder(folder.path().to_owned());
        for (name, content) in old {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        (folder, data)
    }

    fn fill(restored: &RestoredData<'_>) {
        fs::write(restored.database(), "new").unwrap();
        fs::create_dir(restored.media()).unwrap();
        fs::write(restored.media().join("cd"), "new file").unwrap();
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names.retain(|name| name != "mynah.lock");
        names
    }

    fn read(folder: &Path, name: &str) -> String {
        fs::read_to_string(folder.join(name)).unwrap()
    }

    #[test]
    fn the_old_data_gets_other_names_and_is_complete() {
        let (folder, data) = data(&OLD);
        let restored = RestoredData::prepare(&data).unwrap();
        fill(&restored);
        let old = restored.use_now(NOW).unwrap();
        assert_eq!(old.len(), 3, "{old:?}");
        for (name, content) in NEW {
            assert_eq!(read(folder.path(), name), content);
        }
        let stamp = "replaced-20261101T100000Z";
        assert_eq!(
            names(folder.path()),
            [
                "media",
                &format!("media.{stamp}"),
                "mynah.db",
                &format!("mynah.db.{stamp}"),
                &format!("mynah.db.{stamp}-wal")
            ]
        );
        assert_eq!(read(folder.path(), &format!("mynah.db.{stamp}-wal")), "old log");
        assert_eq!(read(folder.path(), &format!("media.{stamp}/ab")), "old file");
    }

    #[test]
    fn an_empty_data_folder_is_filled() {
        let (folder, data) = data(&[]);
        let restored = RestoredData::prepare(&data).unwrap();
        fill(&restored);
        assert!(restored.use_now(NOW).unwrap().is_empty());
        assert_eq!(names(folder.path()), ["media", "mynah.db"]);
    }

    /// Every state that a crash can leave: the renames are done up to one of them.
    #[test]
    fn a_restore_that_stopped_after_any_step_is_finished() {
        let stamp = "20261101T100000Z";
        for steps in 0..=5 {
            let (folder, data) = data(&OLD);
            fill(&RestoredData::prepare(&data).unwrap());
            fs::write(marker(&data), format!("{stamp}\n{}\n", data.database.display())).unwrap();
            let old = |name: &str| format!("{name}.replaced-{stamp}");
            let renames = [
                ("mynah.db-wal".to_owned(), format!("{}-wal", old("mynah.db"))),
                ("mynah.db".to_owned(), old("mynah.db")),
                ("mynah.db.restored".to_owned(), "mynah.db".to_owned()),
                ("media".to_owned(), old("media")),
                ("media.restored".to_owned(), "media".to_owned()),
            ];
            for (from, to) in &renames[..steps] {
                fs::rename(folder.path().join(from), folder.path().join(to)).unwrap();
            }
            finish_interrupted_restore(&data).unwrap();
            for (name, content) in NEW {
                assert_eq!(read(folder.path(), name), content, "after {steps} steps");
            }
            assert_eq!(read(folder.path(), &format!("{}-wal", old("mynah.db"))), "old log", "after {steps} steps");
            assert_eq!(read(folder.path(), &format!("{}/ab", old("media"))), "old file", "after {steps} steps");
            assert_eq!(names(folder.path()).len(), 5, "after {steps} steps: {:?}", names(folder.path()));
        }
    }

    #[test]
    fn two_restores_in_one_second_keep_the_data_of_both() {
        let (folder, data) = data(&OLD);
        for _ in 0..2 {
            let restored = RestoredData::prepare(&data).unwrap();
            fill(&restored);
            restored.use_now(NOW).unwrap();
        }
        let stamp = "replaced-20261101T100000Z";
        assert_eq!(read(folder.path(), &format!("mynah.db.{stamp}")), "old");
        assert_eq!(read(folder.path(), &format!("mynah.db.{stamp}-2")), "new");
        assert_eq!(read(folder.path(), &format!("media.{stamp}-2/cd")), "new file");
        assert_eq!(read(folder.path(), "mynah.db"), "new");
    }

    #[test]
    fn a_restore_of_another_database_is_not_finished_here() {
        let (folder, data) = data(&OLD);
        fill(&RestoredData::prepare(&data).unwrap());
        fs::write(marker(&data), "20261101T100000Z\n/elsewhere/x.db\n").unwrap();
        let error = finish_interrupted_restore(&data).unwrap_err().to_string();
        assert!(error.contains("/elsewhere/x.db") && error.contains("DATABASE_URL"), "{error}");
        assert!(marker(&data).exists() && read(folder.path(), "media/ab") == "old file", "nothing has changed");
    }

    #[test]
    fn what_was_prepared_and_not_used_changes_nothing() {
        let (folder, data) = data(&OLD);
        fill(&RestoredData::prepare(&data).unwrap());
        finish_interrupted_restore(&data).unwrap();
        assert_eq!(read(folder.path(), "mynah.db"), "old");
        RestoredData::prepare(&data).unwrap();
        assert_eq!(names(folder.path()), ["media", "mynah.db", "mynah.db-wal"]);
    }
}
