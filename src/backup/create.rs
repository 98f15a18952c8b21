//! Makes a backup beside a running `serve`.

use std::cell::RefCell;
use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{self, BufReader, BufWriter, ErrorKind, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use age::x25519::Recipient;
use anyhow::{Context, Result, anyhow, bail};
use sha2::{Digest, Sha256};

use super::archive::{self, Manifest};
use super::encryption::Output;
use super::target::{Paced, check_target, draft_path, target_folder};
use crate::clock::{Clock, Time};
use crate::config::DataConfig;
use crate::disk_space::{MIN_FREE_BYTES, free_bytes, in_units, is_same_disk};
use crate::file_owner::give_to_owner_of;
use crate::file_store::FileStore;
use crate::model::FileHash;
use crate::store::{StoreError, copy_database, files_in_copy};

/// What to back up where.
#[derive(Clone, Debug)]
pub struct BackupOptions {
    /// The file to write.
    pub file: PathBuf,
    /// Whom the file is encrypted for; nobody means that it is not encrypted.
    pub recipients: Vec<Recipient>,
    /// Whether the file may take the place of another.
    pub overwrite: bool,
}

/// How far a backup or a restore has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is being done, such as `copying the database`.
    pub doing: &'static str,
    /// Bytes done.
    pub done: u64,
    /// Bytes to do; 0 if that is not known.
    pub total: u64,
}

/// A backup that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupReport {
    /// The file.
    pub file: PathBuf,
    /// Its size in bytes.
    pub bytes: u64,
    /// When the data was as it is in the backup.
    pub made_at: Time,
    /// What the archive says of itself.
    pub contents: archive::Contents,
    /// Whether the file is encrypted.
    pub encrypted: bool,
}

/// The backup was stopped before its end.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
#[error("the backup was stopped; nothing of it is left")]
pub struct Stopped;

/// Makes a backup of the data folder. Blocks; others may use the data meanwhile. `progress` returns `false` to stop.
///
/// # Errors
/// If there is no database, the file exists, there is too little room, or something cannot be read or written; [`Stopped`]
/// if `progress` said so. Nothing is left behind then.
pub fn create(
    data: &DataConfig,
    options: &BackupOptions,
    clock: &dyn Clock,
    progress: &mut dyn FnMut(Progress) -> bool,
) -> Result<BackupReport> {
    let mut stopped = false;
    let mut watched = |state| {
        stopped |= !progress(state);
        !stopped
    };
    let created = create_whole(data, options, clock, &RefCell::new(&mut watched));
    if stopped && created.is_err() { Err(Stopped.into()) } else { created }
}

type Watch<'a, 'b> = RefCell<&'a mut (dyn FnMut(Progress) -> bool + 'b)>;

fn create_whole(
    data: &DataConfig,
    options: &BackupOptions,
    clock: &dyn Clock,
    watch: &Watch<'_, '_>,
) -> Result<BackupReport> {
    let (file, folder) = (&options.file, target_folder(&options.file)?);
    check_target(file, options.overwrite)?;
    let database_bytes = size_of_database(&data.database)?;
    let _lock = lock(&data.dir)?;
    // The copy lies in the data folder, because SQLite needs locks that not every network folder has.
    let work = RemovedAtEnd(data.dir.join("backup.new"));
    work.remove()?;
    let copies = if is_same_disk(&data.dir, folder) { 2 } else { 1 };
    check_space(&data.dir, database_bytes * copies, "the copy of the database")?;
    DirBuilder::new()
        .mode(0o700)
        .create(&work.0)
        .with_context(|| format!("the folder {} cannot be created", work.0.display()))?;
    // If root is killed here, serve must be able to remove what is left.
    give_to_owner_of(&data.dir, &work.0).with_context(|| work.0.display().to_string())?;
    let copy = work.0.join(archive::DATABASE);
    let made_at = clock.now();
    let copied = copy_database(&data.database, &copy, &mut |done, total| {
        let doing = if total > 0 { "copying the database" } else { "checking the copy" };
        watch.borrow_mut()(Progress { doing, done, total })
    })?;
    let database = fs::metadata(&copy).with_context(|| copy.display().to_string())?.len();
    let files = FileStore::new(data.dir.join("media"));
    let file_bytes = bytes_of_files(&copy, &files)?;
    check_space(folder, database + file_bytes, "the backup")?;

    let draft = RemovedAtEnd(draft_path(file)?);
    draft.remove()?;
    let open = File::options().write(true).create_new(true).mode(0o600).open(&draft.0);
    let target = open.with_context(|| format!("{} cannot be created", draft.0.display()))?;
    // Another installation that uses the same folder sees that somebody writes it.
    target.lock().with_context(|| draft.0.display().to_string())?;
    let digest = hex::encode(sha256(&copy, watch)?);
    let manifest = Manifest::new(made_at.millis(), copied.schema, copied.rows, (database, digest));
    let mut done = 0;
    let mut report = |more: u64| {
        done += more;
        watch.borrow_mut()(Progress { doing: "writing the backup", done, total: database + file_bytes })
    };
    let write_error = || format!("{} cannot be written", file.display());
    let output = Output::new(BufWriter::with_capacity(1 << 20, Paced::new(target)), &options.recipients)?;
    let mut writer = archive::Writer::new(output, &manifest).with_context(write_error)?;
    let content = File::open(&copy).with_context(|| copy.display().to_string())?;
    writer.append_database(database, Watched { inner: content, report: &mut report }).with_context(write_error)?;
    files_in_copy(&copy, &mut |hash| -> Result<(), CopyingFiles> {
        // A file may be deleted meanwhile, with the conversation that it belongs to.
        match whole_file(&files, &hash) {
            Some((size, content)) => writer
                .append_file(&hash, size, Watched { inner: content, report: &mut report })
                .map_err(|error| CopyingFiles(anyhow!(error).context(write_error()))),
            None => {
                writer.skip_file(&hash);
                Ok(())
            }
        }
    })
    .map_err(|error| error.0)?;
    let (end, output) = writer.finish().with_context(write_error)?;
    let paced = output.finish().and_then(|buffer| buffer.into_inner().map_err(io::IntoInnerError::into_error));
    let target = paced.with_context(write_error)?.file;
    target.sync_all().with_context(write_error)?;
    let bytes = target.metadata().with_context(write_error)?.len();
    let contents = archive::Contents { manifest, end };
    if options.recipients.is_empty() {
        let mut reading = |_| watch.borrow_mut()(Progress { doing: "checking the backup", done: 0, total: 0 });
        let written = File::open(&draft.0).with_context(|| draft.0.display().to_string())?;
        let found = archive::verify(BufReader::new(Watched { inner: written, report: &mut reading }))
            .with_context(|| format!("the backup {} was not written as it should be", file.display()))?;
        if found != contents {
            bail!("the backup {} does not hold what was written", file.display());
        }
    }
    // All this may have taken minutes.
    check_target(file, options.overwrite)?;
    fs::rename(&draft.0, file).with_context(|| format!("the backup cannot get its name {}", file.display()))?;
    File::open(folder).and_then(|folder| folder.sync_all()).with_context(|| folder.display().to_string())?;
    let encrypted = !options.recipients.is_empty();
    Ok(BackupReport { file: file.clone(), bytes, made_at, contents, encrypted })
}

/// An error while the files are copied, of the database or of a file.
struct CopyingFiles(anyhow::Error);

impl From<StoreError> for CopyingFiles {
    fn from(error: StoreError) -> CopyingFiles {
        CopyingFiles(error.into())
    }
}

/// Returns the size of the database with its log, which the copy contains.
fn size_of_database(database: &Path) -> Result<u64> {
    let size = match fs::metadata(database) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            bail!("there is no database at {}; check MYNAH_DATA_DIR", database.display())
        }
        Err(error) => return Err(error).with_context(|| database.display().to_string()),
    };
    let mut log = database.as_os_str().to_owned();
    log.push("-wal");
    Ok(size + fs::metadata(log).map_or(0, |log| log.len()))
}

/// Locks the folder itself: a file for it would belong to whoever made the first backup, perhaps root.
fn lock(folder: &Path) -> Result<File> {
    let shown = folder.display();
    let opened = File::open(folder).with_context(|| shown.to_string())?;
    match opened.try_lock() {
        Ok(()) => Ok(opened),
        Err(TryLockError::WouldBlock) => bail!("another backup of {shown} is being made"),
        Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("{shown} cannot be locked")),
    }
}

/// Refuses to fill a disk so far that mynah could not go on. If the system does not tell the free space, the write will.
fn check_space(folder: &Path, needed: u64, what: &str) -> Result<()> {
    let needed = needed.saturating_add(MIN_FREE_BYTES);
    match free_bytes(folder) {
        Ok(free) if free < needed => bail!(
            "there is too little room in {} for {what}: {} are needed, with some room for mynah to go on, and {} are free",
            folder.display(),
            in_units(needed),
            in_units(free)
        ),
        _ => Ok(()),
    }
}

fn bytes_of_files(copy: &Path, files: &FileStore) -> Result<u64> {
    let mut bytes = 0;
    files_in_copy::<StoreError>(copy, &mut |hash| {
        bytes += fs::metadata(files.path(&hash)).map_or(0, |file| file.len());
        Ok(())
    })?;
    Ok(bytes)
}

/// Opens a file, if its content is what its name says.
fn whole_file(files: &FileStore, hash: &FileHash) -> Option<(u64, File)> {
    let mut file = files.open(hash).ok()?;
    let (size, digest) = digest_of(&mut file).ok()?;
    io::Seek::rewind(&mut file).ok()?;
    (FileHash::new(digest) == *hash).then_some((size, file))
}

fn sha256(path: &Path, watch: &Watch<'_, '_>) -> Result<[u8; 32]> {
    let file = File::open(path).with_context(|| path.display().to_string())?;
    let mut report = |_| watch.borrow_mut()(Progress { doing: "checking the copy", done: 0, total: 0 });
    let digest = digest_of(&mut Watched { inner: file, report: &mut report });
    Ok(digest.with_context(|| path.display().to_string())?.1)
}

/// Reads to the end. Returns the number of bytes and their SHA-256.
fn digest_of(content: &mut impl Read) -> io::Result<(u64, [u8; 32])> {
    let (mut digest, mut buffer, mut size) = (Sha256::new(), vec![0; 64 * 1024], 0);
    loop {
        let read = content.read(&mut buffer)?;
        if read == 0 {
            return Ok((size, digest.finalize().into()));
        }
        digest.update(&buffer[..read]);
        size += read as u64;
    }
}

/// A file or a folder that is gone when this value is dropped.
struct RemovedAtEnd(PathBuf);

impl RemovedAtEnd {
    fn remove(&self) -> Result<()> {
        let removed = match fs::symlink_metadata(&self.0) {
            Ok(found) if found.is_dir() => fs::remove_dir_all(&self.0),
            Ok(_) => fs::remove_file(&self.0),
            Err(error) => Err(error),
        };
        match removed {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error)
                .with_context(|| format!("{}, which an earlier backup left, cannot be removed", self.0.display())),
            _ => Ok(()),
        }
    }
}

impl Drop for RemovedAtEnd {
    fn drop(&mut self) {
        if let Err(error) = self.remove() {
            tracing::warn!("{error:#}");
        }
    }
}

/// Reads, reports how much, and fails with [`Stopped`] if the report says so.
struct Watched<'a, R> {
    inner: R,
    report: &'a mut dyn FnMut(u64) -> bool,
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        if (self.report)(read as u64) { Ok(read) } else { Err(io::Error::other(Stopped)) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::ManualClock;
    use crate::store::{Store, StoreOptions};

    const NOW: Time = Time(1_793_527_200_000);

    /// A data folder with a database and nothing else.
    fn data() -> (tempfile::TempDir, DataConfig) {
        let folder = tempfile::tempdir().unwrap();
        let data = DataConfig::in_folder(folder.path().to_owned());
        let options = StoreOptions::new(Duration::ZERO, Duration::from_secs(3600));
        drop(Store::open(&data.database, options).unwrap());
        (folder, data)
    }

    fn options(folder: &Path) -> BackupOptions {
        BackupOptions { file: folder.join("x.tar"), recipients: Vec::new(), overwrite: false }
    }

    fn names(folder: &Path) -> Vec<String> {
        let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }

    #[test]
    fn a_backup_that_is_stopped_at_any_moment_leaves_nothing() {
        let (folder, data) = data();
        let clock = ManualClock::new(NOW);
        let mut whole = 0;
        let made = create(&data, &options(folder.path()), &clock, &mut |_| {
            whole += 1;
            true
        });
        assert_eq!(made.unwrap().made_at, NOW);
        assert!(whole > 6, "{whole}");
        fs::remove_file(folder.path().join("x.tar")).unwrap();
        for allowed in 0..whole {
            let mut calls = 0;
            let stopped = create(&data, &options(folder.path()), &clock, &mut |_| {
                calls += 1;
                calls <= allowed
            });
            assert!(stopped.unwrap_err().is::<Stopped>(), "after {allowed} steps");
            assert_eq!(names(folder.path()), ["mynah.db"], "after {allowed} steps");
        }
    }

    #[test]
    fn a_file_that_appears_during_a_backup_is_not_replaced() {
        let (folder, data) = data();
        let options = options(folder.path());
        let made = create(&data, &options, &ManualClock::new(NOW), &mut |_| {
            fs::write(&options.file, "of somebody else").unwrap();
            true
        });
        assert!(made.unwrap_err().to_string().contains("exists already"));
        assert_eq!(fs::read(&options.file).unwrap(), b"of somebody else");
        assert_eq!(names(folder.path()), ["mynah.db", "x.tar"]);
    }

    #[test]
    fn the_progress_ends_with_everything_done() {
        let (folder, data) = data();
        let mut states = Vec::new();
        create(&data, &options(folder.path()), &ManualClock::new(NOW), &mut |state| {
            states.push(state);
            true
        })
        .unwrap();
        for doing in ["copying the database", "writing the backup"] {
            let last = states.iter().rfind(|state| state.doing == doing).unwrap();
            assert!(last.done == last.total && last.total > 0, "{last:?}");
        }
    }
}
