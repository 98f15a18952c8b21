//! The regular jobs, which run by the clock and not because a contact wrote.

use std::time::Duration;

use mynah::work::{Worker, schedule};
use tokio_util::sync::CancellationToken;

use crate::setup::test_app::{ANA, TestApp};

const DAY: u64 = 86_400;

/// What came of a job, when it last ran.
async fn last_job_result(test_app: &TestApp, job: &str) -> (String, bool) {
    let all = test_app.app.store.schedule().await.unwrap();
    let run = all.into_iter().find(|run| run.job == job).unwrap_or_else(|| panic!("{job} never ran"));
    (run.result, run.failed)
}

#[tokio::test]
async fn a_worker_runs_the_jobs() {
    let test_app = TestApp::new().await;
    let stop = CancellationToken::new();
    let worker = tokio::spawn(Worker::new(test_app.app.clone()).run(stop.clone()));
    test_app.contact_writes(ANA, "hello").await;
    while test_app.turn_states().await != ["done"] {
        tokio::task::yield_now().await;
    }
    stop.cancel();
    // It waits for what it has begun.
    worker.await.unwrap();
    let ran = test_app.app.store.schedule().await.unwrap();
    let all = schedule::run(&test_app.app, true).await.unwrap();
    assert_eq!(ran.len(), all.len() + 1, "catch-up included");
}

#[tokio::test]
async fn each_job_has_its_own_time() {
    let test_app = TestApp::new().await;
    schedule::run(&test_app.app, false).await.unwrap();
    let mut ran = Vec::new();
    for _ in 0..24 * 6 {
        test_app.advance(600);
        ran.extend(schedule::run(&test_app.app, false).await.unwrap().into_iter().map(|run| run.job));
    }
    let times = |job: &str| ran.iter().filter(|ran| *ran == job).count();
    assert_eq!((times("expire_turns"), times("end_idle_conversations")), (144, 144));
    assert_eq!((times("delete_old_conversations"), times("delete_old_webhook_log")), (24, 24));
    assert_eq!(times("forget_old_spending"), 1);
    let all = schedule::run(&test_app.app, true).await.unwrap();
    let recorded = test_app.app.store.schedule().await.unwrap();
    assert_eq!(all.len(), recorded.len(), "or all of them, when somebody says so");
}

#[tokio::test]
async fn a_failed_job_is_recorded_and_holds_up_no_other() {
    let test_app = TestApp::new().await;
    test_app.execute_sql("DROP TABLE webhook_log");
    let runs = schedule::run(&test_app.app, false).await.unwrap();
    let failed: Vec<_> = runs.iter().filter(|run| run.failed).map(|run| run.job.as_str()).collect();
    assert_eq!(failed, ["delete_old_webhook_log"]);
    assert_eq!(runs.len(), test_app.app.store.schedule().await.unwrap().len());
    let (why, failed) = last_job_result(&test_app, "delete_old_webhook_log").await;
    assert!(failed && why.contains("webhook_log"), "{why}");
    assert!(!last_job_result(&test_app, "forget_old_spending").await.1);
}

#[tokio::test]
async fn turns_that_nobody_claims_expire_and_old_figures_are_forgotten() {
    let test_app =
        TestApp::with_settings(&[("OPENAI_API_KEY", ""), ("OPENAI_BASE_URL", ""), ("MYNAH_AI_MODEL", "")]).await;
    test_app.contact_writes(ANA, "hello").await;
    test_app.execute_sql("INSERT INTO spent VALUES ('all', '2026-07', 1, 1, 1), ('all', '2026-10', 1, 1, 1)");
    test_app.advance(23 * 3600);
    schedule::run(&test_app.app, false).await.unwrap();
    assert_eq!(last_job_result(&test_app, "expire_turns").await, ("1 turns expired".to_owned(), false));
    assert_eq!(test_app.turn_states().await, ["expired"]);
    assert_eq!(test_app.query_integer("SELECT COUNT(*) FROM spent"), 1, "two months are kept for the budgets");
    assert_eq!(test_app.query_integer("SELECT COUNT(*) FROM spent WHERE period = '2026-10'"), 1);
}

#[tokio::test]
async fn without_a_retention_everything_is_kept() {
    let test_app = TestApp::with_settings(&[("MYNAH_RETENTION", "0"), ("MYNAH_WEBHOOK_LOG_RETENTION", "0")]).await;
    test_app.twilio_accepts_everything().await;
    test_app.model_answers("Hello!").await;
    test_app.contact_writes(ANA, "hello").await;
    test_app.drain().await;
    test_app.advance(2 * DAY);
    schedule::run(&test_app.app, false).await.unwrap();
    test_app.clock.advance(Duration::from_secs(2_000 * DAY));
    schedule::run(&test_app.app, false).await.unwrap();
    assert_eq!(test_app.query_integer("SELECT COUNT(*) FROM conversations WHERE ended_at IS NOT NULL"), 1);
    assert_eq!(
        (
            test_app.query_integer("SELECT COUNT(*) FROM messages"),
            test_app.query_integer("SELECT COUNT(*) FROM webhook_log")
        ),
        (2, 1)
    );
}

#[tokio::test]
async fn conversations_are_kept_for_ninety_days_and_the_log_of_webhooks_for_seven() {
    let test_app = TestApp::new().await;
    test_app.contact_writes(ANA, "hello").await;
    test_app.drain().await;
    test_app.advance(DAY + 1);
    schedule::run(&test_app.app, false).await.unwrap();
    for (days, log, messages) in [(6, 1, 2), (82, 0, 2), (2, 0, 2), (1, 0, 0)] {
        test_app.advance(days * DAY - 1);
        schedule::run(&test_app.app, true).await.unwrap();
        assert_eq!(test_app.query_integer("SELECT COUNT(*) FROM webhook_log"), log, "after {days} more days");
        assert_eq!(test_app.query_integer("SELECT COUNT(*) FROM messages"), messages, "after {days} more days");
        test_app.advance(1);
    }
}

#[tokio::test]
async fn alerts_go_once_they_have_not_happened_again_for_the_retention() {
    let test_app = TestApp::with_settings(&[("MYNAH_RETENTION", "2d")]).await;
    let alert = async |subject: &str| {
        test_app
            .app
            .store
            .record_alert("budget", subject.to_owned(), "it is spent".to_owned(), test_app.app.clock.now())
            .await
            .unwrap();
    };
    let cleaned = async || {
        let runs = schedule::run(&test_app.app, true).await.unwrap();
        runs.into_iter().find(|run| run.job == "delete_old_alerts").unwrap().result
    };
    alert("once").await;
    alert("again").await;
    test_app.advance(24 * 3600);
    alert("again").await;
    test_app.advance(24 * 3600);
    assert_eq!(cleaned().await, "0 alerts deleted", "none is older than two days");
    test_app.advance(1);
    assert_eq!(cleaned().await, "1 alerts deleted");
    let left = test_app.app.store.alerts(9).await.unwrap();
    assert!(left.len() == 1 && left[0].subject == "again" && left[0].count == 2, "{left:?}");
    let test_app = test_app.restarted_with(&[("MYNAH_RETENTION", "0")]).await;
    test_app.advance(1_000 * 24 * 3600);
    schedule::run(&test_app.app, true).await.unwrap();
    assert_eq!(test_app.app.store.alerts(9).await.unwrap().len(), 1, "nothing is deleted where everything is kept");
}

#[tokio::test]
async fn idle_conversations_end_and_old_ones_go_with_all_that_was_said() {
    let test_app = TestApp::with_settings(&[("MYNAH_RETENTION", "2d"), ("MYNAH_WEBHOOK_LOG_RETENTION", "1d")]).await;
    test_app.twilio_accepts_everything().await;
    test_app.model_answers("Hello!").await;
    test_app.contact_writes(ANA, "hello").await;
    test_app.drain().await;
    let runs = schedule::run(&test_app.app, false).await.unwrap();
    let at_first_start = runs.len();
    assert_eq!(at_first_start, test_app.app.store.schedule().await.unwrap().len(), "each runs at the first start");
    assert_eq!(schedule::run(&test_app.app, false).await.unwrap(), [], "and not again before its time");
    test_app.advance(24 * 3600 + 1);
    let runs = schedule::run(&test_app.app, false).await.unwrap();
    let results: Vec<_> = runs.iter().map(|run| run.result.as_str()).collect();
    assert!(results.contains(&"1 conversations ended") && results.contains(&"1 entries of the webhook log deleted"));
    assert_eq!(test_app.query_integer("SELECT COUNT(*) FROM conversations WHERE ended_at IS NULL"), 0);
    test_app.contact_writes(ANA, "me again").await;
    test_app.drain().await;
    test_app.advance(2 * 24 * 3600 + 1);
    schedule::run(&test_app.app, false).await.unwrap();
    for (table, left) in [("conversations", 1), ("messages", 2), ("turns", 1), ("parts", 1)] {
        assert_eq!(
            test_app.query_integer(&format!("SELECT COUNT(*) FROM {table}")),
            left,
            "{table}: the second is left"
        );
    }
    let status = test_app.app.store.schedule().await.unwrap();
    assert!(
        status.len() == at_first_start && status.iter().all(|job| !job.failed && job.next_run_at > job.last_run_at)
    );
}
