//! An outage: what contacts wrote meanwhile is found at Twilio and answered after the restart.

use std::time::Duration;

use rusqlite::Connection;
use serde_json::json;

use crate::setup::answer_tally::{marked_text, phone};
use crate::setup::server_process::{CommandSettings, ServerProcess};
use crate::setup::test_environment::TestEnvironment;
use crate::setup::wait::{TEST_TIMEOUT, wait_until};

const CONTACTS: usize = 100;

/// What each of them writes.
const MESSAGES_PER_CONTACT: usize = 5;

/// How the last catch-up went.
async fn last_catch_up_result(settings: &CommandSettings) -> Option<String> {
    let jobs = settings.run(&["schedule", "--json"]).await.json();
    let job = jobs.as_array().expect("a list").iter().find(|job| job["job"] == "catch_up")?.clone();
    assert_eq!(job["failed"], false, "{job:#}");
    Some(job["result"].as_str().expect("a sentence").to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_two_hour_outage_with_500_messages_is_answered_in_order_and_each_contact_once() {
    let environment = TestEnvironment::new().await;
    let mut server = ServerProcess::start(&environment.settings).await;
    wait_until("the first catch-up", TEST_TIMEOUT, || last_catch_up_result(&environment.settings)).await;
    server.signal("TERM");
    server.wait_for_exit().await;

    // As if that had been fourteen hours ago.
    let database = Connection::open(environment.settings.folder.join("mynah.db")).unwrap();
    let moved = "UPDATE catch_ups SET began_at = began_at - 50400000, caught_up_at = caught_up_at - 50400000";
    assert_eq!(database.execute(moved, []).unwrap(), 1);
    drop(database);
    let now = environment.clock.now();
    environment.twilio.add_inbound_at(&phone(CONTACTS), "is anybody there?", now - Duration::from_secs(13 * 3600));
    for number in 0..CONTACTS * MESSAGES_PER_CONTACT {
        let mark = (number % CONTACTS, number / CONTACTS);
        let ago = Duration::from_secs(2 * 3600 - 14 * number as u64);
        environment.twilio.add_inbound_at(&phone(mark.0), &marked_text(mark), now - ago);
    }

    // One after the other, so that the contact who waited longest is answered first.
    server.restart(&environment.settings.clone().with("MYNAH_WORKERS", "1")).await;
    let expected: Vec<_> = (0..CONTACTS)
        .map(|contact| {
            let marks: Vec<_> = (0..MESSAGES_PER_CONTACT).map(|number| format!("#{contact}-{number}#")).collect();
            (format!("whatsapp:{}", phone(contact)), format!("re: {}", marks.join(" ")))
        })
        .collect();
    wait_until("all are answered", TEST_TIMEOUT, || async {
        (environment.sent_messages().len() >= CONTACTS).then_some(())
    })
    .await;
    // Nothing else follows: what is left is the one that was too old.
    let jobs = wait_until("nothing waits", TEST_TIMEOUT, || async {
        let jobs = environment.settings.run(&["jobs", "list", "--json"]).await.json();
        (jobs.as_array().unwrap().len() == 1).then_some(jobs)
    })
    .await;
    let answers = environment.sent_messages();
    assert_eq!(
        answers,
        expected,
        "each contact once, in the order in which they wrote, with all of theirs\n{}",
        server.log()
    );
    assert_eq!(jobs[0]["state"], "skipped", "{jobs:#}");
    let why = jobs[0]["error"].as_str().unwrap();
    assert!(why.contains("MYNAH_CATCH_UP_WITHIN"), "{why}");
    let id = jobs[0]["conversation"].as_str().unwrap();
    let shown = environment.settings.run(&["conversations", "show", id]).await.stdout;
    assert!(shown.contains("is anybody there?") && shown.contains("[skipped]") && shown.contains(why), "{shown}");

    // The next catch-ups find them again and recognize them.
    wait_until("a catch-up that found nothing", TEST_TIMEOUT * 2, || async {
        (last_catch_up_result(&environment.settings).await? == "nothing was missed").then_some(())
    })
    .await;
    assert_eq!(environment.sent_messages().len(), CONTACTS);
    let messages: i64 = Connection::open(environment.settings.folder.join("mynah.db"))
        .unwrap()
        .query_row("SELECT COUNT(*) FROM messages WHERE role = 'user'", [], |row| row.get(0))
        .unwrap();
    assert_eq!(json!(messages), json!(CONTACTS * MESSAGES_PER_CONTACT + 1));
}
