//! A message in, a reply out.

use std::sync::Arc;

use mynah::simulator::{InjectedFault, Status};
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

use crate::setup::answer_tally::{AnswerTally, phone};
use crate::setup::server_process::ServerProcess;
use crate::setup::test_environment::TestEnvironment;
use crate::setup::wait::{TEST_TIMEOUT, wait_until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_answered_and_its_delivery_is_followed_to_the_end() {
    let environment = TestEnvironment::new().await;
    let mut server = ServerProcess::start(&environment.settings).await;
    environment.contact_writes((0, 0)).await;
    environment.wait_until_all_answered_once(&mut server, 1, 1).await;
    assert_eq!(environment.sent_messages(), [("whatsapp:+12025550000".to_owned(), "re: #0-0#".to_owned())]);
    environment.twilio.wait_until_idle().await;
    let counts = environment.twilio.counts();
    assert_eq!((counts.callbacks, counts.callbacks_failed), (3, 0), "sent, delivered, read");
    let bubbles = environment.twilio.conversation(&phone(0));
    let shown: Vec<_> = bubbles.iter().map(|bubble| (bubble.from_contact, bubble.status)).collect();
    assert_eq!(shown, [(true, Status::Read), (false, Status::Read)]);
    let database = environment.settings.folder.join("mynah.db");
    let database = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let part: (String, String) =
        database.query_row("SELECT state, status FROM parts", [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    assert_eq!(part, ("sent".to_owned(), "read".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn monitors_and_people_find_their_addresses() {
    let environment = TestEnvironment::new().await;
    let server = ServerProcess::start(&environment.settings).await;
    assert_eq!(server.get("/healthz").await, Some((200, "ok\n".to_owned())));
    let (status, body) = server.get("/readyz").await.unwrap();
    let ready: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &ready["status"], &ready["database"]), (200, &"ready".into(), &"ok".into()), "{ready}");
    assert_eq!((&ready["configured"], &ready["queue"]["waiting"]), (&true.into(), &0.into()), "{ready}");
    let (status, body) = server.get("/webhooks/twilio").await.unwrap();
    assert!(status == 200 && body.contains("address for Twilio's webhooks"), "{status} {body}");
    assert!(body.starts_with("<?xml ") && body.ends_with("<Response/>\n"), "{body}");
    server.wait_for_log("was called with GET").await;
    assert_eq!(server.get("/elsewhere").await.unwrap().0, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_is_answered_in_order_by_one_reply_at_a_time() {
    let environment = Arc::new(TestEnvironment::new().await);
    environment.model.max_delay_ms.store(20, std::sync::atomic::Ordering::Relaxed);
    let mut server = ServerProcess::start(&environment.settings).await;
    let talk = environment.contacts_write(5, 8);
    talk.join_all().await;
    environment.wait_until_all_answered_once(&mut server, 5, 8).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_that_twilio_repeats_is_acknowledged_and_answered_once() {
    let environment = TestEnvironment::new().await;
    let mut server = ServerProcess::start(&environment.settings).await;
    let sid = environment.twilio.add_inbound(&phone(0), "#0-0#");
    let params = environment.twilio.inbound_params(&sid, &phone(0), "Ana", "#0-0#");
    for _ in 0..3 {
        assert_eq!(environment.twilio.post_webhook(params.clone(), &sid).await.unwrap().status, 200);
    }
    environment.wait_until_all_answered_once(&mut server, 1, 1).await;
    assert_eq!(environment.twilio.post_webhook(params.clone(), &sid).await.unwrap().status, 200);
    // A later message of the same contact passes after whatever the repeat would have caused.
    environment.contact_writes((0, 1)).await;
    environment.wait_until_all_answered_once(&mut server, 1, 2).await;
    wait_until("both are read", TEST_TIMEOUT, || async { (environment.twilio.counts().callbacks == 6).then_some(()) })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_not_delivered_after_all_is_logged_with_its_remedy() {
    let environment = TestEnvironment::new().await;
    let server = ServerProcess::start(&environment.settings).await;
    // Of a message that something else sent through the same account.
    let foreign = [("MessageSid", "SMforeign"), ("MessageStatus", "failed"), ("ErrorCode", "30003")];
    let foreign = foreign.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    assert_eq!(environment.twilio.post_webhook(foreign, "SMforeign").await.unwrap().status, 403);
    let codes = [
        (63003, " WARN ", "the contact's number is not on WhatsApp"),
        (63007, "ERROR ", "check TWILIO_WHATSAPP_FROM"),
        (99999, " WARN ", "https://www.twilio.com/docs/api/errors/99999"),
    ];
    for (number, (code, level, remedy)) in codes.into_iter().enumerate() {
        environment.twilio.fail_next(InjectedFault::Undelivered { code });
        environment.contact_writes((0, number)).await;
        let turn = number + 1;
        let line = wait_until("the log tells of it", TEST_TIMEOUT, || async {
            let log = server.log();
            log.lines().find(|line| line.contains(&format!("code={code}"))).map(str::to_owned)
        })
        .await;
        for expected in [level, remedy, "a message was not delivered", &format!("part=\"{turn}.1\"")] {
            assert!(line.contains(expected), "{expected:?} is missing in {line}");
        }
        assert!(!line.contains("2025550000"), "a contact's number is in the log: {line}");
    }
    assert!(!server.log().contains("code=30003"), "{}", server.log());
    let tally = environment.tally(1, 3);
    assert_eq!(tally, AnswerTally::default(), "{tally}");
    // The operator sees it, too.
    let jobs = environment.settings.run(&["jobs", "list", "--json"]).await.json();
    let (turn, undelivered) = (&jobs[2], &jobs[2]["undelivered"][0]);
    assert_eq!(
        (jobs.as_array().unwrap().len(), &turn["turn"], &turn["state"]),
        (3, &1.into(), &"done".into()),
        "{jobs:#}"
    );
    assert_eq!((&undelivered["message"], &undelivered["code"]), (&1.into(), &63003.into()), "{jobs:#}");
    assert!(undelivered["why"].as_str().unwrap().starts_with("the contact's number is not on WhatsApp: "), "{jobs:#}");
    let id = turn["conversation"].as_str().unwrap();
    for command in [&["jobs", "list"][..], &["conversations", "show", id]] {
        let shown = environment.settings.run(command).await.stdout;
        for told in
            ["message 1 was not delivered: the contact's number is not on WhatsApp: ", "(63003)", "(63007)", "(99999)"]
        {
            assert_eq!(shown.matches(told).count(), 1, "{told:?} in {shown}");
        }
    }
    let shown = environment.settings.run(&["conversations", "show", id, "--json"]).await.json();
    assert_eq!(shown["messages"][1]["turn_undelivered"][0]["code"], 63003, "{shown:#}");
    let alerts = environment.settings.run(&["alert", "list", "--json"]).await.json();
    assert_eq!((&alerts[0]["cause"], &alerts[0]["subject"]), (&"delivery".into(), &"63007".into()), "{alerts:#}");
}
