//! A configuration that changes while the process runs.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use mynah::app::{ReloadError, ReloadOutcome};
use mynah::daemon;
use mynah::work::Worker;
use tokio_util::sync::CancellationToken;

use crate::setup::test_app::{ANA, TestApp};

const REPLACED: ReloadOutcome = ReloadOutcome::Replaced { needs_restart: Vec::new() };

async fn store(test_app: &TestApp, key: &'static str, value: &str) {
    test_app.app.store.put_setting(key, value.into(), test_app.app.clock.now()).await.unwrap();
}

#[tokio::test]
async fn a_changed_setting_is_used_by_what_begins_later_and_not_by_what_has_begun() {
    let test_app = TestApp::new().await;
    let live = test_app.live();
    let begun = live.current();
    assert_eq!(live.reload_if_changed().await.unwrap(), ReloadOutcome::Unchanged);
    store(&test_app, "MYNAH_SYSTEM_PROMPT", "Speak like a sailor.").await;
    assert_eq!(live.reload_if_changed().await.unwrap(), REPLACED);
    assert_eq!(live.reload_if_changed().await.unwrap(), ReloadOutcome::Unchanged);
    assert_ne!(begun.config.work.system_prompt, "Speak like a sailor.");
    assert_eq!(live.current().config.work.system_prompt, "Speak like a sailor.");
    test_app.contact_writes(ANA, "Hi").await;
    mynah::work::run_until_idle(&live.current()).await.unwrap();
    let prompts = test_app.prompts().await;
    assert!(prompts[0][0].1.contains("Speak like a sailor."), "{prompts:?}");
    assert!(test_app.app.store.delete_setting("MYNAH_SYSTEM_PROMPT").await.unwrap());
    assert_eq!(live.reload_if_changed().await.unwrap(), REPLACED);
    assert_eq!(live.current().config.work.system_prompt, begun.config.work.system_prompt);
}

#[tokio::test]
async fn settings_of_the_store_change_with_the_rest() {
    let test_app = TestApp::new().await;
    let live = test_app.live();
    // The account of the test has no budget, so the model answers.
    test_app.contact_writes(ANA, "One").await;
    mynah::work::run_until_idle(&live.current()).await.unwrap();
    store(&test_app, "MYNAH_BUDGET_DAY", "1 call").await;
    assert_eq!(live.reload_if_changed().await.unwrap(), REPLACED);
    for text in ["Two", "Three"] {
        test_app.contact_writes(ANA, text).await;
        mynah::work::run_until_idle(&live.current()).await.unwrap();
    }
    assert_eq!(test_app.prompts().await.len(), 2, "the third message is over the budget");
}

#[tokio::test]
async fn an_invalid_change_leaves_the_current_configuration_in_use_until_it_is_repaired() {
    let test_app = TestApp::with_settings(&[("MYNAH_PAIRING_CODE", "")]).await;
    let live = test_app.live();
    let before = live.current();
    store(&test_app, "MYNAH_WHO", "code").await;
    let error = live.reload_if_changed().await.unwrap_err();
    assert!(matches!(&error, ReloadError::Invalid(_)) && error.to_string().contains("MYNAH_PAIRING_CODE"), "{error}");
    assert!(Arc::ptr_eq(&before, &live.current()));
    // It is not read again and again, which would raise an alert each second.
    assert_eq!(live.reload_if_changed().await.unwrap(), ReloadOutcome::Unchanged);
    store(&test_app, "MYNAH_WHO", "everyone").await;
    assert_eq!(live.reload_if_changed().await.unwrap(), REPLACED);
}

#[tokio::test]
async fn a_model_that_is_called_as_before_keeps_what_is_known_of_it() {
    let test_app = TestApp::new().await;
    let live = test_app.live();
    let before = live.current();
    before.main_number().assistants[0].limit.record_overload();
    store(&test_app, "MYNAH_TYPING", "true").await;
    assert_eq!(live.reload_if_changed().await.unwrap(), REPLACED);
    assert!(Arc::ptr_eq(&before.main_number().assistants[0], &live.current().main_number().assistants[0]));
    store(&test_app, "MYNAH_AI_TEMPERATURE", "0.5").await;
    assert_eq!(live.reload_if_changed().await.unwrap(), REPLACED);
    let (old, new) = (&before.main_number().assistants[0], Arc::clone(&live.current().main_number().assistants[0]));
    assert!(!Arc::ptr_eq(old, &new), "it is called with another temperature");
    assert!(Arc::ptr_eq(&old.limit, &new.limit) && Arc::ptr_eq(&old.breaker, &new.breaker));
    store(&test_app, "MYNAH_AI_CONCURRENCY", "3").await;
    assert_eq!(live.reload_if_changed().await.unwrap(), REPLACED);
    assert_eq!(live.current().main_number().assistants[0].limit.max(), 3);
}

#[tokio::test]
async fn a_webhook_is_checked_by_the_current_configuration() {
    let test_app = TestApp::with_settings(&[("MYNAH_PUBLIC_URL", "")]).await;
    let live = test_app.live();
    let routes = || mynah::web::routes(live.clone(), Router::new());
    let params = test_app.message_params(ANA, "Hi");
    assert_eq!(test_app.post_signed_to(routes(), "/webhooks/twilio", &params).await.status(), StatusCode::FORBIDDEN);
    store(&test_app, "MYNAH_PUBLIC_URL", crate::setup::test_app::PUBLIC_URL).await;
    live.reload_if_changed().await.unwrap();
    let accepted = test_app.post_signed_to(routes(), "/webhooks/twilio", &params).await;
    assert_eq!(accepted.status(), StatusCode::OK);
    assert!(accepted.headers().contains_key("strict-transport-security"), "it follows the public URL");
}

/// The filter of the log changes at once; where and how it is written does not.
#[tokio::test]
async fn settings_of_the_log_that_need_a_restart_are_named() {
    let test_app = TestApp::new().await;
    let live = test_app.live();
    store(&test_app, "MYNAH_LOG", "info,[turn{turn=12}]=debug").await;
    assert_eq!(live.reload_if_changed().await.unwrap(), REPLACED);
    assert_eq!(live.current().config.log.filter, "info,[turn{turn=12}]=debug");
    // These cannot be stored, so they come from a file that is read again.
    let file = test_app.folder.path().join("mynah.toml");
    for (key, line) in [
        ("MYNAH_LOG_FORMAT", "log_format = 'json'"),
        ("MYNAH_LOG_DIR", "log_dir = '/nonexistent'"),
        ("MYNAH_LOG_RETENTION", "log_retention = '3d'"),
    ] {
        std::fs::write(&file, line).unwrap();
        let needs_restart = vec![key];
        assert_eq!(live.reload().await.unwrap(), ReloadOutcome::Replaced { needs_restart }, "{key}");
        std::fs::write(&file, "").unwrap();
        assert_eq!(live.reload().await.unwrap(), REPLACED);
    }
    let log = &live.current().config.log;
    assert_eq!((log.dir.as_ref(), log.max_files), (None, Some(15)));
}

#[tokio::test]
async fn the_running_process_sees_a_change_by_itself() {
    let test_app = TestApp::new().await;
    let (live, stop) = (test_app.live(), CancellationToken::new());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let running = tokio::spawn(daemon::run(live.clone(), listener, Router::new(), stop.clone()));
    store(&test_app, "MYNAH_WORKERS", "3").await;
    while live.current().config.work.workers != 3 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    stop.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn the_number_of_workers_may_rise_and_fall_while_turns_run() {
    let test_app = TestApp::with_settings(&[("MYNAH_WORKERS", "")]).await;
    test_app.twilio_accepts_everything().await;
    test_app.model_answers("Hello!").await;
    let (live, stop) = (test_app.live(), CancellationToken::new());
    let worker = tokio::spawn(Worker::new(live.clone()).run(stop.clone()));
    for (round, workers) in ["1", "9", "2"].into_iter().enumerate() {
        store(&test_app, "MYNAH_WORKERS", workers).await;
        assert_eq!(live.reload_if_changed().await.unwrap(), REPLACED);
        for contact in 0..20 {
            test_app.contact_writes(&format!("whatsapp:+120255501{contact:02}"), "Hi").await;
        }
        live.current().wake.notify_one();
        while test_app.sent_texts().await.len() < (round + 1) * 20 {
            tokio::task::yield_now().await;
        }
    }
    stop.cancel();
    worker.await.unwrap();
}
