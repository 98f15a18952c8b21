//! Files are readable by their owner only.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::setup::server_process::ServerProcess;
use crate::setup::test_environment::TestEnvironment;

/// Everything that others can access, of the folder and what is in it, with its mode.
fn open_to_others(path: &Path, found: &mut Vec<String>, seen: &mut Vec<String>) {
    let metadata = path.metadata().expect("it is there");
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        found.push(format!("{mode:o} {}", path.display()));
    }
    seen.extend(path.file_name().map(|name| name.to_string_lossy().into_owned()));
    if metadata.is_dir() {
        for entry in path.read_dir().expect("it is ours") {
            open_to_others(&entry.expect("it is there").path(), found, seen);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_other_user_can_read_what_is_stored_or_logged() {
    let environment = TestEnvironment::new().await;
    let data = environment.settings.folder.join("state/mynah");
    let logs = environment.settings.folder.join("logs");
    let settings = environment
        .settings
        .clone()
        .with("MYNAH_DATA_DIR", data.to_str().expect("temporary folders have plain names"))
        .with("MYNAH_LOG_DIR", logs.to_str().expect("temporary folders have plain names"))
        // A shell whose umask lets everybody read and write.
        .wrapped_in(&["sh", "-c", "umask 000; exec \"$0\" \"$@\""]);
    let mut server = ServerProcess::start(&settings).await;
    environment.contact_writes((0, 0)).await;
    environment.wait_until_all_answered_once(&mut server, 1, 1).await;
    let (mut found, mut seen) = (Vec::new(), Vec::new());
    for folder in [&data, &logs] {
        open_to_others(folder, &mut found, &mut seen);
    }
    assert_eq!(found, [""; 0]);
    for name in ["mynah", "mynah.db", "mynah.db-wal", "mynah.lock", "identity.age.txt", "logs"] {
        assert!(seen.iter().any(|seen| seen == name), "{name} is missing in {seen:?}");
    }
    assert!(seen.iter().any(|name| name.starts_with("mynah.") && name.ends_with(".log")), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_memory_of_the_process_is_in_no_core_dump() {
    let environment = TestEnvironment::new().await;
    let server = ServerProcess::start(&environment.settings).await;
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", server.pid())).unwrap();
    let core: Vec<_> =
        limits.lines().find(|line| line.starts_with("Max core file size")).unwrap().split_whitespace().collect();
    assert_eq!(core[4..6], ["0", "0"], "{core:?}");
}
