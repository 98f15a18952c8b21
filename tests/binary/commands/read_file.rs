//! `mynah read-file`, which `serve` starts for each file.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::setup::server_process::{CommandSettings, free_port};
use crate::setup::wait::{TEST_TIMEOUT, wait_until};

#[tokio::test]
async fn a_file_is_read_without_settings_and_reported_in_lines() {
    let folder = tempfile::tempdir().expect("a folder");
    // Any other command would refuse this.
    let settings =
        CommandSettings::new(folder.path(), free_port()).with("MYNAH_LISTEN", "nowhere").with("MYNAH_LOG", "trace");
    assert_eq!(settings.run(&["jobs", "list"]).await.status, Some(1));
    let read = settings.run_with_input(&["read-file"], "Rye bread: 4.50\n").await;
    assert_eq!((read.status, read.stderr.as_str()), (Some(0), ""));
    assert_eq!(read.stdout, "\"text\"\n{\"text\":{\"text\":\"Rye bread: 4.50\",\"truncated\":false}}\n");
    let empty = settings.run_with_input(&["read-file"], "").await;
    assert_eq!((empty.status, empty.stdout.as_str()), (Some(0), "\"unknown\"\n\"other\"\n"));
    assert!(std::fs::read_dir(folder.path()).expect("it is there").next().is_none(), "nothing is left behind");
    let help = settings.run(&["--help"]).await.stdout;
    assert!(help.contains("serve") && !help.contains("read-file"), "it is for nobody to call");
}

/// It reads nothing before it has given up the rights that it does not need.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_process_that_reads_a_file_is_limited() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mynah"));
    command.arg("read-file").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let about = |name: &str| std::fs::read_to_string(format!("/proc/{}/{name}", child.id())).unwrap_or_default();
    let limits = wait_until("it has bounds", TEST_TIMEOUT, || {
        let limits = about("limits");
        let last = limits.lines().any(|line| line.starts_with("Max processes") && line.contains(" 0 "));
        std::future::ready(last.then_some(limits))
    });
    let limits = limits.await;
    for (name, most) in [
        ("Max address space", "671088640"),
        ("Max cpu time", "20"),
        ("Max core file size", "0"),
        ("Max file size", "0"),
        ("Max open files", "3"),
        ("Max processes", "0"),
    ] {
        let line = limits.lines().find(|line| line.starts_with(name)).expect(name);
        let set: Vec<_> = line[name.len()..].split_whitespace().take(2).collect();
        assert_eq!(set, [most, most], "{line}");
    }
    assert_eq!(about("oom_score_adj").trim(), "1000");
    child.stdin.take().expect("it is piped").write_all(b"Rye").expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success() && output.stdout.starts_with(b"\"text\"\n"));
}
