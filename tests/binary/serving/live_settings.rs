//! Settings that another process changes while `serve` runs.

use std::time::Instant;

use futures_util::future::join_all;

use crate::setup::server_process::ServerProcess;
use crate::setup::test_environment::TestEnvironment;
use crate::setup::wait::TEST_TIMEOUT;

/// How many new contacts write at once.
const CONTACTS: usize = 20;

/// What each of them writes.
const MESSAGES_PER_CONTACT: usize = 2;

/// How often new contacts write at least: a thousand messages in all.
const LEAST_ROUNDS: usize = 25;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_setting_that_changes_while_a_thousand_messages_flow_is_used_and_none_is_lost_or_answered_twice() {
    let environment = TestEnvironment::new().await;
    let mut server = ServerProcess::start(&environment.settings.clone().with("MYNAH_RATE_LIMIT", "0")).await;
    let mut round = 0;
    for colour in ["red", "green", "blue"] {
        let instructions = format!("Your favourite colour is {colour}.");
        let arguments = ["settings", "set", "MYNAH_SYSTEM_PROMPT", &instructions];
        let mut storing = Some(server.settings.run(&arguments));
        // Contacts go on writing until the model gets the new instructions.
        let began = Instant::now();
        loop {
            let contacts = round * CONTACTS..(round + 1) * CONTACTS;
            let all_write = join_all(contacts.map(async |contact| {
                for number in 0..MESSAGES_PER_CONTACT {
                    environment.contact_writes((contact, number)).await;
                }
            }));
            match storing.take() {
                Some(storing) => assert_eq!(tokio::join!(storing, all_write).0.status, Some(0)),
                None => drop(all_write.await),
            }
            round += 1;
            let asked = environment.model.instructions.lock().expect("no panic under this lock");
            let is_used = asked.last().is_some_and(|text| text.contains(&instructions));
            drop(asked);
            if is_used && (colour != "blue" || round >= LEAST_ROUNDS) {
                break;
            }
            assert!(began.elapsed() < TEST_TIMEOUT, "{instructions} is never used");
        }
    }
    environment.wait_until_all_answered_once(&mut server, round * CONTACTS, MESSAGES_PER_CONTACT).await;
    let asked = environment.model.instructions.lock().expect("no panic under this lock").clone();
    let first_blue = asked.iter().position(|text| text.contains("blue")).expect("it was used");
    // At most so many turns had begun (MYNAH_WORKERS).
    let mut later = asked.iter().skip(first_blue + 256);
    assert!(later.all(|text| text.contains("blue")), "only turns that had begun end with the setting before");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hang_up_has_the_file_read_again_and_a_broken_file_changes_nothing() {
    let environment = TestEnvironment::new().await;
    let file = environment.settings.folder.join("mynah.toml");
    std::fs::write(&file, "system_prompt = \"Speak like a sailor.\"\n").unwrap();
    let mut server = ServerProcess::start(&environment.settings).await;
    let last_instructions = || environment.model.instructions.lock().expect("no panic under this lock").last().cloned();
    environment.contact_writes((0, 0)).await;
    environment.wait_for_model_calls(1).await;
    assert!(last_instructions().unwrap().contains("sailor"));

    std::fs::write(&file, "system_prompt = \"Speak like a pilot.\"\nlisten = \"127.0.0.1:1\"\n").unwrap();
    server.signal("HUP");
    server.wait_for_log("the configuration was changed").await;
    environment.contact_writes((0, 1)).await;
    environment.wait_for_model_calls(2).await;
    assert!(last_instructions().unwrap().contains("pilot"));

    std::fs::write(&file, "sytem_prompt = \"Speak like a baker.\"\n").unwrap();
    server.signal("HUP");
    server.wait_for_log("expected system_prompt").await;
    let alerts = server.settings.clone().without("MYNAH_CONFIG").run(&["alert", "list"]).await;
    assert!(alerts.stderr.contains("expected system_prompt"), "a command needs a valid file: {alerts:?}");
    environment.contact_writes((0, 2)).await;
    environment.wait_for_model_calls(3).await;
    assert!(last_instructions().unwrap().contains("pilot"), "the configuration before stays in use");
    std::fs::remove_file(&file).unwrap();
    let alerts = server.settings.run(&["alert", "list"]).await;
    assert!(alerts.stdout.contains("configuration") && alerts.stdout.contains("system_prompt"), "{alerts:?}");
    environment.wait_until_all_answered_once(&mut server, 1, 3).await;
}
