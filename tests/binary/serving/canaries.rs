//! Secrets and phone numbers that are easy to recognize are planted, and searched for wherever they must not be.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::setup::answer_tally::{marked_text, phone};
use crate::setup::server_process::ServerProcess;
use crate::setup::test_environment::{ACCOUNT, TOKEN, TestEnvironment};
use crate::setup::wait::{TEST_TIMEOUT, wait_until};

/// The secrets by the names under which they are stored.
const SECRETS: [(&str, &str); 5] = [
    ("TWILIO_AUTH_TOKEN", TOKEN),
    ("TWILIO_AUTH_TOKEN_SECONDARY", "canaryTokenSecondary41"),
    ("OPENAI_API_KEY", "sk-canaryKey42"),
    ("MYNAH_AI_2_API_KEY", "sk-ant-canaryKey43"),
    ("MYNAH_METRICS_TOKEN", "canaryMetricsToken44"),
];

/// What the children of the process showed of themselves: their command lines and environments.
struct WatchedChildren {
    stop: Arc<AtomicBool>,
    seen: std::thread::JoinHandle<BTreeSet<String>>,
}

impl WatchedChildren {
    /// Looks at the children of this process without a pause, because each lives for milliseconds.
    fn of(pid: u32) -> WatchedChildren {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let seen = std::thread::spawn(move || {
            let mut seen = BTreeSet::new();
            while !stopped.load(Ordering::Relaxed) {
                let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
                for task in tasks {
                    let children = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
                    for child in children.split_whitespace() {
                        for file in ["cmdline", "environ"] {
                            let bytes = std::fs::read(format!("/proc/{child}/{file}")).unwrap_or_default();
                            seen.insert(format!("{file}: {}", String::from_utf8_lossy(&bytes)));
                        }
                    }
                }
            }
            seen
        });
        WatchedChildren { stop, seen }
    }

    fn finish(self) -> BTreeSet<String> {
        self.stop.store(true, Ordering::Relaxed);
        self.seen.join().expect("no panic")
    }
}

/// Every file below a folder, with its bytes.
fn files_below(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the folder is there").map(|entry| entry.expect("it can be listed")) {
        if entry.path().is_dir() {
            files.extend(files_below(&entry.path()));
        } else {
            files.push((entry.path().display().to_string(), std::fs::read(entry.path()).expect("it can be read")));
        }
    }
    files
}

fn assert_holds_none(place: &str, bytes: &[u8], canaries: &[String]) {
    for canary in canaries {
        let found = bytes.windows(canary.len()).any(|window| window == canary.as_bytes());
        assert!(!found, "{place} holds {canary}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_and_no_whole_phone_number_is_seen_where_it_does_not_belong() {
    let environment = TestEnvironment::new().await;
    let logs = environment.settings.folder.join("logs");
    let mut settings = environment.settings.clone();
    for (name, _) in SECRETS {
        settings = settings.without(name);
    }
    let settings = settings
        .with("MYNAH_LOG", "trace")
        .with("MYNAH_LOG_DIR", logs.to_str().expect("a plain name"))
        .with("MYNAH_AI_2_PROVIDER", "anthropic");
    // The secrets are still missing, which it says.
    assert_eq!(settings.run(&["init", "--offline", "--json"]).await.status, Some(1));
    for (name, value) in SECRETS {
        let stored = settings.run_with_input(&["secret", "set", name], value).await;
        assert_eq!(stored.status, Some(0), "{stored:?}");
    }
    let mut server = ServerProcess::start(&settings).await;
    let watched = WatchedChildren::of(server.pid());

    // The main path: messages, files, refused webhooks, a setting that changes, commands.
    let mut number = 0;
    for contact in 0..5 {
        environment.contact_writes((contact, 0)).await;
    }
    loop {
        let sid = environment.twilio.add_inbound(&phone(6), &marked_text((6, number)));
        let mut params = environment.twilio.inbound_params(&sid, &phone(6), "Ana", &marked_text((6, number)));
        params.retain(|(name, _)| name != "NumMedia");
        let file =
            format!("{}/2010-04-01/Accounts/{ACCOUNT}/Messages/{sid}/Media/ME{number}", environment.twilio_api_url);
        for (name, value) in [("NumMedia", "1"), ("MediaUrl0", &file), ("MediaContentType0", "text/csv")] {
            params.push((name.to_owned(), value.to_owned()));
        }
        assert_eq!(environment.twilio.post_webhook(params, &sid).await.expect("an answer").status, 200);
        number += 1;
        if number >= 5 {
            break;
        }
    }
    assert_eq!(
        server.submit("/webhooks/twilio", &[("Body", "forged"), ("From", "whatsapp:+12025559999")]).await.0,
        403
    );
    let changed = settings.run(&["settings", "set", "MYNAH_TYPING", "false"]).await;
    assert_eq!(changed.status, Some(0), "{changed:?}");
    wait_until("all is answered", TEST_TIMEOUT, || async {
        let jobs = settings.run(&["jobs", "list", "--json"]).await.json();
        (jobs == serde_json::json!([]) && environment.sent_messages().len() >= 6).then_some(())
    })
    .await;
    server.wait_for_log("the configuration was changed").await;
    let mut answers = Vec::new();
    for path in ["/", "/healthz", "/readyz", "/metrics", "/webhooks/twilio", "/media/x"] {
        answers.push(format!("{path}: {:?}", server.get(path).await));
    }
    let mut shown = Vec::new();
    let made = settings.run(&["backup", "canary.tar", "--json"]).await;
    shown.push(format!("backup: {} {}", made.stdout, made.stderr));
    let commands: [&[&str]; 7] = [
        &["check", "--json"],
        &["settings", "list"],
        &["secret", "list"],
        &["ai", "list"],
        &["alert", "list"],
        &["jobs", "list", "--json"],
        &["schedule"],
    ];
    for arguments in commands {
        let ran = settings.run(arguments).await;
        shown.push(format!("{arguments:?}: {} {}", ran.stdout, ran.stderr));
    }
    let own = std::fs::read(format!("/proc/{}/cmdline", server.pid())).expect("it runs");
    let children = watched.finish();
    assert!(children.iter().any(|child| child.contains("read-file")), "a file was read: {children:?}");
    server.signal("TERM");
    server.wait_for_exit().await;

    let secrets: Vec<String> = SECRETS.iter().map(|(_, value)| (*value).to_owned()).collect();
    let phones: Vec<String> =
        (0..7).map(|contact| phone(contact)[1..].to_owned()).chain(["12025559999".into()]).collect();
    let both: Vec<String> = secrets.iter().chain(&phones).cloned().collect();
    assert_holds_none("the log", server.log().as_bytes(), &both);
    assert_holds_none("its standard output", server.stdout().as_bytes(), &both);
    assert_holds_none("its command line", &own, &both);
    for child in &children {
        assert_holds_none(&format!("a child ({child})"), child.as_bytes(), &both);
    }
    for answer in &answers {
        assert_holds_none(&format!("an answer ({answer})"), answer.as_bytes(), &both);
    }
    for text in &shown {
        assert_holds_none(&format!("a command ({text})"), text.as_bytes(), &both);
    }
    let files = files_below(&settings.folder);
    let logged: Vec<_> = files.iter().filter(|(path, _)| path.contains("/logs/")).collect();
    assert!(!logged.is_empty() && logged.iter().any(|(_, bytes)| !bytes.is_empty()), "there are log files");
    for (path, bytes) in logged {
        assert_holds_none(path, bytes, &both);
    }
    // The database holds the conversations, and with them the phone numbers.
    for (path, bytes) in &files {
        assert_holds_none(path, bytes, &secrets);
    }
    for holds_conversations in ["mynah.db", "canary.tar"] {
        let file = files.iter().find(|(path, _)| path.ends_with(holds_conversations)).expect(holds_conversations);
        let phone = phones[0].as_bytes();
        let found = file.1.windows(phone.len()).any(|window| window == phone);
        assert!(found, "what is searched for can be found in {holds_conversations}");
    }
}
