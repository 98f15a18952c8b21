//! `mynah chat` with its input from a pipe.

use crate::setup::test_environment::TestEnvironment;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chat_prints_every_part_of_every_answer_in_order() {
    let environment = TestEnvironment::new().await;
    let paragraphs = ["first", "second", "third"].map(|word| format!("\n\n{}the {word} ends.", "word ".repeat(230)));
    *environment.model.answer_suffix.lock().unwrap() = paragraphs.concat();
    let chat = environment.settings.run_with_input(&["chat"], "#0-0# hello\n\n#0-1# and now?\n").await;
    assert_eq!(chat.status, Some(0), "{chat:?}");
    let order = ["re: #0-0#", "the first ends.", "the second ends.", "the third ends."];
    let again = ["re: #0-1#", "the first ends.", "the second ends.", "the third ends."];
    let mut rest = chat.stdout.as_str();
    for expected in [order, again].concat() {
        let Some((_, behind)) = rest.split_once(expected) else { panic!("{expected:?} is missing in {chat:?}") };
        rest = behind;
    }
    assert_eq!(chat.stdout.matches("the third ends.").count(), 2, "{chat:?}");
    assert_eq!(environment.sent_messages(), [], "it is played on a stage of its own");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chat_is_quiet_unless_a_log_is_asked_for() {
    let environment = TestEnvironment::new().await;
    let quiet = environment.settings.clone().without("MYNAH_LOG").run_with_input(&["chat"], "#0-0# hello\n").await;
    assert_eq!((quiet.status, quiet.stderr.as_str()), (Some(0), ""), "{quiet:?}");
    let asked = environment.settings.clone().with("MYNAH_LOG", "info").run_with_input(&["chat"], "#0-0# hello\n").await;
    assert!(asked.status == Some(0) && asked.stderr.contains("a message was accepted"), "{asked:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chat_goes_on_after_what_is_not_answered() {
    let environment = TestEnvironment::new().await;
    let chat = environment.settings.run_with_input(&["chat"], "/human\n#0-0# hello?\n#0-1# anybody?\n").await;
    assert_eq!(chat.status, Some(0), "{chat:?}");
    assert_eq!(chat.stdout.matches("(no answer; set MYNAH_LOG=info to see why)").count(), 2, "{chat:?}");
    assert!(!chat.stdout.contains("(no answer within "), "{chat:?}");
}
