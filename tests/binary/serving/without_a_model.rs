//! Before a model is configured.

use serde_json::Value;

use crate::setup::server_process::ServerProcess;
use crate::setup::test_environment::TestEnvironment;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_model_messages_are_accepted_and_answered_once_there_is_one() {
    let environment = TestEnvironment::new().await;
    let unconfigured =
        environment.settings.clone().without("OPENAI_BASE_URL").without("OPENAI_API_KEY").without("MYNAH_AI_MODEL");
    let mut server = ServerProcess::start(&unconfigured).await;
    environment.contact_writes((0, 0)).await;
    environment.contact_writes((0, 1)).await;
    environment.contact_writes((1, 0)).await;
    environment.contact_writes((1, 1)).await;
    let (status, body) = server.get("/readyz").await.unwrap();
    let ready: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &ready["configured"], &ready["queue"]["waiting"]), (200, &false.into(), &2.into()), "{ready}");
    assert!(ready["ai"].as_str().unwrap().contains("OPENAI_API_KEY"), "{ready}");
    server.signal("TERM");
    assert_eq!(server.wait_for_exit().await.code(), Some(0));
    let log = server.log();
    assert!(log.contains("no model is configured") && log.contains("MYNAH_AI_PROVIDER"), "{log}");
    assert_eq!(environment.sent_messages(), []);
    server.restart(&environment.settings).await;
    environment.wait_until_all_answered_once(&mut server, 2, 2).await;
}
