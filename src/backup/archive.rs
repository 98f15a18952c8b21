//! The file format of a backup: a tar archive with four kinds of members, in this order.
//!
//! | member | holds |
//! | --- | --- |
//! | `mynah-backup.json` | [`Manifest`]: what made the backup, when, and what the database should hold |
//! | `mynah.db` | the database |
//! | `media/ab/abcd…` | the files that the database names, each named by its SHA-256 |
//! | `end.json` | [`End`]: how many files there are, and which are missing |
//!
//! Everything is checked while it is read: the database against the manifest, each file against its name, and the end
//! against what came before. Any other member is refused, so nothing in an archive decides where something is written.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::model::FileHash;

/// The version of this format.
const FORMAT: u32 = 1;

const MANIFEST: &str = "mynah-backup.json";
pub(super) const DATABASE: &str = "mynah.db";
const MEDIA: &str = "media/";
const END: &str = "end.json";

/// The most that a manifest or an end may take. The end names missing files, which are few.
const MAX_JSON_BYTES: u64 = 16 << 20;

/// The first bytes of a file that age has encrypted (age-encryption.org/v1).
const AGE_MAGIC: &[u8] = b"age-encryption.org/";

/// The first member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of the format.
    pub format: u32,
    /// The version of mynah that made the backup.
    pub program: String,
    /// When the database was as it is in the backup, in milliseconds since 1970.
    pub made_at: i64,
    /// The schema of the database.
    pub schema: i64,
    /// The rows of each table.
    pub rows: BTreeMap<String, u64>,
    /// The size of the database in bytes.
    pub database_bytes: u64,
    /// The SHA-256 of the database, in hexadecimal.
    pub database_sha256: String,
}

impl Manifest {
    pub(super) fn new(made_at: i64, schema: i64, rows: BTreeMap<String, u64>, database: (u64, String)) -> Manifest {
        let program = env!("CARGO_PKG_VERSION").to_owned();
        let (database_bytes, database_sha256) = database;
        Manifest { format: FORMAT, program, made_at, schema, rows, database_bytes, database_sha256 }
    }
}

/// The last member.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// The number of files.
    pub files: u64,
    /// Their size in bytes.
    pub file_bytes: u64,
    /// Files that the database names but that were not there, or were damaged, by their hash.
    pub missing_files: Vec<String>,
}

/// What an archive holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// The first member.
    pub manifest: Manifest,
    /// The last member.
    pub end: End,
}

/// Why an archive cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It is something else.
    #[error("it is not a backup of mynah: {0}")]
    Foreign(String),
    /// Its end is missing.
    #[error("it is cut off: {0}; use another copy of it")]
    Truncated(String),
    /// A member is not what it should be.
    #[error("it is damaged: {0}; use another copy of it")]
    Damaged(String),
    /// A newer program made it.
    #[error("it has format {0}, but this program knows formats up to {FORMAT} only: restore it with the newer program")]
    Newer(u32),
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Read(io::Error),
    /// What is in it cannot be written.
    #[error("{} cannot be written: {}", .0.display(), .1)]
    Write(PathBuf, io::Error),
}

/// Returns whether a file that starts like this is encrypted with age.
pub fn is_encrypted(start: &[u8]) -> bool {
    start.starts_with(AGE_MAGIC)
}

/// Returns whether a file that starts like this is an archive of ours.
pub(super) fn begins_with_manifest(start: &[u8]) -> bool {
    start.len() == 512 && start.starts_with(MANIFEST.as_bytes()) && start.get(MANIFEST.len()) == Some(&0)
}

/// Writes an archive.
pub(super) struct Writer<W: Write> {
    tar: tar::Builder<W>,
    made_at: i64,
    end: End,
}

impl<W: Write> Writer<W> {
    /// Begins an archive with its manifest.
    pub(super) fn new(target: W, manifest: &Manifest) -> io::Result<Writer<W>> {
        let mut writer = Writer { tar: tar::Builder::new(target), made_at: manifest.made_at, end: End::default() };
        writer.append_json(MANIFEST, manifest)?;
        Ok(writer)
    }

    /// Adds the database. `size` bytes are read.
    pub(super) fn append_database(&mut self, size: u64, content: impl Read) -> io::Result<()> {
        self.append(DATABASE, size, content)
    }

    /// Adds a file.
    pub(super) fn append_file(&mut self, hash: &FileHash, size: u64, content: impl Read) -> io::Result<()> {
        self.append(&format!("{MEDIA}{:02x}/{hash}", hash.shard()), size, content)?;
        self.end.files += 1;
        self.end.file_bytes += size;
        Ok(())
    }

    /// Records a file that is missing.
    pub(super) fn skip_file(&mut self, hash: &FileHash) {
        self.end.missing_files.push(hash.to_string());
    }

    /// Writes the end, and returns it with the target.
    pub(super) fn finish(mut self) -> io::Result<(End, W)> {
        let end = std::mem::take(&mut self.end);
        self.append_json(END, &end)?;
        Ok((end, self.tar.into_inner()?))
    }

    fn append_json(&mut self, name: &str, value: &impl Serialize) -> io::Result<()> {
        let text = serde_json::to_string_pretty(value)? + "\n";
        self.append(name, text.len() as u64, text.as_bytes())
    }

    fn append(&mut self, name: &str, size: u64, content: impl Read) -> io::Result<()> {
        let mut header = tar::Header::new_ustar();
        header.set_size(size);
        header.set_mode(0o600);
        header.set_mtime(u64::try_from(self.made_at / 1000).unwrap_or(0));
        let mut content = Counted { inner: content.take(size), count: 0 };
        self.tar.append_data(&mut header, name, &mut content)?;
        if content.count == size {
            return Ok(());
        }
        Err(io::Error::new(ErrorKind::UnexpectedEof, format!("{name} became shorter while it was read")))
    }
}

struct Counted<R> {
    inner: R,
    count: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.count += read as u64;
        Ok(read)
    }
}

/// Checks an archive and writes what is in it to `folder`, which must exist: the database, and the folder `media`. Readable
/// by their owner only; everything is on the disk when this returns.
pub fn unpack(archive: impl Read, folder: &Path) -> Result<Contents, ArchiveError> {
    let media = folder.join(MEDIA);
    create_folder(&media)?;
    let contents = read(archive, Some(folder))?;
    sync_file_system(folder).map_err(|error| ArchiveError::Write(folder.to_owned(), error))?;
    Ok(contents)
}

/// Checks an archive.
pub fn verify(archive: impl Read) -> Result<Contents, ArchiveError> {
    read(archive, None)
}

/// A member that belongs into an archive.
#[derive(Debug, PartialEq, Eq)]
enum Member {
    Manifest,
    Database,
    File(FileHash),
    End,
}

impl Member {
    fn parse(name: &[u8]) -> Option<Member> {
        match std::str::from_utf8(name).ok()? {
            MANIFEST => Some(Member::Manifest),
            DATABASE => Some(Member::Database),
            END => Some(Member::End),
            name => {
                let (shard, hash) = name.strip_prefix(MEDIA)?.split_once('/')?;
                let hash = FileHash::parse(hash)?;
                (shard == format!("{:02x}", hash.shard())).then_some(Member::File(hash))
            }
        }
    }
}

fn read(archive: impl Read, folder: Option<&Path>) -> Result<Contents, ArchiveError> {
    let mut archive = tar::Archive::new(archive);
    let mut manifest: Option<Manifest> = None;
    let (mut has_database, mut end) = (false, None::<End>);
    let (mut files, mut file_bytes, mut shards) = (0_u64, 0_u64, HashSet::new());
    let mut last_file = None;
    for entry in archive.entries().map_err(ArchiveError::Read)? {
        let mut entry = entry.map_err(|error| match &manifest {
            None => ArchiveError::Foreign(format!("it is no tar archive ({error})")),
            Some(_) => read_error("its list of members", error),
        })?;
        let name = entry.path_bytes().into_owned();
        let shown = String::from_utf8_lossy(&name).chars().take(100).collect::<String>();
        let regular = entry.header().entry_type() == tar::EntryType::Regular;
        let Some(member) = Member::parse(&name).filter(|_| regular && end.is_none()) else {
            return Err(match manifest {
                None => ArchiveError::Foreign(format!("it begins with {shown:?}")),
                Some(_) => ArchiveError::Damaged(format!("{shown:?} does not belong into it")),
            });
        };
        let size = entry.header().entry_size().map_err(|error| read_error(&shown, error))?;
        match (&manifest, member) {
            (None, Member::Manifest) => {
                let read: Manifest = read_json(&mut entry, size, &shown)?;
                if read.format > FORMAT {
                    return Err(ArchiveError::Newer(read.format));
                }
                if jiff::Timestamp::from_millisecond(read.made_at).is_err() || read.made_at < 0 {
                    return Err(ArchiveError::Damaged("the time at which it was made makes no sense".to_owned()));
                }
                manifest = Some(read);
            }
            (Some(manifest), Member::Database) if !has_database => {
                let target = folder.map(|folder| folder.join(DATABASE));
                let digest = copy_member(&mut entry, size, &shown, target.as_deref())?;
                if size != manifest.database_bytes || hex::encode(digest) != manifest.database_sha256 {
                    return Err(ArchiveError::Damaged("the database has another checksum".to_owned()));
                }
                has_database = true;
            }
            // In order, so that none comes twice.
            (Some(_), Member::File(hash)) if has_database && last_file < Some(hash) => {
                let target = folder.map(|folder| folder.join(&shown));
                if let Some(shard) = target.as_deref().and_then(Path::parent)
                    && shards.insert(hash.shard())
                {
                    create_folder(shard)?;
                }
                let digest = copy_member(&mut entry, size, &shown, target.as_deref())?;
                if FileHash::new(digest) != hash {
                    return Err(ArchiveError::Damaged(format!("{shown} has another checksum")));
                }
                (files, file_bytes, last_file) = (files + 1, file_bytes + size, Some(hash));
            }
            (Some(_), Member::End) if has_database => {
                let read: End = read_json(&mut entry, size, &shown)?;
                if (read.files, read.file_bytes) != (files, file_bytes) {
                    let why = format!("it should hold {} files and holds {files}", read.files);
                    return Err(ArchiveError::Damaged(why));
                }
                end = Some(read);
            }
            (None, _) => return Err(ArchiveError::Foreign(format!("it begins with {shown:?}"))),
            (Some(_), _) => return Err(ArchiveError::Damaged(format!("{shown:?} is out of place"))),
        }
    }
    match (manifest, end) {
        (Some(manifest), Some(end)) => Ok(Contents { manifest, end }),
        (None, _) => Err(ArchiveError::Foreign("it is empty".to_owned())),
        (Some(_), None) => Err(ArchiveError::Truncated("its last member is missing".to_owned())),
    }
}

fn read_json<T: for<'a> Deserialize<'a>>(entry: &mut impl Read, size: u64, name: &str) -> Result<T, ArchiveError> {
    let mut text = Vec::new();
    entry.take(MAX_JSON_BYTES).read_to_end(&mut text).map_err(|error| read_error(name, error))?;
    if (text.len() as u64) < size.min(MAX_JSON_BYTES) {
        return Err(ArchiveError::Truncated(format!("it ends within {name}")));
    }
    serde_json::from_slice(&text).map_err(|error| ArchiveError::Damaged(format!("{name} cannot be read ({error})")))
}

/// Reads a member, writes it to `target` if there is one, and returns its SHA-256.
fn copy_member(entry: &mut impl Read, size: u64, name: &str, target: Option<&Path>) -> Result<[u8; 32], ArchiveError> {
    let open = |path: &Path| File::options().write(true).create_new(true).mode(0o600).open(path);
    let mut file = match target {
        Some(path) => Some((path, open(path).map_err(|error| ArchiveError::Write(path.to_owned(), error))?)),
        None => None,
    };
    let (mut digest, mut buffer, mut count) = (Sha256::new(), vec![0; 64 * 1024], 0);
    loop {
        let read = entry.read(&mut buffer).map_err(|error| read_error(name, error))?;
        if read == 0 {
            break;
        }
        digest.update(&buffer[..read]);
        count += read as u64;
        if let Some((path, file)) = &mut file {
            file.write_all(&buffer[..read]).map_err(|error| ArchiveError::Write(path.to_owned(), error))?;
        }
    }
    if count < size {
        return Err(ArchiveError::Truncated(format!("it ends within {name}")));
    }
    Ok(digest.finalize().into())
}

fn read_error(name: &str, error: io::Error) -> ArchiveError {
    match error.kind() {
        ErrorKind::UnexpectedEof => ArchiveError::Truncated(format!("it ends within {name}")),
        // So tar and age report content that makes no sense to them.
        ErrorKind::InvalidData | ErrorKind::InvalidInput | ErrorKind::Other => {
            ArchiveError::Damaged(format!("{name} cannot be read ({error})"))
        }
        _ => ArchiveError::Read(error),
    }
}

fn create_folder(path: &Path) -> Result<(), ArchiveError> {
    let created = DirBuilder::new().recursive(true).mode(0o700).create(path);
    created.map_err(|error| ArchiveError::Write(path.to_owned(), error))
}

/// Flushes everything that was written to the disk of this folder: one flush for each of many small files takes minutes.
fn sync_file_system(folder: &Path) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    rustix::fs::syncfs(File::open(folder)?)?;
    #[cfg(not(target_os = "linux"))]
    for path in [folder.join(DATABASE), folder.to_owned()] {
        File::open(path)?.sync_all()?;
    }
    fs::metadata(folder).map(drop)
}

#[cfg(test)]
#[path = "archive_tests.rs"]
mod tests;
