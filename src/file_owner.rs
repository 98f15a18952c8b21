//! Files that root makes for the user who runs `serve`.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, lchown};
use std::path::Path;

/// Gives the file or folder, with all that is in it, to the owner of `folder`, if root runs this program. Otherwise it does
/// nothing: what others make is theirs.
pub fn give_to_owner_of(folder: &Path, path: &Path) -> io::Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let owner = fs::metadata(folder)?;
    let mut paths = vec![path.to_owned()];
    while let Some(path) = paths.pop() {
        lchown(&path, Some(owner.uid()), Some(owner.gid()))?;
        if fs::symlink_metadata(&path)?.is_dir() {
            for entry in fs::read_dir(&path)? {
                paths.push(entry?.path());
            }
        }
    }
    Ok(())
}
