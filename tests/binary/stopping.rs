//! Ends on request, and ends without one.

use crate::server::Server;
use crate::wait::{LONG, until};
use crate::world::World;

/// The reply is being written when the signal comes.
async fn a_signal_lets_the_work_in_flight_finish(signal: &str) {
    let world = World::new().await;
    let mut server = Server::start(&world.settings).await;
    world.model.held.send_replace(true);
    world.say((0, 0)).await;
    world.asked(1).await;
    server.signal(signal);
    until("it stops accepting", LONG, || async {
        tokio::net::TcpStream::connect(("127.0.0.1", server.settings.port)).await.is_err().then_some(())
    })
    .await;
    assert!(server.ended().is_none(), "it left work behind:\n{}", server.log());
    world.model.held.send_replace(false);
    let status = server.wait().await;
    assert_eq!(status.code(), Some(0), "{}", server.log());
    assert_eq!(world.answers().len(), 1, "{}", server.log());
    server.restart(&world.settings).await;
    world.say((0, 1)).await;
    world.all_answered_once(&mut server, 1, 2).await;
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
    let world = World::new().await;
    let mut server = Server::start(&world.settings).await;
    world.model.held.send_replace(true);
    world.say((0, 0)).await;
    world.asked(1).await;
    server.signal("TERM");
    let status = server.wait().await;
    assert_eq!(status.code(), Some(0), "{}", server.log());
    let jobs = world.settings.run(&["jobs", "list", "--json"]).await.json();
    assert_eq!((&jobs[0]["state"], &jobs[0]["attempts"]), (&"retry".into(), &0.into()), "{jobs}");
    world.model.held.send_replace(false);
    server.restart(&world.settings).await;
    world.all_answered_once(&mut server, 1, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_while_the_model_is_asked_leaves_one_answer() {
    let world = World::new().await;
    let mut server = Server::start(&world.settings).await;
    world.model.held.send_replace(true);
    world.say((0, 0)).await;
    world.asked(1).await;
    let status = server.kill9().await;
    assert!(Server::was_killed(status), "{status}");
    world.model.held.send_replace(false);
    server.restart(&world.settings).await;
    world.all_answered_once(&mut server, 1, 1).await;
    assert!(server.log().contains("took over the work of a process that ended early"), "{}", server.log());
}
