//! Killing the program does not show that anything reached the disk: the system's page cache survives it. So here the
//! program's system calls are watched.

use crate::setup::server_process::ServerProcess;
use crate::setup::test_environment::TestEnvironment;
use crate::setup::wait::{TEST_TIMEOUT, wait_until};

/// G1: between the last write to the database and the 200 lies a flush.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_message_is_flushed_to_the_disk_before_it_is_acknowledged() {
    let environment = TestEnvironment::new().await;
    let trace = environment.settings.folder.join("trace");
    let calls = "trace=fsync,fdatasync,pwrite64,write,writev,sendto";
    let words = ["strace", "-D", "-f", "-y", "-e", calls, "-s", "40", "-o", trace.to_str().unwrap()];
    // Without a model nothing else writes to the database in the meantime.
    let settings =
        environment.settings.clone().without("OPENAI_BASE_URL").without("MYNAH_AI_MODEL").without("OPENAI_API_KEY");
    let settings = settings.with("MYNAH_CATCH_UP_WITHIN", "off");
    let mut server = ServerProcess::start(&settings.wrapped_in(&words)).await;
    // The regular jobs write at the start.
    let database = rusqlite::Connection::open(environment.settings.folder.join("mynah.db")).unwrap();
    wait_until("the regular jobs have run", TEST_TIMEOUT, || async {
        let jobs: i64 = database.query_row("SELECT COUNT(*) FROM schedule", [], |row| row.get(0)).unwrap();
        (jobs == 12).then_some(())
    })
    .await;
    environment.contact_writes((0, 0)).await;
    server.signal("TERM");
    assert_eq!(server.wait_for_exit().await.code(), Some(0), "{}", server.log());

    let text = std::fs::read_to_string(&trace).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let ack =
        lines.iter().position(|line| line.contains("HTTP/1.1 200 OK\\r\\ncontent-type: text/xml")).expect("an ack");
    let wal = |line: &&str| line.contains("mynah.db-wal>");
    let written = lines[..ack].iter().rposition(|line| wal(line) && line.contains("pwrite64(")).expect("a write");
    let flushed = lines[..ack].iter().rposition(|line| wal(line) && line.contains("sync(")).expect("a flush");
    assert!(
        written < flushed,
        "the last write before the acknowledgement was not flushed:\n{}",
        lines[..=ack].join("\n")
    );
    assert!(lines[flushed].ends_with("= 0"), "{}", lines[flushed]);
}
