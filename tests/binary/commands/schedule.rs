//! The regular jobs, as the owner sees them at the shell.

use std::time::Duration;

use mynah::clock::Time;
use mynah::store::{ScheduledJob, Store, StoreOptions};
use serde_json::json;

use crate::setup::test_environment::TestEnvironment;

/// 2026-11-01T10:00:00Z.
const START: Time = Time(1_793_527_200_000);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn regular_jobs_are_listed_with_their_last_run_its_result_and_their_next() {
    let environment = TestEnvironment::new().await;
    assert_eq!(environment.settings.run(&["migrate"]).await.status, Some(0));
    assert!(environment.settings.run(&["schedule"]).await.stdout.starts_with("no regular job has run yet"));
    assert_eq!(environment.settings.run(&["schedule", "--json"]).await.json(), json!([]));

    let options = StoreOptions::new(Duration::ZERO, Duration::ZERO);
    let store = Store::open(&environment.settings.folder.join("mynah.db"), options).unwrap();
    for (job, result, failed) in [("one", "12 deleted", false), ("other", "the disk is full", true)] {
        let next_run_at = START + Duration::from_secs(600);
        let (job, result) = (job.to_owned(), result.to_owned());
        store
            .record_run(ScheduledJob { job, last_run_at: START, took_ms: 7, result, failed, next_run_at })
            .await
            .unwrap();
    }
    let listed = environment.settings.run(&["schedule"]).await.stdout;
    assert_eq!(
        listed,
        "one    last 2026-11-01T10:00:00.000Z  7 ms  next 2026-11-01T10:10:00.000Z  12 deleted\n\
         other  last 2026-11-01T10:00:00.000Z  7 ms  next 2026-11-01T10:10:00.000Z  failed: the disk is full\n"
    );
    let first = &environment.settings.run(&["schedule", "--json"]).await.json()[0];
    let expected = json!({
        "job": "one",
        "last_run_at": "2026-11-01T10:00:00.000Z",
        "took_ms": 7,
        "result": "12 deleted",
        "failed": false,
        "next_run_at": "2026-11-01T10:10:00.000Z",
    });
    assert_eq!(*first, expected);
}
