//! The log of the compiled program: ids on each line, priorities for the journal, and nothing about contacts.

use std::fs;

use mynah::simulator::InjectedFault;
use serde_json::Value;

use crate::setup::answer_tally::{marked_text, phone};
use crate::setup::server_process::{CommandSettings, ServerProcess};
use crate::setup::test_environment::{OPENAI_KEY, TOKEN, TestEnvironment};

/// The log after one message was answered and the server has stopped.
async fn log_of_an_answer(environment: &TestEnvironment, settings: &CommandSettings) -> String {
    let mut server = ServerProcess::start(settings).await;
    environment.contact_writes((0, 0)).await;
    environment.wait_until_all_answered_once(&mut server, 1, 1).await;
    environment.twilio.wait_until_idle().await;
    server.signal("TERM");
    server.wait_for_exit().await;
    server.log()
}

/// With the failpoints, the clock runs fast enough for the lookups.
#[cfg(feature = "failpoints")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn even_the_most_detailed_log_holds_no_number_no_words_and_no_secret() {
    let environment = TestEnvironment::new().await;
    let folder = environment.settings.folder.join("logs");
    let settings =
        environment.settings.clone().with("MYNAH_LOG", "trace").with("MYNAH_LOG_DIR", folder.to_str().expect("plain"));
    // The connection is cut, so that the message is looked up in Twilio's list by the contact's number.
    environment.twilio.fail_next(InjectedFault::Drop { created: false });
    let screen = log_of_an_answer(&environment, &settings).await;
    let file = fs::read_dir(&folder).expect("there is a folder").next().expect("and a file").expect("readable").path();
    let file = fs::read_to_string(file).expect("it is text");
    for text in [&screen, &file] {
        assert!(text.contains("five lookups did not find the part") && text.contains("TRACE"), "{text}");
        let number = phone(0);
        let words = marked_text((0, 0));
        for secret in
            [number.trim_start_matches('+'), words.as_str(), "is this it", "re: #0-0#", "Ana", OPENAI_KEY, TOKEN]
        {
            assert!(!text.contains(secret), "{secret} is in the log:\n{text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_line_about_a_turn_bears_the_ids_that_the_commands_print() {
    let environment = TestEnvironment::new().await;
    // The spans must be there whatever the filter lets through.
    let settings =
        environment.settings.clone().with("MYNAH_LOG_FORMAT", "json").with("MYNAH_LOG", "warn,mynah::web=info");
    environment.twilio.fail_next(InjectedFault::TooManyRequests { retry_after: None });
    let log = log_of_an_answer(&environment, &settings).await;
    let conversations = settings.run(&["conversations", "list", "--json"]).await.json();
    let conversation = conversations[0]["id"].as_str().expect("it has an id").to_owned();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect();
    let of = |message: &str| {
        let found = lines.iter().find(|line| line["message"].as_str().is_some_and(|text| text.starts_with(message)));
        &found.unwrap_or_else(|| panic!("no line says {message}:\n{log}"))["span"]
    };
    let accepted = of("a message was accepted");
    assert_eq!(accepted["name"], "webhook");
    for span in [accepted, of("the part was not sent")] {
        let ids = (&span["turn"], span["conversation"].as_str(), &span["channel"]);
        assert_eq!(ids, (&1.into(), Some(conversation.as_str()), &"twilio".into()), "{span}");
    }
}

/// As a unit of systemd: stderr is the stream that the variable names.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_journal_of_systemd_gets_the_priority_of_each_line() {
    let environment = TestEnvironment::new().await;
    let export = |stream: &str| format!("export JOURNAL_STREAM={stream}; exec \"$0\" \"$@\"");
    let own = export("$(stat -L -c %d:%i /proc/self/fd/2)");
    let journal = environment.settings.clone().wrapped_in(&["sh", "-c", &own]);
    let log = log_of_an_answer(&environment, &journal).await;
    assert!(log.lines().all(|line| line.starts_with("<6>") || line.starts_with("<4>")), "{log}");
    assert!(log.contains("<6> INFO webhook: ") && log.contains("a message was accepted"), "{log}");
    // The variable of somebody else's stream, as in a shell that a unit started.
    let environment = TestEnvironment::new().await;
    let other = environment.settings.clone().wrapped_in(&["sh", "-c", &export("1:2")]);
    let log = log_of_an_answer(&environment, &other).await;
    assert!(log.lines().all(|line| line.starts_with("20")), "each line begins with the time\n{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stored_filter_counts_while_the_server_runs() {
    let environment = TestEnvironment::new().await;
    let settings = environment.settings.clone().without("MYNAH_LOG");
    let mut server = ServerProcess::start(&settings).await;
    environment.contact_writes((0, 0)).await;
    environment.wait_until_all_answered_once(&mut server, 1, 1).await;
    assert!(!server.log().contains("DEBUG"), "{}", server.log());
    let stored = settings.run(&["settings", "set", "MYNAH_LOG", "info,[turn{turn=2}]=trace,hyper_util=off"]).await;
    assert_eq!(stored.status, Some(0), "{stored:?}");
    server.wait_for_log("the configuration was changed").await;
    environment.contact_writes((0, 1)).await;
    environment.wait_until_all_answered_once(&mut server, 1, 2).await;
    server.signal("TERM");
    server.wait_for_exit().await;
    let log = server.log();
    let details: Vec<_> = log.lines().filter(|line| line.contains(" DEBUG ") || line.contains(" TRACE ")).collect();
    assert!(!details.is_empty() && details.iter().all(|line| line.contains("turn=2")), "{log}");
}
