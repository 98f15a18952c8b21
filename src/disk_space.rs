//! How much room a disk has.

use std::io;
use std::path::Path;

/// Below this, the database may fail at any moment: its log alone grows to 32 MiB.
pub const MIN_FREE_BYTES: u64 = 64 << 20;

/// Below this, the disk is soon full.
pub const LOW_FREE_BYTES: u64 = 512 << 20;

/// Returns a sentence about the disk if it is nearly full.
pub fn low_disk_space(folder: &Path) -> Option<String> {
    let free = free_bytes(folder).ok().filter(|free| *free < LOW_FREE_BYTES)?;
    Some(format!("only {} are free in {}", in_units(free), folder.display()))
}

/// Returns the bytes that mynah's user may still write.
pub fn free_bytes(folder: &Path) -> io::Result<u64> {
    #[cfg(feature = "failpoints")]
    if let Some(free) = std::env::var("MYNAH_TEST_FREE_BYTES").ok().and_then(|free| free.parse().ok()) {
        return Ok(free);
    }
    let disk = rustix::fs::statvfs(folder)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Returns whether both folders are on one disk, as far as the system tells.
pub fn is_same_disk(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let device = |path: &Path| std::fs::metadata(path).ok().map(|folder| folder.dev());
    device(one) == device(other)
}

/// Returns whether something is mounted at this path, which therefore cannot be renamed.
pub fn is_mount_point(path: &Path) -> bool {
    let Ok(path) = path.canonicalize() else { return false };
    #[cfg(target_os = "linux")]
    if let Ok(mounts) = procfs::process::Process::myself().and_then(|process| process.mountinfo()) {
        return mounts.into_iter().any(|mount| mount.mount_point == path);
    }
    path.parent().is_some_and(|parent| !is_same_disk(&path, parent))
}

/// Writes a size for people, such as `1.5 GiB`.
pub fn in_units(bytes: u64) -> String {
    match bytes {
        0..0x10_0000 => format!("{} KiB", bytes.div_ceil(1 << 10)),
        0x10_0000..0x4000_0000 => format!("{} MiB", bytes >> 20),
        _ => {
            let tenths = bytes / ((1 << 30) / 10);
            format!("{}.{} GiB", tenths / 10, tenths % 10)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_point_is_told_from_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!is_mount_point(folder.path()) && !is_mount_point(&folder.path().join("none")));
        assert!(is_mount_point(Path::new("/proc")) || cfg!(not(target_os = "linux")));
    }

    #[test]
    fn sizes_are_written_in_units() {
        assert_eq!([0, 1, 5 << 20, 3 << 29].map(in_units), ["0 KiB", "1 KiB", "5 MiB", "1.5 GiB"]);
    }
}
