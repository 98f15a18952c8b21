//! The state of the regular jobs.

use mynah::store::ScheduledJob;

use crate::setup::fresh_store::{FreshStore, START, at};

pub async fn a_job_that_never_ran_has_no_next_run(fresh: &FreshStore) {
    assert_eq!((fresh.next_run("sweep").await.unwrap(), fresh.schedule().await.unwrap()), (None, vec![]));
}

pub async fn the_last_run_of_each_job_is_remembered_and_when_it_runs_next(fresh: &FreshStore) {
    let run = |job: &str, last: i64, result: &str, failed: bool| ScheduledJob {
        job: job.to_owned(),
        last_run_at: at(last),
        took_ms: 7,
        result: result.to_owned(),
        failed,
        next_run_at: at(last + 1_000),
    };
    fresh.record_run(run("sweep", 0, "3 swept", false)).await.unwrap();
    fresh.record_run(run("mop", 10, "no water", true)).await.unwrap();
    assert_eq!(fresh.next_run("sweep").await.unwrap(), Some(START + std::time::Duration::from_secs(1)));
    let again = ScheduledJob { took_ms: 9, ..run("sweep", 2_000, "the broom broke", true) };
    fresh.record_run(again.clone()).await.unwrap();
    assert_eq!(fresh.next_run("sweep").await.unwrap(), Some(at(3_000)));
    assert_eq!(fresh.schedule().await.unwrap(), [run("mop", 10, "no water", true), again.clone()]);
    let well = run("sweep", 4_000, "0 swept", false);
    fresh.record_run(well.clone()).await.unwrap();
    assert_eq!(fresh.schedule().await.unwrap()[1], well, "a failure is over once it went well");
}
