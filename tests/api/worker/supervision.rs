//! A process that can no longer answer ends, so that it is restarted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use mynah::app::App;
use mynah::clock::{Clock, ManualClock, Time};
use mynah::daemon;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::setup::test_app::TestApp;

/// Longer than a request takes on a slow machine.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A clock whose defect comes to light later: the worker asks it in each round.
struct BreakableClock {
    clock: ManualClock,
    broken: AtomicBool,
}

impl Clock for BreakableClock {
    fn now(&self) -> Time {
        assert!(!self.broken.load(Ordering::SeqCst), "a defect of the clock");
        self.clock.now()
    }
}

#[tokio::test]
async fn a_worker_that_panics_ends_the_process_with_an_error() {
    let TestApp { app, clock, folder: _folder, .. } = TestApp::new().await;
    let defective = Arc::new(BreakableClock { clock, broken: AtomicBool::new(false) });
    let app = Arc::into_inner(app).unwrap();
    let app = Arc::new(App { clock: Arc::clone(&defective) as Arc<dyn Clock>, ..app });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = mynah::http::client(TIMEOUT, TIMEOUT, mynah::http::AllowedTargets::Any);
    let health = format!("http://{}/healthz", listener.local_addr().unwrap());
    let running = tokio::spawn(daemon::run(Arc::clone(&app), listener, Router::new(), CancellationToken::new()));
    assert_eq!(client.get(&health).send().await.unwrap().status(), 200);
    defective.broken.store(true, Ordering::SeqCst);
    app.wake.notify_one();
    let ended = tokio::time::timeout(TIMEOUT, running).await.expect("it ends");
    let error = format!("{:#}", ended.unwrap().unwrap_err());
    assert!(error.contains("the worker panicked") && error.contains("a defect of the clock"), "{error}");
    assert!(client.get(&health).send().await.is_err(), "nobody serves any more");
}
