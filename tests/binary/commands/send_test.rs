//! `mynah send-test`: a real message, how far it comes, and the way back.

use mynah::simulator::InjectedFault;
use serde_json::{Value, json};

use crate::setup::answer_tally::phone;
use crate::setup::server_process::{CommandOutput, CommandSettings, ServerProcess};
use crate::setup::test_environment::TestEnvironment;

/// Sends a test message to the first contact, and returns what is reported.
async fn send_test(settings: &CommandSettings, arguments: &[&str]) -> (CommandOutput, Value) {
    let contact = phone(0);
    let ran = settings.run(&[&["send-test", "--to", &contact, "--json"], arguments].concat()).await;
    let report = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    (ran, report)
}

/// The finding of that check.
fn finding<'a>(report: &'a Value, check: &str) -> &'a Value {
    let mut findings = report["findings"].as_array().expect("a list").iter();
    findings.find(|finding| finding["check"] == check).unwrap_or_else(|| panic!("no {check}: {report:#}"))
}

fn assert_finding(report: &Value, check: &str, outcome: &str, found: &str, remedy: &str) {
    let finding = finding(report, check);
    let contains = |member: &str, words: &str| finding[member].as_str().unwrap_or_default().contains(words);
    assert!(finding["outcome"] == outcome && contains("found", found) && contains("remedy", remedy), "{report:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_test_message_arrives_and_the_way_back_is_checked() {
    let environment = TestEnvironment::new().await;
    let mut server = ServerProcess::start(&environment.settings).await;
    environment.contact_writes((0, 0)).await;
    environment.wait_until_all_answered_once(&mut server, 1, 1).await;
    let (ran, report) = send_test(&environment.settings, &["--text", "Can you read this?"]).await;
    assert_eq!(ran.status, Some(0), "{ran:?}");
    assert!(report["message"].as_str().is_some_and(|id| id.starts_with("SM")), "{report:#}");
    assert!(["delivered", "read"].iter().any(|status| report["status"] == *status), "{report:#}");
    assert_eq!(report["error_code"], Value::Null);
    assert_finding(&report, "recipient", "ok", "this person last wrote at", "");
    assert_finding(&report, "delivery", "ok", "on the phone", "");
    assert_finding(&report, "server", "ok", &format!("process {}", server.pid()), "");
    assert_finding(&report, "round trip", "ok", "arrived unchanged", "");
    let sent = environment.sent_messages();
    let texts: Vec<_> = sent.iter().filter(|(_, text)| text == "Can you read this?").collect();
    assert_eq!(texts.len(), 1, "{sent:?}");
    // The server neither refuses a callback about it nor takes it for one of its own.
    assert!(!server.log().contains("not ours"), "{}", server.log());
    assert_eq!(environment.settings.run(&["jobs", "list", "--json"]).await.json(), json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_twilio_refuses_or_does_not_deliver_is_explained_with_a_remedy() {
    let environment = TestEnvironment::new().await;
    for (fault, check, found, remedy) in [
        (InjectedFault::Refuse { code: 21608 }, "sending", "(Twilio 21608)", "verify the contact's number"),
        (InjectedFault::Refuse { code: 63007 }, "sending", "(Twilio 63007)", "check TWILIO_WHATSAPP_FROM"),
        (InjectedFault::Unauthorized, "sending", "(Twilio 20003)", "check TWILIO_ACCOUNT_SID"),
        (InjectedFault::ServerError { created: true }, "sending", "nobody knows", "look whether it arrives"),
        (InjectedFault::Undelivered { code: 63015 }, "delivery", "(63015)", "they must send its join words"),
        (InjectedFault::Undelivered { code: 63016 }, "delivery", "(63016)", "they must write again first"),
    ] {
        environment.twilio.fail_next(fault.clone());
        let (ran, report) = send_test(&environment.settings, &[]).await;
        assert_eq!((ran.status, ran.stderr.as_str()), (Some(1), "mynah: one check failed\n"), "{fault:?} {ran:?}");
        assert_finding(&report, check, "failed", found, remedy);
        // Nobody has written to the number, and it does not run.
        assert_finding(&report, "recipient", "warning", "has not written to this number", "outside 24 hours");
        assert_finding(&report, "server", "skipped", "this command answers", "");
        assert_finding(&report, "round trip", "ok", "arrived unchanged", "");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_stays_on_its_way_is_told_without_an_end() {
    let environment = TestEnvironment::new().await;
    let settings = environment.settings.clone().with("MYNAH_PUBLIC_URL", "http://nowhere.invalid");
    environment.twilio.close();
    let (ran, report) = send_test(&settings, &["--wait", "0"]).await;
    assert_finding(&report, "delivery", "warning", "after 0 s the message is queued", "Twilio Console");
    // The message is under way, but answers to it would not come back.
    assert_finding(&report, "DNS", "failed", "nowhere.invalid does not resolve", "DNS record");
    assert_eq!((ran.status, &report["status"]), (Some(1), &json!("queued")), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_sent_to_who_opted_out_or_is_blocked_and_nothing_that_is_no_message() {
    let environment = TestEnvironment::new().await;
    let mut server = ServerProcess::start(&environment.settings).await;
    assert_eq!(environment.twilio.send_inbound(&phone(0), "Ana", "STOP").await.expect("an answer").status, 200);
    environment.wait_until_all_answered(&mut server, 0, 0).await;
    let sent = environment.sent_messages().len();
    let (ran, report) = send_test(&environment.settings, &[]).await;
    assert_eq!((ran.status, &report["message"]), (Some(1), &Value::Null), "{ran:?}");
    assert_finding(&report, "recipient", "failed", "has opted out, so nothing is sent", "write START");
    assert_eq!(environment.settings.run(&["conversations", "block", &phone(1)]).await.status, Some(0));
    let blocked = environment.settings.run(&["send-test", "--to", &phone(1)]).await;
    assert!(blocked.status == Some(1) && blocked.stdout.contains("this contact is blocked"), "{blocked:?}");

    for (arguments, status, words) in [
        (&["--to", "nobody"][..], 2, "--to"),
        (&["--text", "Hello"], 2, "--to"),
        (&["--to", "+12025550199", "--text", " "], 1, "the text is blank"),
        (&["--to", "+12025550199", "--number", "sales"], 1, "there is no number sales; the numbers are: main"),
    ] {
        let ran = environment.settings.run(&[&["send-test"], arguments].concat()).await;
        assert!(ran.status == Some(status) && ran.stderr.contains(words), "{arguments:?} {ran:?}");
    }
    assert_eq!(environment.sent_messages().len(), sent, "nothing was sent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_several_numbers_the_sender_is_named() {
    let environment = TestEnvironment::new().await;
    let file = environment.settings.folder.join("sales.toml");
    std::fs::write(file, "twilio_whatsapp_from = '+14155550002'").expect("the folder is there");
    let settings = environment.settings.clone().with("MYNAH_NUMBERS", "sales.toml");
    let ran = settings.run(&["send-test", "--to", &phone(0)]).await;
    assert!(ran.status == Some(1) && ran.stderr.contains("choose one with --number (main, sales)"), "{ran:?}");
    let (ran, report) = send_test(&settings, &["--number", "main"]).await;
    assert_eq!((ran.status, &finding(&report, "delivery")["number"]), (Some(0), &json!("main")), "{ran:?}");
}
