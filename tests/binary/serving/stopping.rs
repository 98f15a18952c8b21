//! Ends on request, and ends without one.

use crate::setup::server_process::ServerProcess;
use crate::setup::test_environment::TestEnvironment;
use crate::setup::wait::{TEST_TIMEOUT, wait_until};

/// The reply is being written when the signal comes.
async fn a_signal_lets_the_work_in_flight_finish(signal: &str) {
    let environment = TestEnvironment::new().await;
    let mut server = ServerProcess::start(&environment.settings).await;
    environment.model.paused.send_replace(true);
    environment.contact_writes((0, 0)).await;
    environment.wait_for_model_calls(1).await;
    server.signal(signal);
    wait_until("it stops accepting", TEST_TIMEOUT, || async {
        tokio::net::TcpStream::connect(("127.0.0.1", server.settings.port)).await.is_err().then_some(())
    })
    .await;
    assert!(server.exit_status().is_none(), "it left work behind:\n{}", server.log());
    environment.model.paused.send_replace(false);
    let status = server.wait_for_exit().await;
    assert_eq!(status.code(), Some(0), "{}", server.log());
    assert_eq!(environment.sent_messages().len(), 1, "{}", server.log());
    server.restart(&environment.settings).await;
    environment.contact_writes((0, 1)).await;
    environment.wait_until_all_answered_once(&mut server, 1, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_lets_the_work_in_flight_finish() {
    a_signal_lets_the_work_in_flight_finish("TERM").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigint_lets_the_work_in_flight_finish() {
    a_signal_lets_the_work_in_flight_finish("INT").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_that_never_answers_does_not_keep_it_from_ending_and_the_turn_waits() {
    let environment = TestEnvironment::new().await;
    let mut server = ServerProcess::start(&environment.settings).await;
    environment.model.paused.send_replace(true);
    environment.contact_writes((0, 0)).await;
    environment.wait_for_model_calls(1).await;
    server.signal("TERM");
    let status = server.wait_for_exit().await;
    assert_eq!(status.code(), Some(0), "{}", server.log());
    let jobs = environment.settings.run(&["jobs", "list", "--json"]).await.json();
    assert_eq!((&jobs[0]["state"], &jobs[0]["attempts"]), (&"retry".into(), &0.into()), "{jobs}");
    environment.model.paused.send_replace(false);
    server.restart(&environment.settings).await;
    environment.wait_until_all_answered_once(&mut server, 1, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_while_the_model_is_asked_leaves_one_answer() {
    let environment = TestEnvironment::new().await;
    let mut server = ServerProcess::start(&environment.settings).await;
    environment.model.paused.send_replace(true);
    environment.contact_writes((0, 0)).await;
    environment.wait_for_model_calls(1).await;
    let status = server.kill9().await;
    assert!(ServerProcess::was_killed(status), "{status}");
    environment.model.paused.send_replace(false);
    server.restart(&environment.settings).await;
    environment.wait_until_all_answered_once(&mut server, 1, 1).await;
    assert!(server.log().contains("took over the work of a process that ended early"), "{}", server.log());
}
