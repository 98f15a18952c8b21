//! Other processes on the same folder.

use serde_json::json;

use crate::setup::server_process::{ServerProcess, free_port};
use crate::setup::test_environment::TestEnvironment;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_server_on_the_same_folder_names_it_and_ends() {
    let environment = TestEnvironment::new().await;
    let mut server = ServerProcess::start(&environment.settings).await;
    let elsewhere = environment.settings.clone().with("MYNAH_LISTEN", &format!("127.0.0.1:{}", free_port()));
    let second = elsewhere.run(&["serve"]).await;
    assert_eq!(second.status, Some(1), "{second:?}");
    let folder = environment.settings.folder.display().to_string();
    assert!(second.stderr.contains(&folder) && second.stderr.contains("another mynah"), "{second:?}");
    assert!(second.stderr.contains(&format!("process {}", server.pid())), "{second:?}");
    environment.contact_writes((0, 0)).await;
    environment.wait_until_all_answered_once(&mut server, 1, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_work_beside_a_server_that_works() {
    let environment = TestEnvironment::new().await;
    let mut server = ServerProcess::start(&environment.settings).await;
    environment.model.paused.send_replace(true);
    environment.contact_writes((0, 0)).await;
    environment.wait_for_model_calls(1).await;
    let jobs = environment.settings.run(&["jobs", "list", "--json"]).await.json();
    assert_eq!((jobs.as_array().unwrap().len(), &jobs[0]["state"]), (1, &"running".into()), "{jobs}");
    let migrated = environment.settings.run(&["migrate"]).await;
    assert!(migrated.status == Some(0) && migrated.stdout.contains("is up to date"), "{migrated:?}");
    let migrated = environment.settings.run(&["migrate", "--json"]).await.json();
    let database = environment.settings.folder.join("mynah.db");
    assert_eq!(migrated, json!({ "database": database.to_str(), "up_to_date": true }));
    let check = environment.settings.run(&["check", "--offline", "--json"]).await.json();
    let findings: Vec<_> =
        check.as_array().unwrap().iter().map(|finding| (&finding["check"], &finding["outcome"])).collect();
    for expected in [("configuration", "ok"), ("database", "ok"), ("Twilio", "skipped"), ("model", "skipped")] {
        assert!(findings.contains(&(&expected.0.into(), &expected.1.into())), "{expected:?} in {check}");
    }
    environment.model.paused.send_replace(false);
    environment.wait_until_all_answered_once(&mut server, 1, 1).await;
    assert_eq!(environment.settings.run(&["jobs", "list", "--json"]).await.json(), json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_that_another_process_discards_is_not_answered_and_the_next_one_is() {
    let environment = TestEnvironment::new().await;
    let unconfigured = environment.settings.clone().without("OPENAI_BASE_URL").without("OPENAI_API_KEY");
    let mut server = ServerProcess::start(&unconfigured).await;
    environment.contact_writes((0, 0)).await;
    let jobs = environment.settings.run(&["jobs", "list", "--json"]).await.json();
    let turn = jobs[0]["turn"].to_string();
    let discarded = environment.settings.run(&["jobs", "discard", &turn, "--json"]).await.json();
    assert_eq!(discarded, json!({ "turn": jobs[0]["turn"], "state": "dead" }));
    let again = environment.settings.run(&["jobs", "discard", &turn]).await;
    assert!(again.status == Some(1) && again.stderr.contains("does not wait"), "{again:?}");
    let dead = environment.settings.run(&["jobs", "list", "--state", "dead", "--json"]).await.json();
    assert_eq!(dead[0]["error"], "discarded by the operator", "{dead}");
    assert_eq!(server.kill9().await.code(), None);
    server.restart(&environment.settings).await;
    assert_eq!(environment.sent_messages(), []);
    // A message that can no longer be sent is not accepted.
    let age = |hours: i64| {
        let database = rusqlite::Connection::open(environment.settings.folder.join("mynah.db")).unwrap();
        let by = hours * 3_600_000;
        database.execute("UPDATE conversations SET last_inbound_at = last_inbound_at - ?1", [by]).unwrap();
    };
    age(23);
    let late = environment.settings.run(&["jobs", "retry", &turn]).await;
    assert!(late.status == Some(1) && late.stderr.contains("last wrote 23 hours ago"), "{late:?}");
    age(-23);
    // So it is with all of them at once.
    age(23);
    let none = environment.settings.run(&["jobs", "retry", "--all", "--json"]).await.json();
    assert_eq!(none, json!({ "turns": [], "state": "retry", "too_late": 1, "not_possible": 0 }));
    age(-23);
    // An operator can requeue it, and a running server answers it.
    let retried = environment.settings.run(&["jobs", "retry", &turn, "--json"]).await.json();
    assert_eq!(retried, json!({ "turn": jobs[0]["turn"], "state": "retry" }));
    environment.wait_until_all_answered_once(&mut server, 1, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_turns_that_failed_are_answered_again_at_once() {
    let environment = TestEnvironment::new().await;
    let unconfigured = environment.settings.clone().without("OPENAI_BASE_URL").without("OPENAI_API_KEY");
    let mut server = ServerProcess::start(&unconfigured).await;
    for sender in 0..2 {
        environment.contact_writes((sender, 0)).await;
    }
    let jobs = environment.settings.run(&["jobs", "list", "--json"]).await.json();
    let turns: Vec<_> = jobs.as_array().unwrap().iter().map(|job| job["turn"].to_string()).collect();
    assert_eq!(turns.len(), 2, "{jobs}");
    for turn in &turns {
        assert_eq!(environment.settings.run(&["jobs", "discard", turn]).await.status, Some(0));
    }
    server.kill9().await;
    server.restart(&environment.settings).await;
    let retried = environment.settings.run(&["jobs", "retry", "--all"]).await;
    assert_eq!(retried.stdout, "2 turns will be answered again\n", "{retried:?}");
    environment.wait_until_all_answered_once(&mut server, 2, 1).await;
    let again = environment.settings.run(&["jobs", "retry", "--all"]).await;
    assert_eq!((again.status, again.stdout.as_str()), (Some(0), "no turn is dead or expired\n"));
    let both = environment.settings.run(&["jobs", "retry", "7", "--all"]).await;
    assert_eq!(both.status, Some(2), "{both:?}");
}
