//! docs/operating.md: every command in it runs, in the order of the page, and does what the page says.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use axum::Router;

use crate::setup::answer_tally::phone;
use crate::setup::server_process::{CommandSettings, ServerProcess};
use crate::setup::test_environment::{ACCOUNT, OPENAI_KEY, OUR_NUMBER, TOKEN, TestEnvironment, serve};

const GUIDE: &str = include_str!("../../docs/operating.md");

/// The programs that the page runs beside mynah.
const OTHER_PROGRAMS: [&str; 5] = ["age-keygen", "cp", "curl", "ls", "rm"];

/// What some commands print, beginnings of commands first. A command that the page no longer has fails the test.
const EXPECTED: [(&str, &str); 16] = [
    ("mynah --version", "mynah "),
    ("mynah init", "/webhooks/twilio#ct="),
    ("mynah check", "round trip"),
    ("mynah send-test", "on the phone"),
    ("mynah conversations list", "Ana"),
    ("mynah conversations show", "re: "),
    ("mynah secret list", "OPENAI_API_KEY"),
    ("mynah settings list", "MYNAH_RATE_LIMIT"),
    ("mynah ai list", "local"),
    ("mynah number list", "sales"),
    ("mynah alert test", "slack"),
    ("curl -fsS http://127.0.0.1:8080/readyz", "\"ready\""),
    ("mynah schedule", "backup"),
    ("mynah backup", ", encrypted)"),
    ("mynah restore", "restored the backup of"),
    ("mynah conversations erase", "erased "),
];

/// The commands of the page's `sh` blocks. A line that ends with a backslash goes on in the next one.
fn commands() -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let (mut in_block, mut goes_on) = (false, false);
    for line in GUIDE.lines() {
        match line {
            "```sh" => in_block = true,
            "```" => in_block = false,
            line if in_block && !line.trim().is_empty() => {
                let words = line.strip_suffix('\\').unwrap_or(line).trim();
                match found.last_mut().filter(|_| goes_on) {
                    Some(begun) => *begun += &format!(" {words}"),
                    None => found.push(words.to_owned()),
                }
                goes_on = line.ends_with('\\');
            }
            _ => {}
        }
    }
    found
}

/// What a reader replaces, and what stands in for it here.
fn replacements(environment: &TestEnvironment, data: &Path) -> Vec<(&'static str, String)> {
    let folder = &environment.settings.folder;
    let value = |key: &str| environment.settings.get(key).expect("the test sets it").to_owned();
    let model = value("OPENAI_BASE_URL");
    vec![
        ("https://bot.example.org", value("MYNAH_PUBLIC_URL")),
        ("AC00000000000000000000000000000001", ACCOUNT.to_owned()),
        ("+14155550001", OUR_NUMBER.to_owned()),
        // OpenAI itself is not reached from a test.
        ("--ai-key-file key.txt", format!("--ai-key-file key.txt --ai-base-url {model} --ai-model test")),
        ("http://127.0.0.1:11434/v1", model),
        ("llama3.2", "test".to_owned()),
        ("http://127.0.0.1:8080", format!("http://127.0.0.1:{}", environment.settings.port)),
        ("/var/lib/mynah", data.display().to_string()),
        ("/mnt/usb/mynah", folder.join("usb").display().to_string()),
        ("+12025550100", phone(0)),
    ]
}

/// A machine on which nothing is set but where the stand-ins are.
fn bare_machine(environment: &TestEnvironment) -> CommandSettings {
    let keys = [
        "MYNAH_DATA_DIR",
        "MYNAH_PUBLIC_URL",
        "MYNAH_LOG",
        "MYNAH_BACKUP_EVERY",
        "TWILIO_ACCOUNT_SID",
        "TWILIO_AUTH_TOKEN",
        "TWILIO_WHATSAPP_FROM",
        "OPENAI_BASE_URL",
        "OPENAI_API_KEY",
        "MYNAH_AI_MODEL",
        "MYNAH_AI_CONCURRENCY",
    ];
    keys.into_iter().fold(environment.settings.clone(), CommandSettings::without)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_of_the_guide_runs_in_its_order() {
    let environment = TestEnvironment::new().await;
    let folder = environment.settings.folder.clone();
    let data = folder.join("data");
    let slack = serve(Router::new().fallback(|| async { "ok" })).await;
    for (name, content) in [
        ("token.txt", TOKEN),
        ("key.txt", OPENAI_KEY),
        ("new-key.txt", "sk-another-key"),
        ("password.txt", "correct horse battery"),
        ("slack-url.txt", &slack),
    ] {
        fs::write(folder.join(name), content).unwrap();
    }
    let replacements = replacements(&environment, &data);
    let mut settings = bare_machine(&environment);
    let mut server: Option<ServerProcess> = None;
    let mut expected: BTreeMap<_, _> = EXPECTED.into_iter().collect();
    let program = Path::new(env!("CARGO_BIN_EXE_mynah")).parent().unwrap().display().to_string();
    for command in commands() {
        let line = replacements.iter().fold(command.clone(), |line, (from, to)| line.replace(from, to));
        let first = line.split(' ').next().unwrap();
        if let Some((key, value)) = line.strip_prefix("export ").and_then(|pair| pair.split_once('=')) {
            settings = settings.with(key, value);
        } else if command == "mynah serve" {
            let mut started = ServerProcess::start(&settings).await;
            // Whoever reads the page writes to the number now.
            environment.contact_writes((0, 0)).await;
            environment.wait_until_all_answered_once(&mut started, 1, 1).await;
            server = Some(started);
        } else if first == "mynah" || OTHER_PROGRAMS.contains(&first) {
            let line = format!("PATH={program}:$PATH; {line}");
            let ran = settings.clone().wrapped_in(&["sh", "-ec", &line]).run(&[]).await;
            let log = server.as_ref().map(ServerProcess::log).unwrap_or_default();
            assert_eq!(ran.status, Some(0), "{command}\n{ran:?}\n{log}");
            let known = expected.keys().copied().find(|known| command.starts_with(known));
            if let Some(wanted) = known.and_then(|known| expected.remove(known)) {
                assert!(ran.stdout.contains(wanted), "{command} prints no {wanted:?}: {ran:?}");
            }
        } else {
            panic!("the test does not know how to run: {command}");
        }
    }
    assert!(expected.is_empty(), "not in the page: {expected:?}");

    // What the commands have done together.
    let said: Vec<_> =
        environment.sent_messages().into_iter().filter(|(_, text)| text.starts_with("This is Eva")).collect();
    assert_eq!(said.len(), 1, "{said:?}");
    assert_eq!(
        settings.run(&["conversations", "list", "--json"]).await.json(),
        serde_json::json!([]),
        "she was erased"
    );
    assert!(!data.join("backups").join("nothing").exists() && fs::read_dir(data.join("backups")).unwrap().count() == 1);
    let mut server = server.expect("the page starts it");
    server.signal("TERM");
    assert!(server.wait_for_exit().await.success(), "{}", server.log());
}

/// A page whose commands nobody finds proves nothing.
#[test]
fn the_commands_of_the_guide_are_found() {
    let commands = commands();
    assert!(commands.len() > 40 && commands.iter().any(|command| command == "mynah serve"), "{commands:?}");
}
