//! `mynah conversations export`: everything that is held on a person, and nothing of anybody else.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::Value;

use crate::setup::answer_tally::phone;
use crate::setup::server_process::{CommandOutput, ServerProcess};
use crate::setup::test_environment::{ACCOUNT, OPENAI_KEY, TOKEN, TestEnvironment};

/// A picture, as far as its first bytes go.
const PICTURE: &[u8] = b"\xff\xd8\xffthe picture for the first contact";

/// Two contacts wrote twice each and were answered; an operator sent the first a picture, which is delivered.
async fn with_two_contacts() -> (TestEnvironment, ServerProcess) {
    let environment = TestEnvironment::new().await;
    let mut server = ServerProcess::start(&environment.settings).await;
    for number in 0..2 {
        environment.contact_writes((0, number)).await;
        environment.contact_writes((1, number)).await;
        // Each message is answered by itself.
        environment.wait_until_all_answered_once(&mut server, 2, number + 1).await;
    }
    fs::write(environment.settings.folder.join("a cake.jpg"), PICTURE).expect("it is written");
    let said = ["conversations", "say", &phone(0), "as promised", "--file", "a cake.jpg", "--json"];
    environment.settings.run(&said).await.json();
    environment.wait_until_all_answered(&mut server, 2, 2).await;
    // The last delivery status has arrived.
    environment.twilio.wait_until_idle().await;
    (environment, server)
}

async fn export(environment: &TestEnvironment, arguments: &[&str]) -> CommandOutput {
    environment.settings.run(&[&["conversations", "export"], arguments].concat()).await
}

fn read_document(folder: &Path) -> Value {
    serde_json::from_slice(&fs::read(folder.join("person.json")).expect("it is there")).expect("it is JSON")
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_gets_all_that_is_held_on_them_and_nothing_of_others() {
    let (environment, mut server) = with_two_contacts().await;
    let exported = export(&environment, &[&phone(0), "--output", "ana", "--json"]).await.json();
    let folder = environment.settings.folder.join("ana");
    assert_eq!(exported["folder"], "ana");
    assert_eq!((&exported["conversations"], &exported["messages"]), (&1.into(), &5.into()), "{exported}");
    assert_eq!((&exported["files"], &exported["missing_files"]), (&1.into(), &0.into()), "{exported}");
    let document = read_document(&folder);
    assert_eq!(document["format"], "mynah person 1");
    assert_eq!(document["contact"]["name"], "Ana");
    let addresses: Vec<_> = document["addresses"].as_array().unwrap().iter().map(|held| &held["value"]).collect();
    assert!(
        addresses.len() == 2 && addresses.contains(&&phone(0).into()),
        "a phone number and a user ID: {addresses:?}"
    );
    let conversation = &document["conversations"][0];
    let turns = conversation["turns"].as_array().unwrap();
    let messages: Vec<_> = turns.iter().flat_map(|turn| turn["messages"].as_array().unwrap()).collect();
    let said: Vec<_> =
        messages.iter().map(|said| (said["role"].as_str().unwrap(), said["content"].as_str().unwrap())).collect();
    assert_eq!(said.len(), 5, "{said:?}");
    assert_eq!((said[0], said[1]), (("user", "#0-0# is this it?"), ("assistant", "re: #0-0#")));
    assert!(said[4].0 == "operator" && said[4].1.contains("as promised"), "{said:?}");
    assert_eq!(messages[0]["metadata"]["ProfileName"], "Ana", "what Twilio sent with it");
    assert_eq!((&turns[0]["model"], &turns[0]["input_tokens"]), (&"test".into(), &1.into()), "{turns:#?}");
    let part = &turns[0]["parts"][0];
    assert_eq!((&part["body"], &part["state"]), (&"re: #0-0#".into(), &"sent".into()), "{part}");
    assert!(part["provider_id"].as_str().unwrap().starts_with("SM"), "{part}");
    let path = conversation["files"][0]["path"].as_str().unwrap();
    assert!(path.starts_with("files/") && path.ends_with("-a_cake.jpg"), "{path}");
    assert_eq!(fs::read(folder.join(path)).unwrap(), PICTURE);
    let webhooks = document["webhooks"].as_array().unwrap();
    assert!(webhooks.len() >= 2, "{webhooks:#?}");
    assert_eq!(exported["webhooks"], webhooks.len());
    for path in [folder.clone(), folder.join("files")] {
        assert_eq!(mode(&path), 0o700, "{}", path.display());
    }
    for path in [folder.join("person.json"), folder.join(path)] {
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    let text = document.to_string();
    for other in [&phone(1)[1..], "#1-0#", "#1-1#", TOKEN, OPENAI_KEY] {
        assert!(!text.contains(other), "{other} is in the export");
    }
    assert!(text.contains(ACCOUNT), "the account is no secret");

    // The same on stdout, without a server and without a folder.
    server.signal("TERM");
    server.wait_for_exit().await;
    let printed = export(&environment, &["15550000", "--json"]).await;
    assert_eq!(printed.status, Some(1), "no address, no id, no name: {printed:?}");
    let printed = export(&environment, &[&phone(0)[1..], "--json"]).await.json();
    assert_eq!(printed["conversations"][0]["turns"], document["conversations"][0]["turns"]);
    assert_eq!(printed["conversations"][0]["files"][0]["path"], Value::Null, "no file was written");
    assert!(printed["webhooks"].as_array().unwrap().len() >= webhooks.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_overwrites_nothing_and_leaves_nothing_half_done() {
    let (environment, _server) = with_two_contacts().await;
    let first = export(&environment, &[&phone(0)]).await;
    assert_eq!(first.status, Some(0), "{first:?}");
    let named = first.stdout.lines().next().unwrap().rsplit(' ').next().unwrap();
    assert!(named.starts_with("mynah-person-"), "{first:?}");
    let refused = export(&environment, &[&phone(0)]).await;
    assert!(refused.status == Some(1) && refused.stderr.contains("is not empty"), "{refused:?}");
    assert!(refused.stderr.contains("--output"), "{refused:?}");
    // A file that is lost is missing from the export, which says so.
    fs::remove_dir_all(environment.settings.folder.join("media")).unwrap();
    let without = export(&environment, &[&phone(0), "--output", "without", "--json"]).await.json();
    assert_eq!((&without["files"], &without["missing_files"]), (&0.into(), &1.into()));
    let nowhere = export(&environment, &[&phone(0), "--output", "no/such/folder"]).await;
    assert!(nowhere.status == Some(1) && nowhere.stderr.contains("no/such"), "{nowhere:?}");
    let left: Vec<_> = fs::read_dir(&environment.settings.folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".new"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_that_fits_nobody_or_several_people_is_refused() {
    let (environment, _server) = with_two_contacts().await;
    for (who, says) in [
        ("+12025559999", "nobody with the address +12025559999 is known"),
        ("0202 5550000", "the phone number has no country code"),
        ("Zoe", "nobody fits \"Zoe\""),
        ("beef", "no conversation has an id that begins or ends with beef"),
    ] {
        let refused = export(&environment, &[who]).await;
        assert!(refused.status == Some(1) && refused.stderr.contains(says), "{who}: {refused:?}");
    }
    // Both are called Ana.
    let refused = export(&environment, &["ana"]).await;
    assert!(refused.status == Some(1) && refused.stderr.contains("2 people fit \"ana\""), "{refused:?}");
    assert!(refused.stderr.contains(&phone(0)) && refused.stderr.contains(&phone(1)), "{refused:?}");
    let usage = export(&environment, &[]).await;
    assert_eq!(usage.status, Some(2), "{usage:?}");
}
