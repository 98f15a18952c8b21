//! A disk that is full, and is not any more. A limit on the size of files stands in for it: it needs no root, and the
//! database meets the same failed writes.

use std::process::Command;
use std::time::Instant;

use serde_json::Value;

use crate::setup::answer_tally::{marked_text, phone};
use crate::setup::server_process::ServerProcess;
use crate::setup::test_environment::TestEnvironment;
use crate::setup::wait::{TEST_TIMEOUT, wait_until};

/// The shell counts in blocks of 512 bytes. The signal that comes with the limit would end the program; ignored, the
/// write fails instead.
const LIMITED: [&str; 3] = ["sh", "-c", "trap '' XFSZ; ulimit -S -f 1024; exec \"$0\" \"$@\""];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_full_disk_nothing_is_acknowledged_that_is_not_stored_and_it_goes_on_by_itself() {
    let environment = TestEnvironment::new().await;
    // The model reads all of the long messages that fill the disk.
    let settings = environment.settings.clone().with("MYNAH_AI_CONTEXT_TOKENS", "1000000");
    let mut server = ServerProcess::start(&settings.wrapped_in(&LIMITED)).await;
    let mut filler = 20_000;
    let began = Instant::now();
    let mut number = 0;
    let mut sid = environment.twilio.add_inbound(&phone(0), &marked_text((0, number)));
    // When a message no longer fits, a smaller one is tried, until nothing fits. A write of the worker that still fits
    // makes it ready once more; then there is still room to fill.
    loop {
        let text = format!("{} {}", marked_text((0, number)), "x".repeat(filler));
        let params = environment.twilio.inbound_params(&sid, &phone(0), "Ana", &text);
        match environment.twilio.post_webhook(params, &sid).await.unwrap().status {
            200 => {
                number += 1;
                sid = environment.twilio.add_inbound(&phone(0), &marked_text((0, number)));
            }
            503 if filler > 0 => filler /= 8,
            503 => {
                let (status, body) = server.get("/readyz").await.unwrap();
                let ready: Value = serde_json::from_str(&body).unwrap();
                if (status, &ready["status"]) == (503, &"degraded".into()) {
                    break;
                }
                assert_eq!((status, &ready["status"]), (200, &"ready".into()), "{ready}");
            }
            other => panic!("{other}\n{}", server.log()),
        }
        assert!(began.elapsed() < TEST_TIMEOUT, "the disk was never full, or it never said so");
    }
    assert_eq!(server.get("/healthz").await.unwrap().0, 200);
    let pid = server.pid().to_string();
    let freed = Command::new("prlimit").args(["--pid", &pid, "--fsize=unlimited:"]).status().unwrap();
    assert!(freed.success());
    // No contact writes in the meantime: mynah notices by itself.
    wait_until("it is ready again", TEST_TIMEOUT, || async { (server.get("/readyz").await?.0 == 200).then_some(()) })
        .await;
    let params = environment.twilio.inbound_params(&sid, &phone(0), "Ana", &marked_text((0, number)));
    assert_eq!(environment.twilio.post_webhook(params, &sid).await.unwrap().status, 200);
    environment.wait_until_all_answered_once(&mut server, 1, number + 1).await;
}
