//! An operator at the shell, beside a running server.

use serde_json::json;

use crate::setup::server_process::ServerProcess;
use crate::setup::test_environment::{ACCOUNT, TestEnvironment};
use crate::setup::wait::{TEST_TIMEOUT, wait_until};

async fn first_conversation_id(environment: &TestEnvironment) -> String {
    let list = environment.settings.run(&["conversations", "list", "--json"]).await.json();
    list[0]["id"].as_str().unwrap_or_else(|| panic!("no conversation in {list}")).to_owned()
}

async fn wait_until_sent(environment: &TestEnvironment, text: &str) {
    wait_until(text, TEST_TIMEOUT, || async {
        environment.sent_messages().iter().any(|(_, said)| said == text).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_takes_over_speaks_and_gives_back() {
    let environment = TestEnvironment::new().await;
    let settings = environment.settings.clone().with("MYNAH_TEXT_HUMAN", "A person will come.");
    let mut server = ServerProcess::start(&settings).await;
    environment.contact_writes((0, 0)).await;
    environment.wait_until_all_answered_once(&mut server, 1, 1).await;
    let id = first_conversation_id(&environment).await;

    let ran = settings.run(&["conversations", "mode", &id, "human"]).await;
    assert!(ran.status == Some(0) && ran.stdout.contains("a person answers now"), "{ran:?}");
    wait_until_sent(&environment, "A person will come.").await;
    let said = settings.run(&["conversations", "say", &id, "This is Eva.", "--json"]).await.json();
    assert_eq!(said["conversation"], id.as_str());
    wait_until_sent(&environment, "This is Eva.").await;
    // Written while a person answers: stored, and not answered.
    let calls = environment.model.calls.load(std::sync::atomic::Ordering::SeqCst);
    environment.contact_writes((0, 1)).await;
    let shown = wait_until("the message is stored", TEST_TIMEOUT, || async {
        let shown = settings.run(&["conversations", "show", &id, "--json"]).await.json();
        (shown["messages"].as_array()?.len() == 5).then_some(shown)
    })
    .await;
    assert_eq!((&shown["mode"], &shown["messages"][4]["turn_state"]), (&json!("human"), &json!("skipped")));
    assert_eq!(environment.model.calls.load(std::sync::atomic::Ordering::SeqCst), calls);
    let text = settings.run(&["conversations", "show", &id]).await.stdout;
    assert!(text.contains("operator") && text.contains("    This is Eva."), "{text}");
    // Attachments are shown with their message.
    let database = rusqlite::Connection::open(settings.folder.join("mynah.db")).expect("it is there");
    let hash = "ab".repeat(32);
    let attach = "INSERT INTO attachments (conversation_id, message_id, number, state, url, media_type, mark, hash, size)
        SELECT conversation_id, id, 0, 'read', '', 'image/jpeg', '[image]', ?1, 9 FROM messages ORDER BY turn_id, id LIMIT 1";
    assert_eq!(database.execute(attach, [&hash]).expect("it is stored"), 1);
    let shown = settings.run(&["conversations", "show", &id, "--json"]).await.json();
    let place = settings.folder.join("media/ab").join(&hash).display().to_string();
    let expected = json!([{ "type": "image/jpeg", "state": "read", "size": 9, "file": place, "error": null }]);
    assert_eq!((&shown["messages"][0]["attachments"], &shown["messages"][1]["attachments"]), (&expected, &json!([])));
    let text = settings.run(&["conversations", "show", &id]).await.stdout;
    assert!(text.contains(&format!("    (image/jpeg, 9 bytes in {place})")), "{text}");
    // Attachments that come while a person answers are read in the background, in a child process.
    let attach = "INSERT INTO attachments (conversation_id, message_id, number, state, url, media_type, mark)
        SELECT m.conversation_id, m.id, 0, 'waiting', ?1, 'text/plain', '[document: text/plain]'
        FROM messages m JOIN turns t ON t.id = m.turn_id WHERE t.state = 'skipped'";
    let url = format!("{}/2010-04-01/Accounts/{ACCOUNT}/Messages/MM1/Media/ME1", environment.twilio_api_url);
    assert_eq!(database.execute(attach, [url]).expect("it is stored"), 1);
    let text = wait_until("it is read", TEST_TIMEOUT, || async {
        let text = settings.run(&["conversations", "show", &id]).await.stdout;
        text.contains("(text/plain").then_some(text).filter(|text| !text.contains("not fetched"))
    })
    .await;
    assert!(text.contains("    [document: text/plain]\n    Rye bread: 4.50\n    (text/plain, 15 bytes in "), "{text}");

    let ran = settings.run(&["conversations", "mode", &id, "auto"]).await;
    assert!(ran.stdout.contains("the assistant answers again"), "{ran:?}");
    environment.contact_writes((0, 2)).await;
    wait_until("the assistant answers", TEST_TIMEOUT, || async {
        (environment.model.calls.load(std::sync::atomic::Ordering::SeqCst) > calls).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_ends_blocks_unblocks_and_cleans_up_with_clear_refusals() {
    let environment = TestEnvironment::new().await;
    let mut server = ServerProcess::start(&environment.settings).await;
    environment.contact_writes((0, 0)).await;
    environment.wait_until_all_answered_once(&mut server, 1, 1).await;
    let id = first_conversation_id(&environment).await;
    let contact = environment.settings.run(&["conversations", "list", "--json"]).await.json()[0]["contact"].clone();
    let phone = contact.as_str().unwrap().trim_start_matches("whatsapp:").to_owned();

    let ended = environment.settings.run(&["conversations", "end", &id]).await;
    assert_eq!(ended.status, Some(0), "{ended:?}");
    for arguments in [&["end", &id][..], &["say", &id, "hello"], &["mode", &id, "human"]] {
        let refused = environment.settings.run(&[&["conversations"], arguments].concat()).await;
        assert!(refused.status == Some(1) && refused.stderr.contains("ended at"), "{refused:?}");
    }
    let nowhere = "00000000-0000-7000-8000-000000000000";
    let unknown = environment.settings.run(&["conversations", "show", nowhere]).await;
    assert!(unknown.status == Some(1) && unknown.stderr.contains("there is no conversation"), "{unknown:?}");
    for arguments in [&["show", ""][..], &["block", "5551234"], &["mode", nowhere, "robot"]] {
        let wrong = environment.settings.run(&[&["conversations"], arguments].concat()).await;
        assert_eq!(wrong.status, Some(2), "{wrong:?}");
    }

    let blocked = environment.settings.run(&["conversations", "block", &phone, "--json"]).await.json();
    assert_eq!(blocked, json!({ "address": phone, "blocked": true }));
    environment.contact_writes((0, 1)).await;
    wait_until("the message is stored", TEST_TIMEOUT, || async {
        let shown = environment.settings.run(&["conversations", "list"]).await.stdout;
        (shown.lines().count() == 2 && shown.contains("blocked")).then_some(())
    })
    .await;
    let again = environment.settings.run(&["conversations", "unblock", &phone]).await;
    assert_eq!((again.status, again.stdout.trim()), (Some(0), format!("{phone} is no longer blocked").as_str()));
    let unblocked = environment.settings.run(&["conversations", "unblock", &phone, "--json"]).await.json();
    assert_eq!(unblocked, json!({ "address": phone, "blocked": false }));
    environment.contact_writes((0, 2)).await;
    wait_until("the contact is answered again", TEST_TIMEOUT, || async {
        (environment.sent_messages().len() == 2).then_some(())
    })
    .await;
    let cleaned = environment.settings.run(&["cleanup", "--json"]).await.json();
    let jobs = cleaned.as_array().unwrap();
    assert!(jobs.iter().any(|job| job["job"] == "end_idle_conversations"), "{cleaned}");
    assert!(jobs.iter().all(|job| job["failed"] == false), "{cleaned}");
    assert_eq!(environment.sent_messages().len(), 2, "nothing was sent between");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_sends_a_file_and_a_template() {
    let environment = TestEnvironment::new().await;
    let settings = &environment.settings;
    let mut server = ServerProcess::start(settings).await;
    environment.contact_writes((0, 0)).await;
    environment.wait_until_all_answered_once(&mut server, 1, 1).await;
    let id = first_conversation_id(&environment).await;
    let file = |name: &str, content: &[u8]| {
        let path = settings.folder.join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let picture = [b"\xff\xd8\xff\xe0".as_slice(), &[7; 200_000]].concat();
    let (photo, page) = (file("menu.jpg", &picture), file("page.html", b"<html>"));

    // A file that cannot be sent is reported, and nothing of it is stored.
    let send = async |arguments: &[&str]| settings.run(&[&["conversations", "say", &id], arguments].concat()).await;
    let bare = settings.clone().without("MYNAH_PUBLIC_URL");
    let nowhere = bare.run(&["conversations", "say", &id, "--file", &photo]).await;
    assert!(nowhere.status == Some(1) && nowhere.stderr.contains("MYNAH_PUBLIC_URL"), "{nowhere:?}");
    let wrong = send(&["--file", &page]).await;
    assert!(
        wrong.status == Some(1) && wrong.stderr.contains("page.html is not of a type that WhatsApp accepts"),
        "{wrong:?}"
    );
    assert_eq!(send(&[]).await.status, Some(2), "neither words nor a file");
    assert!(!settings.folder.join("media").exists());

    let queued = send(&["Our menu", "--file", &photo, "--json"]).await.json();
    assert_eq!(queued["conversation"], id.as_str());
    wait_until_sent(&environment, "Our menu").await;
    let fetched = environment.twilio_recorder.files.lock().unwrap().clone();
    assert_eq!(fetched, [("image/jpeg".to_owned(), picture)]);
    let shown = settings.run(&["conversations", "show", &id]).await.stdout;
    assert!(shown.contains("    Our menu\n    [sent an image: menu.jpg]\n"), "{shown}");
    assert_eq!(send(&["--file", &photo]).await.status, Some(0), "the words may be left out");

    let sid = "HX00000000000000000000000000000001";
    let template =
        async |arguments: &[&str]| settings.run(&[&["conversations", "template", &id], arguments].concat()).await;
    for wrong in [&["HX1"][..], &[sid, "--var", "Ana"]] {
        assert_eq!(template(wrong).await.status, Some(2));
    }
    let twice = template(&[sid, "--var", "1=Ana", "--var", "1=Bo"]).await;
    assert!(twice.status == Some(1) && twice.stderr.contains("1 is given twice"), "{twice:?}");
    let ended = settings.run(&["conversations", "end", &id]).await;
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let queued = template(&[sid, "--var", "1=Ana", "--var", "2=at ten", "--json"]).await.json();
    assert_ne!(queued["conversation"], id.as_str(), "it begins a new one");
    let sent = wait_until("the template is sent", TEST_TIMEOUT, || async {
        Some(environment.twilio_recorder.templates.lock().unwrap().clone()).filter(|sent| !sent.is_empty())
    })
    .await;
    assert_eq!(sent, [(sid.to_owned(), r#"{"1":"Ana","2":"at ten"}"#.to_owned())]);
}

#[tokio::test]
async fn a_number_is_taken_as_people_write_it_and_none_is_guessed() {
    let environment = TestEnvironment::new().await;
    let mut server = ServerProcess::start(&environment.settings).await;
    environment.contact_writes((0, 0)).await;
    environment.wait_until_all_answered_once(&mut server, 1, 1).await;
    let block = async |address: &str| environment.settings.run(&["conversations", "block", address, "--json"]).await;

    let blocked = block("+49 (0)30 901820").await;
    assert_eq!((blocked.stderr.as_str(), &blocked.json()["address"]), ("", &json!("+4930901820")));
    for (address, why) in [
        ("030 901820", "has no country code"),
        ("+49 1", "no country assigns"),
        ("+1-800-FLOWERS", "neither a phone number"),
    ] {
        let refused = block(address).await;
        assert!(refused.status == Some(2) && refused.stderr.contains(why), "{refused:?}");
    }
    // A template that WhatsApp may still know.
    let doubtful = block("+15550000009").await;
    assert_eq!(doubtful.json()["address"], "+15550000009");
    assert!(doubtful.stderr.contains("no country assigns such a number"), "{doubtful:?}");

    let id = first_conversation_id(&environment).await;
    let shown = environment.settings.run(&["conversations", "show", &id, "--json"]).await.json();
    let phone = shown["contact"].as_str().unwrap().trim_start_matches("whatsapp:").to_owned();
    let row = shown["addresses"].as_array().unwrap().iter().find(|row| row["kind"] == "phone").unwrap().clone();
    assert_eq!((row["value"].as_str(), row["seen_at"].is_string()), (Some(phone.as_str()), true));
    assert_eq!(row["validates"], true);
    let text = environment.settings.run(&["conversations", "show", &id]).await.stdout;
    assert!(text.contains(&format!("{phone} (seen 2")), "{text}");
}
