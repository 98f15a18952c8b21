//! `mynah demo`, as a newcomer meets it.

use crate::setup::server_process::{ServerProcess, free_port};
use crate::setup::test_environment::TestEnvironment;
use crate::setup::wait::{TEST_TIMEOUT, wait_until};

/// The page, once it contains `text`.
async fn wait_until_page_shows(server: &ServerProcess, text: &str) -> String {
    wait_until(&format!("the phone shows {text:?}"), TEST_TIMEOUT, || async {
        server.get("/").await.filter(|(_, page)| page.contains(text)).map(|(_, page)| page)
    })
    .await
}

/// What it prints at its start, to the last line.
async fn wait_until_introduced(server: &mut ServerProcess) -> String {
    server.wait_until_ready().await;
    wait_until("it has introduced itself", TEST_TIMEOUT, || async {
        Some(server.stdout()).filter(|out| out.contains("Press Ctrl+C to end the demo"))
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_demo_needs_nothing_and_its_phone_answers() {
    let environment = TestEnvironment::new().await;
    let folder = environment.settings.folder.to_str().unwrap();
    let bare = environment.settings.clone().without_settings().with("TMPDIR", folder);
    let mut server = ServerProcess::launch_as(&bare, &["demo", "--listen", &format!("127.0.0.1:{}", bare.port)]);
    let out = wait_until_introduced(&mut server).await;
    assert!(out.contains(&format!("    {}", server.url("/"))), "{out}");
    assert!(server.get("/").await.unwrap().1.contains("Blue Door Bakery"));
    assert_eq!(server.submit("/send", &[("text", "How do I order a birthday cake?")]).await, (303, "/".to_owned()));
    let page = wait_until_page_shows(&server, "We confirm within a day").await;
    assert!(page.contains("How do I order a birthday cake?"), "{page}");
    server.signal("INT");
    assert_eq!(server.wait_for_exit().await.code(), Some(0), "{}", server.log());
    assert_eq!(std::fs::read_dir(&bare.folder).unwrap().count(), 0, "nothing is kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_demo_starts_where_much_is_set_already_and_says_who_answers() {
    let environment = TestEnvironment::new().await;
    let much = environment
        .settings
        .clone()
        .without("MYNAH_AI_MODEL")
        .with("ANTHROPIC_API_KEY", "sk-ant-of-the-test")
        .with("DATABASE_URL", "postgres://app@db.example/of_something_else")
        .with("TWILIO_ACCOUNT_SID", "not an account")
        .with("MYNAH_LISTEN", &format!("0.0.0.0:{}", environment.settings.port));
    let mut server = ServerProcess::launch_as(&much, &["demo"]);
    let out = wait_until_introduced(&mut server).await;
    assert!(out.contains(&format!("    {}", server.url("/"))), "an address to click on: {out}");
    assert!(out.contains("Answers come from: openai house-model\n"), "the first model that the server lists: {out}");
    assert!(out.contains("both OpenAI and Anthropic") && out.contains("MYNAH_AI_PROVIDER"), "{out}");
    assert_eq!(server.submit("/send", &[("text", "#0-0# hello")]).await.0, 303);
    wait_until_page_shows(&server, "re: #0-0#").await;
    server.signal("TERM");
    assert_eq!(server.wait_for_exit().await.code(), Some(0), "{}", server.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_demo_whose_server_names_no_model_says_what_to_set() {
    let environment = TestEnvironment::new().await;
    let nobody = format!("http://127.0.0.1:{}/v1", free_port());
    let settings = environment.settings.clone().without("MYNAH_AI_MODEL").with("OPENAI_BASE_URL", &nobody);
    let ran = settings.run(&["demo"]).await;
    assert_eq!(ran.status, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("found no model") && ran.stderr.contains("MYNAH_AI_MODEL"), "{ran:?}");
}
