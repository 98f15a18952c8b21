//! The data folder: it is closed to others, and its disk has room.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::finding::Finding;
use crate::disk_space::{LOW_FREE_BYTES, MIN_FREE_BYTES, free_bytes, in_units};

pub(super) const NAME: &str = "data folder";

const DISK: &str = "disk space";

/// Checks the folder, and the room on its disk.
pub(super) fn check(folder: &Path, database: &Path) -> Vec<Finding> {
    let shown = folder.display();
    let metadata = match fs::metadata(folder) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return vec![Finding::ok(NAME, format!("{shown} does not exist yet; mynah creates it"))];
        }
        Err(error) => {
            let remedy = "set MYNAH_DATA_DIR to a folder that the user who runs mynah can read and write";
            return vec![Finding::failed(NAME, format!("{shown} cannot be read: {error}"), remedy)];
        }
    };
    let mode = metadata.permissions().mode() & 0o777;
    let folder_finding = if !metadata.is_dir() {
        Finding::failed(NAME, format!("{shown} is not a folder"), "set MYNAH_DATA_DIR to a folder")
    } else if mode & 0o077 == 0 {
        Finding::ok(NAME, format!("{shown} is closed to other users"))
    } else {
        let found = format!("other users of this machine can enter {shown} (mode {mode:o})");
        Finding::warning(NAME, found, format!("run: chmod 700 {shown}"))
    };
    let size = database_bytes(database);
    vec![folder_finding, judge_free_space(free_bytes(folder), size)]
}

fn judge_free_space(free: std::io::Result<u64>, database: u64) -> Finding {
    let free = match free {
        Ok(free) => free,
        Err(error) => return Finding::skipped(DISK, format!("the system does not tell the free space: {error}")),
    };
    let found = format!("{} are free, and the database takes {}", in_units(free), in_units(database));
    if free < MIN_FREE_BYTES {
        let remedy = "free some space now: without it, mynah cannot store messages and answers Twilio with 503";
        Finding::failed(DISK, found, remedy)
    } else if free < LOW_FREE_BYTES || free < database {
        Finding::warning(DISK, found, "free some space: a backup takes as much as the database, and the log grows")
    } else {
        Finding::ok(DISK, found)
    }
}

/// Returns the bytes of the database and its log.
fn database_bytes(database: &Path) -> u64 {
    let mut log = database.as_os_str().to_owned();
    log.push("-wal");
    let size = |path: &Path| fs::metadata(path).map_or(0, |file| file.len());
    size(database) + size(Path::new(&log))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::Outcome;

    #[test]
    fn free_space_is_judged_by_itself_and_by_the_database() {
        const GIB: u64 = 1 << 30;
        for (free, database, outcome) in [
            (20 * GIB, GIB, Outcome::Ok),
            (GIB, 2 * GIB, Outcome::Warning),
            (LOW_FREE_BYTES - 1, 0, Outcome::Warning),
            (MIN_FREE_BYTES - 1, 0, Outcome::Failed),
        ] {
            assert_eq!(judge_free_space(Ok(free), database).outcome, outcome, "{free} {database}");
        }
        let unknown = judge_free_space(Err(std::io::ErrorKind::Unsupported.into()), 0);
        assert_eq!(unknown.outcome, Outcome::Skipped);
    }

    #[test]
    fn an_open_folder_is_named_with_its_mode_and_the_command_that_closes_it() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(check(folder.path(), &folder.path().join("mynah.db"))[0].outcome, Outcome::Ok);
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let open = &check(folder.path(), &folder.path().join("mynah.db"))[0];
        assert!(open.outcome == Outcome::Warning && open.found.contains("755"), "{open:?}");
        assert!(open.remedy.as_deref().unwrap().starts_with("run: chmod 700 /"), "{open:?}");
        let missing = check(&folder.path().join("none"), &folder.path().join("mynah.db"));
        assert!(missing.len() == 1 && missing[0].outcome == Outcome::Ok, "{missing:?}");
    }
}
