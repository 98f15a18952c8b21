//! Tests of the writer with hand-made jobs: how one job affects the others, and how a full disk affects all of them.

use std::path::{Path, PathBuf};

use super::*;
use crate::store::database::{Arg, Tx};
use crate::store::sqlite::checkpoint;

type JobFn = Box<dyn Fn(&mut dyn Tx) -> Result<(), StoreError> + Send>;

/// What a job's caller receives, and the rows that another connection sees at that moment.
type JobReport = (Result<(), StoreError>, Vec<i64>);

struct TestJob {
    work: JobFn,
    path: PathBuf,
    report_to: Sender<JobReport>,
}

impl Job for TestJob {
    fn needs_flush(&self) -> bool {
        true
    }

    fn run(&mut self, tx: &mut dyn Tx) -> Result<(), StoreError> {
        (self.work)(tx)
    }

    fn finish(self: Box<Self>, outcome: Result<(), StoreError>) {
        // Nobody waits for a job that only holds the writer.
        drop(self.report_to.send((outcome, stored_ids(&self.path))));
    }
}

/// Returns the size of the log file in bytes. The file is as large as the log has ever been.
fn wal_size(path: &Path) -> u64 {
    std::fs::metadata(path.with_extension("db-wal")).map_or(0, |log| log.len())
}

fn stored_ids(path: &Path) -> Vec<i64> {
    let connection = Connection::open(path).unwrap();
    let mut statement = connection.prepare("SELECT id FROM t ORDER BY id").unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

struct TestWriter {
    writer: Writer,
    path: PathBuf,
    fatal: Receiver<String>,
    _folder: tempfile::TempDir,
}

impl TestWriter {
    fn new() -> TestWriter {
        TestWriter::with_checkpoints(checkpoint::CHECKPOINT_PAGES, |path| path.to_owned())
    }

    /// Creates a writer that copies the log when it has `log` pages, into the database at the path that `copied`
    /// returns.
    fn with_checkpoints(log: usize, copied: impl Fn(&Path) -> PathBuf) -> TestWriter {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let connection = Connection::open(&path).unwrap();
        crate::store::sqlite::set_up(&connection).unwrap();
        connection.execute_batch("CREATE TABLE t (id INTEGER PRIMARY KEY, body BLOB, UNIQUE (id, body))").unwrap();
        let (tell, fatal) = channel();
        let checkpoints = Checkpoints::new(&connection, copied(&path), log);
        let writer = Writer::start(connection, checkpoints, Arc::new(move |why| tell.send(why).unwrap())).unwrap();
        TestWriter { writer, path, fatal, _folder: folder }
    }

    fn queue(&self, work: impl Fn(&mut dyn Tx) -> Result<(), StoreError> + Send + 'static) -> Receiver<JobReport> {
        let (report_to, wait) = channel();
        self.writer.queue(Box::new(TestJob { work: Box::new(work), path: self.path.clone(), report_to }));
        wait
    }

    fn run(&self, work: impl Fn(&mut dyn Tx) -> Result<(), StoreError> + Send + 'static) -> Result<(), StoreError> {
        self.queue(work).recv().unwrap().0
    }

    /// Holds the writer in a job until the sender is dropped, so that everything queued meanwhile forms one group. The
    /// first job of that group is queued here.
    fn hold_writer(&self) -> (Sender<()>, Receiver<JobReport>) {
        let (release, wait) = channel::<()>();
        let (started, running) = channel();
        drop(self.queue(move |_| {
            started.send(()).unwrap();
            // The error means that the sender was dropped, which is the signal.
            assert!(wait.recv().is_err());
            Ok(())
        }));
        running.recv().unwrap();
        (release, self.queue(|tx| insert(tx, 0)))
    }
}

fn insert(tx: &mut dyn Tx, id: i64) -> Result<(), StoreError> {
    tx.execute("INSERT INTO t (id) VALUES (?1)", &[Arg::Int(id)]).map(drop)
}

/// Sets the most pages that the file may have; never fewer than it has (sqlite.org, PRAGMA max_page_count).
fn set_max_pages(tx: &mut dyn Tx, pages: &str) -> Result<(), StoreError> {
    tx.for_each_row(&format!("PRAGMA max_page_count = {pages}"), &[], &mut |_| Ok(()))
}

fn refused() -> StoreError {
    StoreError::Refused("on purpose".into())
}

#[test]
fn a_job_that_fails_or_panics_undoes_no_other_and_all_hear_after_one_commit() {
    let bench = TestWriter::new();
    let (release, first) = bench.hold_writer();
    let one = bench.queue(|tx| insert(tx, 1));
    let fails = bench.queue(|tx| insert(tx, 2).and(Err(refused())));
    let panics = bench.queue(|tx| {
        insert(tx, 3).unwrap();
        panic!("on purpose")
    });
    let breaks = bench.queue(|tx| {
        insert(tx, 4)?;
        insert(tx, 1)
    });
    let five = bench.queue(|tx| insert(tx, 5));
    drop(release);
    let all = vec![0, 1, 5];
    for good in [first, one, five] {
        assert_eq!(good.recv().unwrap(), (Ok(()), all.clone()));
    }
    assert_eq!(fails.recv().unwrap(), (Err(refused()), all.clone()));
    assert_eq!(panics.recv().unwrap(), (Err(StoreError::Refused("a job panicked".into())), all.clone()));
    let (broken, seen) = breaks.recv().unwrap();
    assert!(matches!(&broken, Err(StoreError::Refused(why)) if why.contains("UNIQUE")), "{broken:?}");
    assert_eq!(seen, all);
    assert_eq!(bench.writer.write_error(), None);
}

#[test]
fn a_full_database_refuses_writes_says_so_and_goes_on_by_itself_when_there_is_room() {
    let bench = TestWriter::new();
    bench.run(|tx| set_max_pages(tx, "1")).unwrap();
    for attempt in 1..=3 {
        let full = bench.run(|tx| tx.execute("INSERT INTO t VALUES (7, zeroblob(1000000))", &[]).map(drop));
        assert!(matches!(&full, Err(StoreError::Unavailable(why)) if why.contains("full")), "{attempt}: {full:?}");
        assert!(bench.writer.write_error().is_some_and(|why| why.contains("full")), "{attempt}");
    }
    assert_eq!(stored_ids(&bench.path), [0; 0]);
    bench.run(|tx| set_max_pages(tx, "100000")).unwrap();
    bench.run(|tx| tx.execute("INSERT INTO t VALUES (7, zeroblob(1000000))", &[]).map(drop)).unwrap();
    assert_eq!((bench.writer.write_error(), stored_ids(&bench.path)), (None, vec![7]));
    assert!(bench.fatal.try_recv().is_err(), "a full disk does not end the writer");
}

/// SQLite undoes the whole transaction, including the jobs of the group that had run (sqlite.org, SQLITE_FULL).
#[test]
fn no_job_of_a_group_that_fills_the_database_is_reported_as_stored() {
    let bench = TestWriter::new();
    bench.run(|tx| set_max_pages(tx, "1")).unwrap();
    let (release, first) = bench.hold_writer();
    let full = bench.queue(|tx| tx.execute("INSERT INTO t VALUES (7, zeroblob(1000000))", &[]).map(drop));
    let behind = bench.queue(|tx| insert(tx, 8));
    drop(release);
    for report in [first, full] {
        let (outcome, seen) = report.recv().unwrap();
        assert!(matches!(outcome, Err(StoreError::Unavailable(_))), "{outcome:?}");
        assert_eq!(seen, [0; 0]);
    }
    assert_eq!(behind.recv().unwrap(), (Ok(()), vec![8]), "a small row still fits");
}

/// A statement with a journal of its own is undone alone, and the commit of the others succeeds. The failure is
/// reported all the same.
#[test]
fn a_single_write_to_a_full_database_is_reported_as_a_write_error() {
    let bench = TestWriter::new();
    bench.run(|tx| set_max_pages(tx, "1")).unwrap();
    let (release, first) = bench.hold_writer();
    let full = bench.queue(|tx| {
        let many = "WITH RECURSIVE n (i) AS (VALUES (100) UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
            INSERT INTO t SELECT i, zeroblob(100) FROM n";
        tx.execute(many, &[]).map(drop)
    });
    drop(release);
    assert_eq!(first.recv().unwrap(), (Ok(()), vec![0]));
    let (outcome, seen) = full.recv().unwrap();
    assert!(matches!(outcome, Err(StoreError::Unavailable(_))), "{outcome:?}");
    assert_eq!(seen, [0]);
    assert!(bench.writer.write_error().is_some_and(|why| why.contains("full")), "{:?}", bench.writer.write_error());
    bench.run(|tx| insert(tx, 1)).unwrap();
    assert_eq!(bench.writer.write_error(), None);
}

#[test]
fn a_damaged_file_ends_the_writer_and_no_job_is_reported_as_stored() {
    let bench = TestWriter::new();
    let damaged = || StoreError::Fatal("disk image is malformed".into());
    let (release, first) = bench.hold_writer();
    let finds = bench.queue(move |tx| insert(tx, 1).and(Err(damaged())));
    let behind = bench.queue(|tx| insert(tx, 2));
    drop(release);
    assert_eq!(first.recv().unwrap(), (Err(damaged()), vec![]));
    assert_eq!(finds.recv().unwrap(), (Err(damaged()), vec![]));
    assert_eq!(bench.fatal.recv().unwrap(), "disk image is malformed");
    // Whether this job was queued before the end or after it, it never ran.
    assert!(behind.recv().map_or(true, |(outcome, _)| outcome == Err(StoreError::Closed)));
    assert!(bench.queue(|tx| insert(tx, 3)).recv().map_or(true, |(outcome, _)| outcome == Err(StoreError::Closed)));
    assert_eq!(stored_ids(&bench.path), [0; 0]);
}

#[test]
fn a_writer_that_is_dropped_has_written_everything_it_took() {
    let bench = TestWriter::new();
    let (release, _first) = bench.hold_writer();
    let waits: Vec<_> = (1..=600).map(|id| bench.queue(move |tx| insert(tx, id))).collect();
    drop(release);
    let TestWriter { writer, path, _folder, .. } = bench;
    drop(writer);
    assert_eq!(stored_ids(&path), (0..=600).collect::<Vec<i64>>());
    assert!(waits.iter().all(|wait| wait.try_recv().is_ok_and(|(outcome, _)| outcome.is_ok())));
}

/// The size of a page in the log, with its header.
const FRAME: u64 = 1024 + 24;

/// Number of commits after which a copy has certainly been made.
const MANY: i64 = 3_000;

/// Inserts a row, which changes four or five pages.
fn page(tx: &mut dyn Tx, id: i64) -> Result<(), StoreError> {
    tx.execute("INSERT INTO t VALUES (?1, randomblob(1000))", &[Arg::Int(id)]).map(drop)
}

#[test]
fn the_log_is_copied_into_the_database_and_begins_anew() {
    let bench = TestWriter::with_checkpoints(100, |path| path.to_owned());
    for id in 0..1_000 {
        bench.run(move |tx| page(tx, id)).unwrap();
    }
    let log = wal_size(&bench.path) / FRAME;
    assert!((100..500).contains(&log), "{log} pages of some five thousand");
    assert_eq!(stored_ids(&bench.path), (0..1_000).collect::<Vec<i64>>());
    assert_eq!((bench.writer.write_error(), bench.fatal.try_recv().is_err()), (None, true));
}

#[test]
fn a_reader_that_takes_its_time_holds_up_the_log_and_nobody_who_writes() {
    let bench = TestWriter::with_checkpoints(100, |path| path.to_owned());
    bench.run(|tx| page(tx, 0)).unwrap();
    let reader = Connection::open(&bench.path).unwrap();
    reader.execute_batch("BEGIN; SELECT * FROM t").unwrap();
    for id in 1..300 {
        bench.run(move |tx| page(tx, id)).unwrap();
    }
    let held = wal_size(&bench.path) / FRAME;
    assert!(held > 1_000, "{held} pages");
    assert_eq!(reader.query_row("SELECT count(*) FROM t", [], |row| row.get(0)), Ok(1));
    reader.execute_batch("COMMIT").unwrap();
    for id in 300..1_300 {
        bench.run(move |tx| page(tx, id)).unwrap();
    }
    let log = wal_size(&bench.path) / FRAME;
    assert!(log < held + 500, "{log} pages");
}

#[test]
fn a_failed_checkpoint_is_logged_and_everything_is_stored() {
    let bench = TestWriter::with_checkpoints(10, |path| path.parent().unwrap().to_owned());
    let failure = (0..MANY).find_map(|id| {
        bench.run(move |tx| page(tx, id)).unwrap();
        bench.writer.write_error().map(|why| (id, why))
    });
    let (last, why) = failure.expect("the failure is reported before many more rows are stored");
    assert!(why.contains("unable to open"), "{why}");
    bench.run(|tx| insert(tx, -1)).unwrap();
    assert_eq!(stored_ids(&bench.path), (-1..=last).collect::<Vec<i64>>());
    assert!(bench.fatal.try_recv().is_err());
}

#[test]
fn a_log_that_cannot_be_copied_because_the_file_is_damaged_ends_the_writer() {
    let bench = TestWriter::with_checkpoints(10, |path| {
        let damaged = path.with_extension("damaged");
        std::fs::write(&damaged, [7; 4096]).unwrap();
        damaged
    });
    // Jobs after the end are never run.
    let writes = |id: &i64| {
        let id = *id;
        bench.queue(move |tx| page(tx, id)).recv().is_ok_and(|(outcome, _)| outcome.is_ok())
    };
    let count = (0..MANY).take_while(writes).count();
    assert!(bench.fatal.try_recv().unwrap().contains("not a database"));
    assert_eq!(stored_ids(&bench.path).len(), count);
}
