//! Many messages, many kills.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::setup::answer_tally::AnswerTally;
use crate::setup::server_process::ServerProcess;
use crate::setup::test_environment::TestEnvironment;
use crate::setup::wait::{SeededRandom, TEST_TIMEOUT, env_number, wait_until};

/// Messages of one sender.
const MESSAGES_PER_SENDER: usize = 10;

/// Webhooks in flight at once.
const WEBHOOKS_IN_FLIGHT: usize = 64;

/// The longest that the model takes, in milliseconds.
const MAX_MODEL_DELAY_MS: u64 = 30;

/// The longest time from the message at which a kill was planned to the kill, in milliseconds.
const MAX_KILL_DELAY_MS: u64 = 100;

/// `MYNAH_MESSAGES` messages, `MYNAH_KILLS` kills; `MYNAH_SEED` repeats a run's plan.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_messages_and_thirty_kills_lose_double_and_misorder_nothing() {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let seed = env_number("MYNAH_SEED", now.as_secs());
    let (messages, kills) = (env_number("MYNAH_MESSAGES", 10_000), env_number("MYNAH_KILLS", 30));
    let senders = usize::try_from(messages).unwrap().div_ceil(MESSAGES_PER_SENDER);
    println!("MYNAH_SEED={seed} MYNAH_MESSAGES={messages} MYNAH_KILLS={kills}");
    let mut random = SeededRandom(seed);
    let began = Instant::now();

    let environment = Arc::new(TestEnvironment::with_seed(seed).await);
    environment.model.max_delay_ms.store(MAX_MODEL_DELAY_MS, Ordering::Relaxed);
    let settings = environment.settings.clone().with("MYNAH_LOG", "warn").with("MYNAH_TYPING", "false");
    let mut server = ServerProcess::start(&settings).await;
    let acked = Arc::new(AtomicUsize::new(0));
    let next = Arc::new(AtomicUsize::new(0));
    let mut talk = tokio::task::JoinSet::new();
    for _ in 0..WEBHOOKS_IN_FLIGHT {
        let (environment, acked, next) = (Arc::clone(&environment), Arc::clone(&acked), Arc::clone(&next));
        talk.spawn(async move {
            loop {
                let sender = next.fetch_add(1, Ordering::Relaxed);
                if sender >= senders {
                    return;
                }
                for number in 0..MESSAGES_PER_SENDER {
                    environment.contact_writes_unlisted((sender, number)).await;
                    acked.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
    }

    // Each kill comes after a random message, and a random while later: also while it starts, where two lie close.
    let mut plan: Vec<u64> = (0..kills).map(|_| random.below(messages)).collect();
    plan.sort_unstable();
    for after in plan {
        wait_until("the next kill's message", TEST_TIMEOUT, || async {
            (acked.load(Ordering::Relaxed) as u64 >= after).then_some(())
        })
        .await;
        tokio::time::sleep(Duration::from_millis(random.below(MAX_KILL_DELAY_MS))).await;
        let status = server.kill9().await;
        assert!(ServerProcess::was_killed(status), "it ended by itself: {status}\n{}", server.log());
        server.relaunch(&settings);
    }
    let killed = began.elapsed();
    talk.join_all().await;
    let said = began.elapsed();
    wait_until("all is worked off", TEST_TIMEOUT * 2, || async {
        let jobs = settings.run(&["jobs", "list", "--json"]).await.json();
        let waits = jobs.as_array().unwrap().iter().any(|job| job["state"] != "dead" && job["state"] != "expired");
        (!waits).then_some(())
    })
    .await;
    println!("last kill after {killed:.1?}, last message after {said:.1?}, all answered after {:.1?}", began.elapsed());
    println!("{} replies to {messages} messages", environment.sent_messages().len());
    let jobs = settings.run(&["jobs", "list", "--json"]).await.json();
    let tally = environment.tally(senders, MESSAGES_PER_SENDER);
    let log = server.log();
    let end: Vec<_> = log.lines().rev().take(40).collect();
    assert_eq!((&tally, &jobs), (&AnswerTally::default(), &json!([])), "seed {seed}: {tally}; {jobs:#}\n{end:#?}");
}
