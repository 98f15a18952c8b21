//! The file that a backup is written to: whether it may be, and how.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::archive;
use super::rotation::draft_name;

/// How much is written between two flushes. Otherwise the system collects all of it and writes it at once, and the flush of
/// a message waits for that.
const BYTES_PER_FLUSH: u64 = 8 << 20;

/// The longest pause after a flush, in which others get the disk.
const MAX_PAUSE: Duration = Duration::from_millis(100);

/// Returns the folder of the file, which must exist.
pub(super) fn target_folder(file: &Path) -> Result<&Path> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        bail!("there is no folder {}; create it, or name a file elsewhere", folder.display());
    }
    Ok(folder)
}

/// Refuses a file that must not be replaced.
pub(super) fn check_target(file: &Path, overwrite: bool) -> Result<()> {
    if file.is_dir() {
        bail!("{} is a folder; name a file in it", file.display());
    }
    if let Ok(found) = fs::symlink_metadata(file) {
        if !overwrite {
            bail!("{} exists already; name another file, or add --force to replace it", file.display());
        }
        if !found.is_file() || !is_backup(file).with_context(|| file.display().to_string())? {
            bail!("{} is no backup, so --force does not replace it; name another file", file.display());
        }
    }
    Ok(())
}

/// Returns whether the file is a backup, or empty. Nothing else is replaced, whatever was mistyped.
fn is_backup(file: &Path) -> io::Result<bool> {
    let mut start = Vec::new();
    File::open(file)?.take(512).read_to_end(&mut start)?;
    Ok(start.is_empty() || archive::is_encrypted(&start) || archive::begins_with_manifest(&start))
}

pub(super) fn draft_path(file: &Path) -> Result<PathBuf> {
    let Some(name) = file.file_name() else { bail!("{} names no file", file.display()) };
    Ok(file.with_file_name(draft_name(&name.to_string_lossy())))
}

/// Flushes what is written bit by bit, and leaves the disk to others in between.
pub(super) struct Paced {
    pub(super) file: File,
    unflushed: u64,
}

impl Paced {
    pub(super) fn new(file: File) -> Paced {
        Paced { file, unflushed: 0 }
    }
}

impl Write for Paced {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.unflushed += written as u64;
        if self.unflushed >= BYTES_PER_FLUSH {
            let began = Instant::now();
            self.file.sync_data()?;
            self.unflushed = 0;
            std::thread::sleep(began.elapsed().min(MAX_PAUSE));
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
