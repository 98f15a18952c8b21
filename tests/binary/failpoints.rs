//! The process dies at each place where it matters, and is started again: nothing is lost, nothing is said twice, and
//! nothing is out of order.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::server::Server;
use crate::tally::Tally;
use crate::wait::{LONG, until};
use crate::world::World;

const SENDERS: usize = 4;
const EACH: usize = 3;

/// Longer than the wait of `request-written`, in milliseconds.
const SLOW: u64 = 5_000;

/// What differs between the scenes.
#[derive(Default)]
struct Scene {
    /// Status callbacks are lost until the restart, so that the provider's list is the only evidence.
    mute: bool,
    /// Twilio creates messages at once and answers late.
    slow: bool,
    /// At the restart the rule is off that only what certainly was not sent is sent again.
    break_rule_1: bool,
}

/// Contacts write while the process dies at the failpoint; it is started again; all is worked off. What was counted.
async fn die_at(failpoint: &str, scene: Scene) -> (Arc<World>, Server, Tally) {
    let world = Arc::new(World::new().await);
    world.twilio.mute_callbacks(scene.mute);
    world.desk.slow.store(if scene.slow { SLOW } else { 0 }, Ordering::Relaxed);
    let mut server = Server::launch(&world.settings.clone().with("MYNAH_FAILPOINT", failpoint));
    let talk = world.talk(SENDERS, EACH);
    server.wait_for_abort().await;
    let (name, _) = failpoint.split_once('@').unwrap_or((failpoint, "1"));
    let words = format!("failpoint {name}: the process ends here");
    assert!(server.log().contains(&words), "it died elsewhere:\n{}", server.log());
    let created = world.answers().len();
    if scene.slow {
        assert!(created > 0, "nothing was created before the end");
    }
    let mut settings = world.settings.clone();
    if scene.break_rule_1 {
        settings = settings.with("MYNAH_TEST_BREAK_RULE_1", "1");
    }
    world.desk.slow.store(0, Ordering::Relaxed);
    server.restart(&settings).await;
    world.twilio.mute_callbacks(false);
    talk.join_all().await;
    world.drained(&mut server, SENDERS, EACH).await;
    let tally = world.tally(SENDERS, EACH);
    (world, server, tally)
}

async fn nothing_lost_nothing_twice(failpoint: &str, scene: Scene) -> String {
    let (_world, server, tally) = die_at(failpoint, scene).await;
    assert_eq!(tally, Tally::default(), "{failpoint}: {tally}\n{}", server.log());
    server.log()
}

macro_rules! deaths {
    ($($promise:ident: $($failpoint:literal),+;)+) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $promise() {
            $(nothing_lost_nothing_twice($failpoint, Scene::default()).await;)+
        }
    )+};
}

deaths! {
    a_death_in_a_migration_costs_nothing: "migration";
    a_death_before_a_commit_costs_nothing: "before-commit@1", "before-commit@4", "before-commit@9", "before-commit@15";
    a_death_after_a_commit_costs_nothing: "after-commit@1", "after-commit@3", "after-commit@8", "after-commit@14";
    a_death_before_the_200_costs_nothing: "before-200@1", "before-200@5";
    a_death_after_a_claim_costs_nothing: "after-claim@1", "after-claim@4";
    a_death_before_the_reply_is_stored_costs_nothing: "before-reply@1", "before-reply@4";
    a_death_after_the_outcome_is_stored_costs_nothing: "after-sent@1", "after-sent@4";
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_never_left_is_sent_after_five_looks() {
    let log = nothing_lost_nothing_twice("before-connect", Scene::default()).await;
    assert!(log.contains("not there in five looks; sending it again"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_whose_answer_was_never_read_is_found_in_the_list() {
    let scene = Scene { slow: true, mute: true, ..Scene::default() };
    let log = nothing_lost_nothing_twice("request-written", scene).await;
    assert!(log.contains("it had been sent"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_whose_answer_was_never_read_may_be_told_by_its_callback() {
    nothing_lost_nothing_twice("request-written", Scene { slow: true, ..Scene::default() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_was_sent_and_not_recorded_is_found_in_the_list() {
    let log = nothing_lost_nothing_twice("before-sent", Scene { mute: true, ..Scene::default() }).await;
    assert!(log.contains("it had been sent"), "{log}");
    nothing_lost_nothing_twice("before-sent@3", Scene::default()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_rule_1_broken_the_same_death_says_something_twice() {
    let scene = Scene { mute: true, break_rule_1: true, ..Scene::default() };
    let (_world, server, tally) = die_at("before-sent", scene).await;
    assert!(!tally.duplicated.is_empty(), "the count does not see a second answer: {tally}\n{}", server.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_that_ends_the_process_each_time_is_given_up_and_the_conversation_goes_on() {
    let world = World::new().await;
    let settings = world.settings.clone();
    let deadly = settings.clone().with("MYNAH_FAILPOINT", "after-claim");
    let mut server = Server::start(&deadly).await;
    world.say((0, 0)).await;
    for death in 1..=3 {
        server.wait_for_abort().await;
        server.relaunch(if death < 3 { &deadly } else { &settings });
    }
    server.ready().await;
    until("the contact is told", LONG, || async { (world.answers().len() == 1).then_some(()) }).await;
    let error = until("it is dead", LONG, || async {
        let jobs = settings.run(&["jobs", "list", "--state", "dead", "--json"]).await.json();
        jobs[0]["error"].as_str().map(str::to_owned)
    })
    .await;
    assert_eq!(error, "the process ended 3 times while this turn was being answered");
    world.say((0, 1)).await;
    until("the next one is answered", LONG, || async { (world.answers().len() == 2).then_some(()) }).await;
    assert_eq!(world.tally(1, 2), Tally::default(), "the model sees what was never answered, and answers both");
}
