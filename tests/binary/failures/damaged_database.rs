//! A damaged database: the process ends with a status of its own, and what is in the file is left as it is.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use rusqlite::Connection;

use crate::setup::answer_tally::{marked_text, phone};
use crate::setup::server_process::ServerProcess;
use crate::setup::test_environment::TestEnvironment;

/// `EX_IOERR` of sysexits, as documented.
const EXIT_DAMAGED: i32 = 74;

/// What a failing disk may return.
const GARBAGE: u8 = 0xa5;

/// The first pages of a table and of its indexes: whoever reads or writes it meets them.
struct TablePages {
    file: PathBuf,
    pages: Vec<(u64, Vec<u8>)>,
}

impl TablePages {
    /// Those of `table`. Nothing of the database is in its journal from here on.
    fn of(environment: &TestEnvironment, table: &str) -> TablePages {
        let file = environment.settings.folder.join("mynah.db");
        let database = Connection::open(&file).unwrap();
        database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
        let size: u16 = database.pragma_query_value(None, "page_size", |row| row.get(0)).unwrap();
        let mut roots =
            database.prepare("SELECT rootpage FROM sqlite_schema WHERE tbl_name = ?1 AND rootpage > 0").unwrap();
        let roots: Vec<u32> = roots.query_map([table], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        assert!(!roots.is_empty(), "there is a table {table}");
        let disk = File::open(&file).unwrap();
        let read = |root: u32| {
            let (at, mut page) = (u64::from(root - 1) * u64::from(size), vec![0; size.into()]);
            disk.read_exact_at(&mut page, at).unwrap();
            (at, page)
        };
        let pages = roots.into_iter().map(read).collect();
        TablePages { file, pages }
    }

    fn overwrite_with_garbage(&self) {
        self.write(|page| vec![GARBAGE; page.len()]);
    }

    fn restore(&self) {
        self.write(<[u8]>::to_vec);
    }

    fn write(&self, bytes: impl Fn(&[u8]) -> Vec<u8>) {
        let disk = File::options().write(true).open(&self.file).unwrap();
        for (at, page) in &self.pages {
            disk.write_all_at(&bytes(page), *at).unwrap();
        }
    }
}

/// A server that has answered one message and was stopped.
async fn environment_with_stopped_server() -> (TestEnvironment, ServerProcess) {
    let environment = TestEnvironment::new().await;
    let mut server = ServerProcess::start(&environment.settings).await;
    environment.contact_writes((0, 0)).await;
    environment.wait_until_all_answered_once(&mut server, 1, 1).await;
    server.signal("TERM");
    assert_eq!(server.wait_for_exit().await.code(), Some(0), "{}", server.log());
    (environment, server)
}

fn assert_damage_reported(server: &ServerProcess) {
    let log = server.log();
    let said = log.lines().rfind(|line| line.starts_with("mynah: ")).unwrap_or_default();
    assert!(said.contains("is damaged") && said.contains("malformed") && said.contains("backup"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_turns_out_damaged_ends_the_process_with_74_and_nothing_is_acknowledged() {
    let (environment, mut server) = environment_with_stopped_server().await;
    let pages = TablePages::of(&environment, "webhook_log");
    server.restart(&environment.settings).await;
    pages.overwrite_with_garbage();
    let sid = environment.twilio.add_inbound(&phone(0), &marked_text((0, 1)));
    let params = environment.twilio.inbound_params(&sid, &phone(0), "Ana", &marked_text((0, 1)));
    let acknowledged =
        environment.twilio.post_webhook(params.clone(), &sid).await.is_ok_and(|delivered| delivered.status == 200);
    assert!(!acknowledged, "{}", server.log());
    assert_eq!(server.wait_for_exit().await.code(), Some(EXIT_DAMAGED), "{}", server.log());
    assert_damage_reported(&server);
    // The rest of the file is as it was: once the disk is repaired, mynah goes on.
    pages.restore();
    server.restart(&environment.settings).await;
    assert_eq!(environment.twilio.post_webhook(params, &sid).await.unwrap().status, 200);
    environment.wait_until_all_answered_once(&mut server, 1, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_damaged_where_the_start_reads_it_ends_the_process_with_74() {
    let (environment, mut server) = environment_with_stopped_server().await;
    let pages = TablePages::of(&environment, "turns");
    pages.overwrite_with_garbage();
    server.relaunch(&environment.settings);
    assert_eq!(server.wait_for_exit().await.code(), Some(EXIT_DAMAGED), "{}", server.log());
    assert_damage_reported(&server);
    pages.restore();
    server.restart(&environment.settings).await;
    environment.contact_writes((0, 1)).await;
    environment.wait_until_all_answered_once(&mut server, 1, 2).await;
}
