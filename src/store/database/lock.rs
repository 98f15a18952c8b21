//! The lock on the data folder. It proves that no other process serves the folder.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

/// The lock, held by `serve` for as long as it runs. The operating system releases it when the process ends, however it
/// ends.
#[derive(Debug)]
pub struct FolderLock {
    _file: File,
}

/// Why the lock cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds the lock: the folder, and the id of that process.
    #[error(
        "another mynah (process {1}) already serves the data folder {0}; \
         stop it, or set MYNAH_DATA_DIR to another folder"
    )]
    Taken(String, String),
    /// The lock file cannot be created, read, or written.
    #[error("the lock file {0} cannot be used: {1}")]
    Io(String, std::io::Error),
}

impl FolderLock {
    /// Takes the lock. If another process holds it, the error names that process.
    pub fn take(folder: &Path) -> Result<FolderLock, LockError> {
        let path = folder.join("mynah.lock");
        let lock_file_error = |error| LockError::Io(path.display().to_string(), error);
        let mut file =
            File::options().read(true).write(true).create(true).truncate(false).open(&path).map_err(lock_file_error)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                file.read_to_string(&mut holder).map_err(lock_file_error)?;
                let holder = if holder.trim().is_empty() { "unknown" } else { holder.trim() };
                return Err(LockError::Taken(folder.display().to_string(), holder.to_owned()));
            }
            Err(TryLockError::Error(error)) => return Err(lock_file_error(error)),
        }
        file.set_len(0).and_then(|()| file.rewind()).map_err(lock_file_error)?;
        writeln!(file, "{}", std::process::id()).map_err(lock_file_error)?;
        Ok(FolderLock { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_folder_has_one_server_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let first = FolderLock::take(folder.path()).unwrap();
        let Err(LockError::Taken(_, holder)) = FolderLock::take(folder.path()) else { panic!("taken twice") };
        assert_eq!(holder, std::process::id().to_string());
        drop(first);
        FolderLock::take(folder.path()).unwrap();
    }
}
