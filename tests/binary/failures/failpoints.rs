//! The process dies at each place where it matters, and is started again: nothing is lost, nothing is said twice, and
//! nothing is out of order.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::setup::answer_tally::AnswerTally;
use crate::setup::server_process::ServerProcess;
use crate::setup::test_environment::TestEnvironment;
use crate::setup::wait::{TEST_TIMEOUT, wait_until};

const SENDERS: usize = 4;
const EACH: usize = 3;

/// Longer than the wait of `request-written`, in milliseconds.
const SLOW_ANSWER_MS: u64 = 5_000;

/// What differs between the scenes.
#[derive(Default)]
struct CrashConditions {
    /// Status callbacks are lost until the restart, so that the provider's list is the only evidence.
    callbacks_lost: bool,
    /// Twilio creates messages at once and answers late.
    answers_late: bool,
    /// At the restart the rule is off that only what certainly was not sent is sent again.
    break_rule_1: bool,
}

/// Contacts write while the process dies at the failpoint; it is started again; all is worked off. What was counted.
async fn crash_at(failpoint: &str, scene: CrashConditions) -> (Arc<TestEnvironment>, ServerProcess, AnswerTally) {
    let environment = Arc::new(TestEnvironment::new().await);
    environment.twilio.mute_callbacks(scene.callbacks_lost);
    environment
        .twilio_recorder
        .answer_delay_ms
        .store(if scene.answers_late { SLOW_ANSWER_MS } else { 0 }, Ordering::Relaxed);
    let mut server = ServerProcess::launch(&environment.settings.clone().with("MYNAH_FAILPOINT", failpoint));
    let talk = environment.contacts_write(SENDERS, EACH);
    server.wait_for_abort().await;
    let (name, _) = failpoint.split_once('@').unwrap_or((failpoint, "1"));
    let words = format!("failpoint {name}: the process ends here");
    assert!(server.log().contains(&words), "it died elsewhere:\n{}", server.log());
    let created = environment.sent_messages().len();
    if scene.answers_late {
        assert!(created > 0, "nothing was created before the end");
    }
    let mut settings = environment.settings.clone();
    if scene.break_rule_1 {
        settings = settings.with("MYNAH_TEST_BREAK_RULE_1", "1");
    }
    environment.twilio_recorder.answer_delay_ms.store(0, Ordering::Relaxed);
    server.restart(&settings).await;
    environment.twilio.mute_callbacks(false);
    talk.join_all().await;
    environment.wait_until_all_answered(&mut server, SENDERS, EACH).await;
    let tally = environment.tally(SENDERS, EACH);
    (environment, server, tally)
}

async fn assert_nothing_lost_or_doubled(failpoint: &str, scene: CrashConditions) -> String {
    let (_world, server, tally) = crash_at(failpoint, scene).await;
    assert_eq!(tally, AnswerTally::default(), "{failpoint}: {tally}\n{}", server.log());
    server.log()
}

macro_rules! deaths {
    ($($promise:ident: $($failpoint:literal),+;)+) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $promise() {
            $(assert_nothing_lost_or_doubled($failpoint, CrashConditions::default()).await;)+
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
async fn a_message_that_never_left_is_sent_after_five_lookups() {
    let log = assert_nothing_lost_or_doubled("before-connect", CrashConditions::default()).await;
    assert!(log.contains("five lookups did not find the part; sending it again"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_whose_answer_was_never_read_is_found_in_the_list() {
    let scene = CrashConditions { answers_late: true, callbacks_lost: true, ..CrashConditions::default() };
    let log = assert_nothing_lost_or_doubled("request-written", scene).await;
    assert!(log.contains("the lookup found the part; it was sent"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_whose_answer_was_never_read_may_be_settled_by_its_callback() {
    assert_nothing_lost_or_doubled(
        "request-written",
        CrashConditions { answers_late: true, ..CrashConditions::default() },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_was_sent_and_not_recorded_is_found_in_the_list() {
    let log = assert_nothing_lost_or_doubled(
        "before-sent",
        CrashConditions { callbacks_lost: true, ..CrashConditions::default() },
    )
    .await;
    assert!(log.contains("the lookup found the part; it was sent"), "{log}");
    assert_nothing_lost_or_doubled("before-sent@3", CrashConditions::default()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_rule_that_only_evidence_resends_the_same_crash_sends_something_twice() {
    let scene = CrashConditions { callbacks_lost: true, break_rule_1: true, ..CrashConditions::default() };
    let (_world, server, tally) = crash_at("before-sent", scene).await;
    assert!(!tally.duplicated.is_empty(), "the count does not see a second answer: {tally}\n{}", server.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_that_ends_the_process_each_time_is_given_up_and_the_conversation_goes_on() {
    let environment = TestEnvironment::new().await;
    let settings = environment.settings.clone();
    let deadly = settings.clone().with("MYNAH_FAILPOINT", "after-claim");
    let mut server = ServerProcess::start(&deadly).await;
    environment.contact_writes((0, 0)).await;
    for death in 1..=3 {
        server.wait_for_abort().await;
        server.relaunch(if death < 3 { &deadly } else { &settings });
    }
    server.wait_until_ready().await;
    wait_until("the contact is told", TEST_TIMEOUT, || async {
        (environment.sent_messages().len() == 1).then_some(())
    })
    .await;
    let error = wait_until("it is dead", TEST_TIMEOUT, || async {
        let jobs = settings.run(&["jobs", "list", "--state", "dead", "--json"]).await.json();
        jobs[0]["error"].as_str().map(str::to_owned)
    })
    .await;
    assert_eq!(error, "the process ended 3 times while this turn was being answered");
    environment.contact_writes((0, 1)).await;
    wait_until("the next one is answered", TEST_TIMEOUT, || async {
        (environment.sent_messages().len() == 2).then_some(())
    })
    .await;
    assert_eq!(
        environment.tally(1, 2),
        AnswerTally::default(),
        "the model sees what was never answered, and answers both"
    );
}
