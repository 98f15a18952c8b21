//! Puts a backup in the place of the data folder's data.

use std::fs::{self, DirBuilder, File};
use std::io::{BufReader, ErrorKind, Read, Seek};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};

use super::archive::{self, ArchiveError, Contents};
use super::encryption::Input;
use crate::app::{RestoredData, with_erasure_key};
use crate::clock::{Clock, Time};
use crate::config::{AgeKeyFile, AgeKeyOrigin, DataConfig};
use crate::disk_space::{MIN_FREE_BYTES, free_bytes, in_units, is_mount_point};
use crate::file_owner::give_to_owner_of;
use crate::secrets::{Secrets, SecretsError};
use crate::store::{
    DatabaseCopy, FolderLock, RestoredWork, Store, StoreOptions, check_whole, erased_addresses_in, is_in_use,
    stored_configuration,
};

/// How far two clocks may differ without anybody noticing.
const MAX_CLOCK_SKEW: Duration = Duration::from_secs(60);

/// What to restore.
#[derive(Clone, Debug)]
pub struct RestoreOptions {
    /// The backup.
    pub file: PathBuf,
    /// The file of the age identity that opens an encrypted backup; `None` tries the installation's own.
    pub identity: Option<PathBuf>,
    /// Whether the backup may take the place of a database. The old one gets another name.
    pub overwrite: bool,
}

/// Whether the secrets in the restored database can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdentityState {
    /// There are no secrets in it.
    NotNeeded,
    /// The age identity opens them.
    Fits,
    /// There is no identity file.
    Missing(PathBuf),
    /// The identity does not open them, or cannot be read.
    DoesNotFit(PathBuf, String),
}

/// A restore that was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoreReport {
    /// What the archive says of itself.
    pub contents: Contents,
    /// What was unfinished in it.
    pub work: RestoredWork,
    /// The new names of the old data.
    pub replaced: Vec<PathBuf>,
    /// How many persons were erased since the backup, and are erased again.
    pub erased_again: usize,
    /// Why it is not known who was erased since the backup; `None` if it is known, or if there was no database.
    pub erasures_unknown: Option<String>,
    /// Whether the secrets can be used.
    pub identity: IdentityState,
}

/// Restores a backup into the data folder. No `serve` may run on it. Until the backup is read, `go_on` may stop it by
/// returning `false`.
///
/// # Errors
/// If the backup cannot be used ([`ArchiveError`] says why), the data folder is in use or has a database and `overwrite` is
/// not set, or something cannot be written. Then nothing has changed.
pub async fn restore(
    data: &DataConfig,
    options: &RestoreOptions,
    clock: &dyn Clock,
    go_on: &dyn Fn() -> bool,
) -> Result<RestoreReport> {
    let shown = options.file.display();
    let file = File::open(&options.file).with_context(|| format!("the backup {shown} cannot be opened"))?;
    if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
        bail!("{shown} is a folder; name the file of a backup");
    }
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&data.dir)
        .with_context(|| format!("the data folder {} cannot be created (MYNAH_DATA_DIR)", data.dir.display()))?;
    let _lock = FolderLock::take(&data.dir)?;
    if data.database.exists() && !options.overwrite {
        bail!(
            "there is a database at {} already; add --force to put the backup in its place (the old one is kept under another \
             name), or set MYNAH_DATA_DIR to another folder",
            data.database.display()
        );
    }
    // First, because what an interrupted restore has left may be what fills the disk.
    let restored = RestoredData::prepare(data)?;
    Unpacked(data.dir.join("restore.new")).remove()?;
    let folder = data.database.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    for place in [&*data.dir, folder] {
        check_space(place, &file)?;
    }
    for place in [data.dir.join("media"), data.database.clone()] {
        if is_mount_point(&place) {
            bail!(
                "{} is a mount point, so it cannot be put aside: mount the whole data folder instead, or restore into \
                 another one (MYNAH_DATA_DIR)",
                place.display()
            );
        }
    }
    if is_in_use(&data.database) {
        bail!(
            "another process uses the database {}: stop it, also if it has another data folder",
            data.database.display()
        );
    }
    let unpacked = unpack(file, options, data, &restored, clock, go_on)
        .with_context(|| format!("the backup {shown} cannot be used"));
    let prepared = match unpacked {
        Ok(contents) => prepare_database(data, &restored.database(), contents, clock).await,
        Err(error) => Err(error),
    };
    match prepared {
        Ok(report) => {
            for path in [data.dir.join("mynah.lock"), restored.database(), restored.media()] {
                give_to_owner_of(&data.dir, &path)
                    .with_context(|| format!("{} cannot be given to the owner of the data folder", path.display()))?;
            }
            let replaced = restored.use_now(clock.now())?;
            Ok(RestoreReport { replaced, ..report })
        }
        Err(error) => {
            // Nothing is left of it. What cannot be removed, the next restore removes.
            drop(RestoredData::prepare(data));
            Err(error)
        }
    }
}

/// The files of the backup take about as much as the backup.
fn check_space(folder: &Path, backup: &File) -> Result<()> {
    let needed = backup.metadata().map_or(0, |file| file.len()).saturating_add(MIN_FREE_BYTES);
    match free_bytes(folder) {
        Ok(free) if free < needed => bail!(
            "there is too little room in {}: {} are needed, and {} are free",
            folder.display(),
            in_units(needed),
            in_units(free)
        ),
        _ => Ok(()),
    }
}

fn unpack(
    file: File,
    options: &RestoreOptions,
    data: &DataConfig,
    restored: &RestoredData<'_>,
    clock: &dyn Clock,
    go_on: &dyn Fn() -> bool,
) -> Result<Contents> {
    let folder = Unpacked(data.dir.join("restore.new"));
    folder.remove()?;
    DirBuilder::new().mode(0o700).create(&folder.0).with_context(|| folder.0.display().to_string())?;
    let source = Stoppable { inner: open(file, options, data)?, go_on };
    let unpacked = archive::unpack(BufReader::with_capacity(1 << 20, source), &folder.0);
    if !go_on() {
        bail!("the restore was stopped; nothing has changed");
    }
    let contents = unpacked?;
    let (made_at, now) = (Time(contents.manifest.made_at), clock.now());
    if made_at > now + MAX_CLOCK_SKEW {
        bail!(
            "it was made at {made_at}, but the clock of this machine says {now}: set the clock first, because mynah compares \
             it with the times in Twilio's list"
        );
    }
    let database = folder.0.join(archive::DATABASE);
    let expected = DatabaseCopy { schema: contents.manifest.schema, rows: contents.manifest.rows.clone() };
    check_whole(&database, &expected)?;
    move_file(&database, &restored.database())?;
    fs::rename(folder.0.join("media"), restored.media()).context("the restored files cannot be moved")?;
    Ok(contents)
}

/// Reads until it is stopped.
struct Stoppable<'a, R> {
    inner: R,
    go_on: &'a dyn Fn() -> bool,
}

impl<R: Read> Read for Stoppable<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if (self.go_on)() { self.inner.read(buffer) } else { Err(std::io::Error::other("stopped")) }
    }
}

/// Opens the backup, decrypted if need be.
fn open(mut file: File, options: &RestoreOptions, data: &DataConfig) -> Result<Input<BufReader<File>>> {
    let mut start = [0; 32];
    let mut length = 0;
    while let read @ 1.. = file.read(&mut start[length..])? {
        length += read;
    }
    file.rewind()?;
    let file = BufReader::with_capacity(1 << 20, file);
    if !archive::is_encrypted(&start[..length]) {
        return Ok(Input::Plain(file));
    }
    let (named, key) = match &options.identity {
        Some(path) => (true, AgeKeyFile { path: path.clone(), origin: AgeKeyOrigin::Setting }),
        None => (false, data.age_key.clone()),
    };
    let secrets = match Secrets::open(&key) {
        Err(SecretsError::Missing(_)) => {
            let how =
                if named { "there is no file" } else { "it is encrypted; name its age identity with --identity:" };
            bail!("{how} {}", key.path.display());
        }
        opened => opened?,
    };
    let reader = secrets.decrypt_stream(file).map_err(|error| match error {
        age::DecryptError::NoMatchingKeys => {
            let hint = if named { "" } else { "; name another with --identity" };
            anyhow!("it is encrypted, and the age identity {} does not open it{hint}", key.path.display())
        }
        age::DecryptError::Io(error) if error.kind() == ErrorKind::UnexpectedEof => {
            ArchiveError::Truncated("it ends within its first lines".to_owned()).into()
        }
        error => ArchiveError::Damaged(format!("it cannot be decrypted ({error})")).into(),
    })?;
    Ok(Input::Encrypted(Box::new(reader)))
}

/// Brings the restored database up to date, and marks what the lost process may have done since.
async fn prepare_database(
    data: &DataConfig,
    database: &Path,
    contents: Contents,
    clock: &dyn Clock,
) -> Result<RestoreReport> {
    let (erased, erasures_unknown) = match erased_addresses_in(&data.database) {
        Ok(erased) => (erased, None),
        // A damaged database is a reason to restore a backup.
        Err(error) => (Vec::new(), Some(error.to_string())),
    };
    let mut store = Store::open(database, StoreOptions::new(Duration::ZERO, Duration::ZERO))?;
    let mut erased_again = 0;
    if !erased.is_empty() {
        store = with_erasure_key(store, data, clock).await.context(
            "persons were erased since the backup, and without the age identity mynah cannot erase them again",
        )?;
        erased_again = store.erase_again(erased, clock.now()).await?;
    }
    let work = store.mark_restored(Time(contents.manifest.made_at), clock.now()).await?;
    if !store.empty_log().await? {
        bail!("the restored database is in use by another process");
    }
    // The writer ends with the last clone, and has written everything then.
    drop(store);
    let stored = stored_configuration(database)?;
    let identity = identity_state(&data.age_key, stored.sealed_secrets.values().map(String::as_str));
    File::open(database).and_then(|file| file.sync_all()).with_context(|| database.display().to_string())?;
    Ok(RestoreReport { contents, work, replaced: Vec::new(), erased_again, erasures_unknown, identity })
}

fn identity_state<'a>(key: &AgeKeyFile, sealed: impl Iterator<Item = &'a str>) -> IdentityState {
    let mut sealed = sealed.peekable();
    if sealed.peek().is_none() {
        return IdentityState::NotNeeded;
    }
    match Secrets::open(key) {
        Err(SecretsError::Missing(_)) => IdentityState::Missing(key.path.clone()),
        Err(error) => IdentityState::DoesNotFit(key.path.clone(), error.to_string()),
        Ok(secrets) => match sealed.find_map(|sealed| secrets.unseal(sealed).err()) {
            Some(error) => IdentityState::DoesNotFit(key.path.clone(), error.to_string()),
            None => IdentityState::Fits,
        },
    }
}

/// Renames the file, or copies it to another disk.
fn move_file(from: &Path, to: &Path) -> Result<()> {
    let moved = match fs::rename(from, to) {
        Err(error) if error.kind() == ErrorKind::CrossesDevices => {
            fs::copy(from, to).and_then(|_| File::open(to)?.sync_all()).and_then(|()| fs::remove_file(from))
        }
        renamed => renamed,
    };
    moved.with_context(|| format!("the restored database cannot be moved to {}", to.display()))
}

/// The folder that a backup is unpacked into, gone when this value is dropped.
struct Unpacked(PathBuf);

impl Unpacked {
    fn remove(&self) -> Result<()> {
        match fs::remove_dir_all(&self.0) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).with_context(|| self.0.display().to_string())
            }
            _ => Ok(()),
        }
    }
}

impl Drop for Unpacked {
    fn drop(&mut self) {
        drop(self.remove());
    }
}
