//! Files in the data folder, named by their content: what contacts attach, and what operators send.
//!
//! A file lies at `ab/abcd…`, named by its SHA-256, so that the same content is kept once. A conversation that needs a
//! file has a row in the database. The schedule removes a file that no row names, once nobody has put it for a while.
//! `put` comes before the row, so a crash between the two leaves an extra file, never a row without its file.
//!
//! Every function blocks: call it outside the runtime's threads.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sha2::{Digest, Sha256};

use crate::clock::Time;
use crate::model::FileHash;

/// A folder of files.
#[derive(Clone, Debug)]
pub struct FileStore {
    dir: PathBuf,
}

/// Why a file cannot be stored, read or removed.
#[derive(Debug, thiserror::Error)]
#[error("the file {} cannot be {doing}: {error}", path.display())]
pub struct FileStoreError {
    path: PathBuf,
    doing: &'static str,
    #[source]
    error: io::Error,
}

impl FileStoreError {
    /// Returns whether the file does not exist.
    pub fn is_missing(&self) -> bool {
        self.error.kind() == ErrorKind::NotFound
    }
}

/// The suffix of a file that is still being written.
const TEMP_SUFFIX: &str = ".new";

impl FileStore {
    /// Creates a store of the files in `dir`. The folder is created when the first file is stored.
    pub fn new(dir: impl Into<PathBuf>) -> FileStore {
        FileStore { dir: dir.into() }
    }

    /// Stores a file, readable by its owner only, and returns once it is on the disk. A crash leaves all of the file or
    /// nothing. A file that already exists counts as put at `now`, so that [`FileStore::remove_if_older`] does not
    /// remove it when a second owner has just put it.
    pub fn put(&self, content: &[u8], now: Time) -> Result<FileHash, FileStoreError> {
        let hash = FileHash::new(Sha256::digest(content).into());
        let path = self.path(&hash);
        let shard_dir = self.shard_dir(hash.shard());
        self.write_if_absent(content, &path, &shard_dir, now).map_err(to_files_error(&path, "stored"))?;
        Ok(hash)
    }

    fn write_if_absent(&self, content: &[u8], path: &Path, shelf: &Path, now: Time) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(shelf)?;
        // Writers share this lock and do not block each other. Removing takes it exclusively, so removing and writing
        // wait for each other.
        let folder = File::open(&self.dir)?;
        folder.lock_shared()?;
        match OpenOptions::new().write(true).open(path) {
            // A file gets its name only once it is written whole.
            Ok(file) if file.metadata()?.len() == content.len() as u64 => {
                return file.set_modified(to_system_time(now));
            }
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let draft = shelf.join(format!("{:032x}{TEMP_SUFFIX}", fastrand::u128(..)));
        let written = write(content, &draft, now).and_then(|()| fs::rename(&draft, path));
        if written.is_err() {
            drop(fs::remove_file(&draft));
        }
        written?;
        // Flushes the file's name and the name of its subfolder.
        File::open(shelf)?.sync_all()?;
        folder.sync_all()
    }

    /// Opens a file for reading.
    pub fn open(&self, hash: &FileHash) -> Result<File, FileStoreError> {
        let path = self.path(hash);
        File::open(&path).map_err(to_files_error(&path, "read"))
    }

    /// Returns the content of a file.
    pub fn read(&self, hash: &FileHash) -> Result<Vec<u8>, FileStoreError> {
        let mut content = Vec::new();
        self.open(hash)?.read_to_end(&mut content).map_err(to_files_error(&self.path(hash), "read"))?;
        Ok(content)
    }

    /// Removes a file, unless it was put at `before` or later. Returns whether it removed the file. Call this only
    /// after the file was found to have no owner. An owner's row is written soon after the file is put, so the time of
    /// the file shows whether an owner may still be about to write its row.
    pub fn remove_if_older(&self, hash: &FileHash, before: Time) -> Result<bool, FileStoreError> {
        let path = self.path(hash);
        let removed = self.with_exclusive_lock(|| {
            if !is_older(&fs::metadata(&path)?, before)? {
                return Ok(false);
            }
            fs::remove_file(&path)?;
            Ok(true)
        });
        or_if_missing(false, removed).map_err(to_files_error(&path, "removed"))
    }

    /// Returns the files of one of 256 subfolders (the first byte of their hash) that were last put before `before`. It
    /// also removes files there that a crash left half written.
    pub fn files_older_than(&self, shelf: u8, before: Time) -> Result<Vec<FileHash>, FileStoreError> {
        let shelf = self.shard_dir(shelf);
        let found = self.with_exclusive_lock(|| {
            let mut found = Vec::new();
            for entry in fs::read_dir(&shelf)? {
                let entry = entry?;
                let name = entry.file_name();
                let Some(name) = name.to_str() else { continue };
                if name.ends_with(TEMP_SUFFIX) {
                    // The lock is exclusive, so nobody is writing this file.
                    fs::remove_file(entry.path())?;
                } else if let Some(hash) = FileHash::parse(name)
                    && is_older(&entry.metadata()?, before)?
                {
                    found.push(hash);
                }
            }
            Ok(found)
        });
        or_if_missing(Vec::new(), found).map_err(to_files_error(&shelf, "listed"))
    }

    /// Runs `work` while nobody puts a file, in this process or another.
    fn with_exclusive_lock<T>(&self, work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let folder = File::open(&self.dir)?;
        folder.lock()?;
        work()
    }

    fn shard_dir(&self, shelf: u8) -> PathBuf {
        self.dir.join(format!("{shelf:02x}"))
    }

    /// Returns where a file lies, or would lie.
    pub fn path(&self, hash: &FileHash) -> PathBuf {
        self.shard_dir(hash.shard()).join(hash.to_string())
    }
}

fn write(content: &[u8], draft: &Path, now: Time) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft)?;
    file.write_all(content)?;
    file.set_modified(to_system_time(now))?;
    file.sync_all()
}

fn is_older(file: &fs::Metadata, than: Time) -> io::Result<bool> {
    Ok(file.modified()? < to_system_time(than))
}

fn to_system_time(time: Time) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(time.millis()).unwrap_or(0))
}

fn or_if_missing<T>(instead: T, outcome: io::Result<T>) -> io::Result<T> {
    match outcome {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(instead),
        outcome => outcome,
    }
}

fn to_files_error(path: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> FileStoreError {
    move |error| FileStoreError { path: path.to_owned(), doing, error }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const NOW: Time = Time(1_800_000_000_000);
    const HOUR: Duration = Duration::from_secs(3600);

    fn files() -> (tempfile::TempDir, FileStore) {
        let folder = tempfile::tempdir().unwrap();
        let files = FileStore::new(folder.path().join("media"));
        (folder, files)
    }

    /// Returns the name of every file in the subfolders.
    fn names(files: &FileStore) -> Vec<String> {
        let shelves = fs::read_dir(&files.dir).unwrap().map(|shelf| fs::read_dir(shelf.unwrap().path()).unwrap());
        shelves.flatten().map(|file| file.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_file_is_kept_once_under_the_hash_of_its_content() {
        let (_folder, files) = files();
        let hash = files.put(b"abc", NOW).unwrap();
        // The example of FIPS 180-2.
        assert_eq!(hash.to_string(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(files.put(b"abc", NOW).unwrap(), hash);
        assert_eq!(files.read(&hash).unwrap(), b"abc");
        assert!(files.dir.join("ba").join(hash.to_string()).is_file());
        assert_eq!(names(&files), [hash.to_string()]);
        let empty = files.put(b"", NOW).unwrap();
        assert_eq!(files.read(&empty).unwrap(), b"");
    }

    #[test]
    fn nobody_else_may_read_a_file() {
        let (_folder, files) = files();
        let hash = files.put(b"abc", NOW).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&files.path(&hash)), 0o600);
        assert_eq!([mode(&files.dir), mode(&files.shard_dir(hash.shard()))], [0o700, 0o700]);
    }

    #[test]
    fn a_missing_file_is_distinguished_from_other_errors() {
        let (_folder, files) = files();
        let hash = FileHash::new([7; 32]);
        assert!(files.open(&hash).unwrap_err().is_missing());
        assert!(!files.remove_if_older(&hash, NOW).unwrap());
        assert!(files.files_older_than(7, NOW).unwrap().is_empty());
        fs::write(&files.dir, "in the way").unwrap();
        let error = files.put(b"abc", NOW).unwrap_err();
        assert!(!error.is_missing() && error.to_string().contains("ba7816bf"), "{error}");
    }

    #[test]
    fn a_file_that_lost_its_end_is_written_anew() {
        let (_folder, files) = files();
        let hash = files.put(b"abc", NOW).unwrap();
        fs::write(files.path(&hash), b"a").unwrap();
        files.put(b"abc", NOW).unwrap();
        assert_eq!(files.read(&hash).unwrap(), b"abc");
    }

    #[test]
    fn only_what_is_old_is_removed_and_what_is_put_again_is_not() {
        let (_folder, files) = files();
        let hash = files.put(b"abc", NOW).unwrap();
        assert!(files.files_older_than(hash.shard(), NOW).unwrap().is_empty());
        assert!(!files.remove_if_older(&hash, NOW).unwrap());
        assert_eq!(files.files_older_than(hash.shard(), NOW + HOUR).unwrap(), [hash]);
        assert!(files.files_older_than(hash.shard().wrapping_add(1), NOW + HOUR).unwrap().is_empty());
        // Another owner puts the file after it was found to have none.
        files.put(b"abc", NOW + HOUR).unwrap();
        assert!(!files.remove_if_older(&hash, NOW + HOUR).unwrap());
        assert_eq!(files.read(&hash).unwrap(), b"abc");
        assert!(files.remove_if_older(&hash, NOW + HOUR * 2).unwrap());
        assert!(files.open(&hash).unwrap_err().is_missing());
    }

    #[test]
    fn a_half_written_file_of_a_crash_is_removed() {
        let (_folder, files) = files();
        let hash = files.put(b"abc", NOW).unwrap();
        fs::write(files.shard_dir(hash.shard()).join(format!("12{TEMP_SUFFIX}")), "ab").unwrap();
        assert_eq!(files.files_older_than(hash.shard(), NOW + HOUR).unwrap(), [hash]);
        assert_eq!(names(&files), [hash.to_string()]);
    }

    #[test]
    fn nothing_is_removed_while_a_file_is_put() {
        let (_folder, files) = files();
        let hash = files.put(b"abc", NOW).unwrap();
        let putting = File::open(&files.dir).unwrap();
        putting.lock_shared().unwrap();
        // Others may still put files.
        files.put(b"abc", NOW).unwrap();
        let (done, removed) = std::sync::mpsc::channel();
        let remover = std::thread::spawn({
            let files = files.clone();
            move || done.send(files.remove_if_older(&hash, NOW + HOUR).unwrap()).unwrap()
        });
        let folder = File::open(&files.dir).unwrap();
        assert!(matches!(folder.try_lock(), Err(fs::TryLockError::WouldBlock)));
        files.put(b"abc", NOW + HOUR).unwrap();
        drop(putting);
        remover.join().unwrap();
        assert!(!removed.recv().unwrap());
    }
}
