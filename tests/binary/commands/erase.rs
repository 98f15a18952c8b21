//! `mynah conversations erase`: nothing of the person is left on the disk, beside a running server and without one.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::setup::answer_tally::phone;
use crate::setup::server_process::{CommandOutput, ServerProcess};
use crate::setup::test_environment::TestEnvironment;
#[cfg(feature = "failpoints")]
use crate::setup::wait::{TEST_TIMEOUT, wait_until};

async fn erase(environment: &TestEnvironment, arguments: &[&str]) -> CommandOutput {
    environment.settings.run(&[&["conversations", "erase"], arguments].concat()).await
}

/// The files of the data folder that contain the text: the database, its log and its index, and what people sent.
fn files_with(environment: &TestEnvironment, text: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![environment.settings.folder.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("it is read").map(|entry| entry.expect("it is read").path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else if contains(&entry, text) {
                found.push(entry);
            }
        }
    }
    found
}

fn contains(path: &Path, text: &str) -> bool {
    fs::read(path).unwrap_or_default().windows(text.len()).any(|window| window == text.as_bytes())
}

/// The proof of a report, by what was searched for.
fn proof<'a>(report: &'a Value, what: &str) -> &'a Value {
    report["proof"].as_array().and_then(|all| all.iter().find(|one| one["searched_for"] == what)).expect("it is there")
}

/// Two contacts wrote and were answered, and an operator sent both the same picture and the first one of her own.
async fn with_two_contacts(server: &mut ServerProcess, environment: &TestEnvironment) {
    for sender in 0..2 {
        environment.contact_writes((sender, 0)).await;
    }
    environment.wait_until_all_answered_once(server, 2, 1).await;
    for (name, content) in [("both.jpg", "of both"), ("own.jpg", "of the first")] {
        let picture = [b"\xff\xd8\xff".as_slice(), content.as_bytes()].concat();
        fs::write(environment.settings.folder.join(name), picture).expect("it is written");
    }
    for (sender, name) in [(0, "both.jpg"), (1, "both.jpg"), (0, "own.jpg")] {
        environment.settings.run(&["conversations", "say", &phone(sender), "--file", name, "--json"]).await.json();
        environment.wait_until_all_answered(server, 2, 1).await;
    }
    environment.twilio.wait_until_idle().await;
    for sender in 0..2 {
        environment.settings.run(&["conversations", "mode", &phone(sender), "auto", "--json"]).await.json();
    }
    for name in ["both.jpg", "own.jpg"] {
        fs::remove_file(environment.settings.folder.join(name)).expect("it is ours");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_server_all_of_a_person_is_gone_at_once() {
    let environment = TestEnvironment::new().await;
    let mut server = ServerProcess::start(&environment.settings).await;
    with_two_contacts(&mut server, &environment).await;
    server.signal("TERM");
    server.wait_for_exit().await;
    let (digits, of_other) = (phone(0)[1..].to_owned(), phone(1)[1..].to_owned());
    assert!(!files_with(&environment, &digits).is_empty() && !files_with(&environment, "of the first").is_empty());

    let report = erase(&environment, &[&phone(0), "--yes", "--json"]).await.json();
    assert_eq!(report["deleted"]["conversations"], 1, "{report:#}");
    assert_eq!((&report["deleted"]["messages"], &report["files_removed"]), (&4.into(), &1.into()), "{report:#}");
    assert_eq!((&report["files_shared"], &report["complete"]), (&1.into(), &true.into()), "{report:#}");
    assert_eq!(report["remaining"], json!([]));
    for what in ["phone number", "user ID"] {
        assert_eq!(proof(&report, what)["found"], 0, "{report:#}");
    }
    // Both contacts are called Ana.
    let places: Vec<_> =
        proof(&report, "name")["mentions"].as_array().unwrap().iter().map(|one| &one["place"]).collect();
    assert!(places.contains(&&"names of others".into()), "{report:#}");
    for trace in [&digits, "#0-0#", "of the first"] {
        assert_eq!(files_with(&environment, trace), Vec::<PathBuf>::new(), "{trace}");
    }
    for kept in [&of_other, "#1-0#", "of both"] {
        assert!(!files_with(&environment, kept).is_empty(), "{kept}");
    }
    let again = erase(&environment, &[&phone(0), "--yes"]).await;
    assert!(again.status == Some(1) && again.stderr.contains("nobody with the address"), "{again:?}");
}

/// The two minutes until the server finishes an erasure pass within seconds.
#[cfg(feature = "failpoints")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beside_a_server_the_turn_that_runs_writes_nothing_back() {
    let environment = TestEnvironment::new().await;
    let mut server = ServerProcess::start(&environment.settings).await;
    with_two_contacts(&mut server, &environment).await;
    environment.model.paused.send_replace(true);
    let calls = environment.model.calls.load(std::sync::atomic::Ordering::SeqCst);
    // One conversation is being answered, and is in the cache.
    environment.contact_writes((0, 1)).await;
    environment.wait_for_model_calls(calls + 1).await;
    let report = erase(&environment, &[&phone(0), "--yes", "--json"]).await.json();
    for what in ["phone number", "user ID"] {
        assert_eq!(proof(&report, what)["found"], 0, "{report:#}");
    }
    assert_eq!((&report["files_shared"], &report["log_is_empty"]), (&1.into(), &true.into()), "{report:#}");
    wait_until("the server forgets what it cached", TEST_TIMEOUT, || {
        let forgot = server.log().contains("a person was erased");
        async move { forgot.then_some(()) }
    })
    .await;
    environment.model.paused.send_replace(false);
    // The server goes on, for others.
    environment.contact_writes((1, 1)).await;
    wait_until("the other contact is answered", TEST_TIMEOUT, || {
        let answered = environment.sent_messages().iter().any(|(_, text)| text.contains("#1-1#"));
        async move { answered.then_some(()) }
    })
    .await;
    // A file that is newer than two minutes goes when it is old enough.
    wait_until("the file is removed", TEST_TIMEOUT, || {
        let gone = files_with(&environment, "of the first").is_empty();
        async move { gone.then_some(()) }
    })
    .await;
    assert!(!environment.sent_messages().iter().any(|(_, text)| text.contains("#0-1#")), "no answer was sent");
    environment.twilio.wait_until_idle().await;
    for trace in [&phone(0)[1..], "#0-0#", "#0-1#"] {
        assert_eq!(files_with(&environment, trace), Vec::<PathBuf>::new(), "{trace}");
    }
    assert!(!files_with(&environment, "of both").is_empty());
    // When she writes again, she is a new contact and is answered.
    environment.contact_writes((0, 2)).await;
    wait_until("she is answered", TEST_TIMEOUT, || {
        let answered = environment.sent_messages().iter().any(|(_, text)| text.contains("#0-2#"));
        async move { answered.then_some(()) }
    })
    .await;
    let shown = environment.settings.run(&["conversations", "show", &phone(0), "--json"]).await.json();
    assert_eq!(shown["messages"].as_array().unwrap().len(), 2, "{shown:#}");
}

/// The two minutes until the server finishes an erasure pass within seconds.
#[cfg(feature = "failpoints")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_reader_keeps_in_the_log_is_left_to_the_server_and_said() {
    let environment = TestEnvironment::new().await;
    let mut server = ServerProcess::start(&environment.settings).await;
    environment.contact_writes((0, 0)).await;
    environment.wait_until_all_answered_once(&mut server, 1, 1).await;
    environment.twilio.wait_until_idle().await;
    let reader = rusqlite::Connection::open(environment.settings.folder.join("mynah.db")).expect("it opens");
    reader.execute_batch("BEGIN; SELECT * FROM messages").expect("it reads");
    let report = erase(&environment, &[&phone(0), "--yes", "--json"]).await.json();
    assert_eq!((&report["log_is_empty"], &report["complete"]), (&false.into(), &false.into()), "{report:#}");
    assert!(report["remaining"][0].as_str().unwrap().contains("`mynah serve` empties it"), "{report:#}");
    assert_ne!(proof(&report, "phone number")["found"], 0, "the search sees what is still there: {report:#}");
    drop(reader);
    wait_until("the server finishes the erasure", TEST_TIMEOUT, || {
        let finished = server.log().contains("finished an erasure");
        async move { finished.then_some(()) }
    })
    .await;
    assert_eq!(files_with(&environment, &phone(0)[1..]), Vec::<PathBuf>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_in_the_free_space_of_an_older_version_are_removed_too() {
    let environment = TestEnvironment::new().await;
    let mut server = ServerProcess::start(&environment.settings).await;
    environment.contact_writes((0, 0)).await;
    environment.wait_until_all_answered_once(&mut server, 1, 1).await;
    environment.twilio.wait_until_idle().await;
    server.signal("TERM");
    server.wait_for_exit().await;
    // As a version without secure_delete left it.
    let database = rusqlite::Connection::open(environment.settings.folder.join("mynah.db")).expect("it opens");
    database.execute_batch("PRAGMA secure_delete = OFF; DELETE FROM webhook_log").expect("it is written");
    drop(database);
    assert!(!files_with(&environment, &phone(0)[1..]).is_empty());
    let report = erase(&environment, &[&phone(0), "--yes", "--json"]).await.json();
    assert_eq!(
        (&proof(&report, "phone number")["found"], &report["complete"]),
        (&0.into(), &true.into()),
        "{report:#}"
    );
    assert_eq!(files_with(&environment, &phone(0)[1..]), Vec::<PathBuf>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_erased_unasked_or_by_a_text_that_fits_several() {
    let environment = TestEnvironment::new().await;
    let mut server = ServerProcess::start(&environment.settings).await;
    for sender in 0..2 {
        environment.contact_writes((sender, 0)).await;
    }
    environment.wait_until_all_answered_once(&mut server, 2, 1).await;
    let unasked = erase(&environment, &[&phone(0)]).await;
    assert!(unasked.status == Some(1) && unasked.stderr.contains("add --yes"), "{unasked:?}");
    let several = erase(&environment, &["Ana", "--yes"]).await;
    assert!(several.status == Some(1) && several.stderr.contains("2 people fit"), "{several:?}");
    let nobody = erase(&environment, &["+12025559999", "--yes"]).await;
    assert!(nobody.status == Some(1) && nobody.stderr.starts_with("mynah: nobody with the address"), "{nobody:?}");
    let listed = environment.settings.run(&["conversations", "list", "--json"]).await.json();
    assert_eq!(listed.as_array().unwrap().len(), 2, "nothing was erased");
    let said = erase(&environment, &[&phone(1), "--yes"]).await;
    assert_eq!(said.status, Some(0), "{said:?}");
    for words in ["erased Ana (", "1 conversation, 2 messages", "phone number  not found", "user ID       not found"] {
        assert!(said.stdout.contains(words), "{words}: {said:?}");
    }
}
