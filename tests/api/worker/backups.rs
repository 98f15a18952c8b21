//! Scheduled backups.

use std::fs;
use std::sync::Arc;

use mynah::work::backups;
use tokio_util::sync::CancellationToken;

use crate::setup::test_app::TestApp;

const DAY: u64 = 86_400;

async fn run_if_due(test_app: &TestApp) -> bool {
    backups::run_if_due(Arc::clone(&test_app.app), CancellationToken::new()).await.unwrap()
}

/// The scheduled backups in the folder, oldest first.
fn backups(test_app: &TestApp) -> Vec<String> {
    let folder = fs::read_dir(test_app.folder.path().join("backups")).unwrap();
    let mut names: Vec<_> = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

async fn open_alerts(test_app: &TestApp) -> Vec<String> {
    let alerts = test_app.app.store.alerts(100).await.unwrap();
    alerts.into_iter().filter(|alert| alert.resolved_at.is_none()).map(|alert| alert.cause).collect()
}

async fn with_backups(settings: &[(&str, &str)]) -> TestApp {
    TestApp::with_settings(&[&[("MYNAH_BACKUP_EVERY", "24h")], settings].concat()).await
}

#[tokio::test]
async fn a_backup_is_made_at_once_and_then_each_interval() {
    let test_app = with_backups(&[("MYNAH_BACKUP_KEEP", "2")]).await;
    assert!(run_if_due(&test_app).await && !run_if_due(&test_app).await);
    test_app.advance(DAY - 1);
    assert!(!run_if_due(&test_app).await);
    test_app.advance(1);
    assert!(run_if_due(&test_app).await);
    test_app.advance(DAY);
    assert!(run_if_due(&test_app).await);
    assert_eq!(
        backups(&test_app),
        ["mynah-bot.example.org-20261102T100000Z.tar", "mynah-bot.example.org-20261103T100000Z.tar"]
    );
}

#[tokio::test]
async fn a_failed_backup_is_tried_again_in_an_hour() {
    let test_app = with_backups(&[]).await;
    let folder = test_app.folder.path().join("backups");
    fs::write(&folder, "not a folder").unwrap();
    assert!(run_if_due(&test_app).await);
    assert_eq!(open_alerts(&test_app).await, ["backup"]);
    test_app.advance(3599);
    assert!(!run_if_due(&test_app).await);
    fs::remove_file(&folder).unwrap();
    test_app.advance(1);
    assert!(run_if_due(&test_app).await);
    assert!(open_alerts(&test_app).await.is_empty());
    assert_eq!(backups(&test_app).len(), 1);
}

#[tokio::test]
async fn the_alert_ends_when_backups_are_turned_off() {
    let test_app = with_backups(&[]).await;
    fs::write(test_app.folder.path().join("backups"), "not a folder").unwrap();
    assert!(run_if_due(&test_app).await);
    let test_app = test_app.restarted_with(&[("MYNAH_BACKUP_EVERY", "0")]).await;
    test_app.app.store.load_open_alerts().await.unwrap();
    assert_eq!(open_alerts(&test_app).await, ["backup"]);
    assert!(!run_if_due(&test_app).await);
    assert!(open_alerts(&test_app).await.is_empty());
}

#[tokio::test]
async fn backups_go_on_after_the_clock_was_ahead() {
    let test_app = with_backups(&[("MYNAH_BACKUP_KEEP", "1")]).await;
    assert!(run_if_due(&test_app).await);
    // As if that had been in 2030.
    test_app.execute_sql("UPDATE schedule SET last_run_at = 1893456000000, next_run_at = 1893542400000");
    let folder = test_app.folder.path().join("backups");
    fs::rename(
        folder.join("mynah-bot.example.org-20261101T100000Z.tar"),
        folder.join("mynah-bot.example.org-20300101T000000Z.tar"),
    )
    .unwrap();
    assert!(run_if_due(&test_app).await, "not in three years");
    let names = ["mynah-bot.example.org-20261101T100000Z.tar", "mynah-bot.example.org-20300101T000000Z.tar"];
    assert_eq!(backups(&test_app), names, "the new one stays, and the other counts for nothing");
}

#[tokio::test]
async fn a_backup_that_is_stopped_leaves_nothing_and_is_made_after_the_restart() {
    let test_app = with_backups(&[]).await;
    let stop = CancellationToken::new();
    stop.cancel();
    assert!(backups::run_if_due(Arc::clone(&test_app.app), stop).await.unwrap());
    assert!(backups(&test_app).is_empty() && !test_app.folder.path().join("backup.new").exists());
    assert!(open_alerts(&test_app).await.is_empty());
    assert!(run_if_due(&test_app).await);
    assert_eq!(backups(&test_app).len(), 1);
}
