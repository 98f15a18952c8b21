//! One standard for all commands: each has help with an example that works, `--json` if it reports something, and exit
//! status 2 for wrong usage. The tests walk the tree of commands, so that a new command is held to it too.

use std::collections::BTreeSet;
use std::process::Command as Shell;

use clap::{Command, CommandFactory};
use mynah::cli::Cli;

use crate::setup::answer_tally::phone;
use crate::setup::server_process::{CommandSettings, ServerProcess};
use crate::setup::test_environment::TestEnvironment;

/// Commands that report nothing: they run until they are stopped, or print something that has a form of its own.
const WITHOUT_JSON: [&str; 5] = ["serve", "demo", "chat", "completions", "man"];

/// Commands whose examples are run, because they change nothing and call nobody.
const HARMLESS: [&str; 12] = [
    "ai list",
    "alert list",
    "completions",
    "conversations list",
    "jobs list",
    "man",
    "migrate",
    "number list",
    "schedule",
    "secret list",
    "settings get",
    "settings list",
];

/// A command of the tree.
struct Entry {
    /// The words after `mynah`.
    path: Vec<String>,
    is_group: bool,
}

impl Entry {
    fn name(&self) -> String {
        self.path.join(" ")
    }

    fn arguments<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        self.path.iter().map(String::as_str).chain(more.iter().copied()).collect()
    }
}

/// Every command that `--help` shows, groups included.
fn all_commands() -> Vec<Entry> {
    fn add(command: &Command, path: &[String], all: &mut Vec<Entry>) {
        for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set() && inner.get_name() != "help") {
            let path = [path, &[inner.get_name().to_owned()]].concat();
            add(inner, &path, all);
            all.push(Entry { path, is_group: inner.has_subcommands() });
        }
    }
    let mut all = Vec::new();
    add(&Cli::command(), &[], &mut all);
    assert!(all.len() > 30, "the tree was walked");
    all
}

/// The examples of a help text: the lines below its heading that are commands of mynah, those that go on after a `\` as
/// one.
fn examples(help: &str) -> Vec<String> {
    let below = help.split_once("\nExample").map_or("", |(_, below)| below).replace("\\\n", " ");
    let lines = below.lines().filter_map(|line| line.strip_prefix("  "));
    lines.filter(|line| line.contains("mynah ")).map(str::to_owned).collect()
}

/// The arguments of the first `mynah` of an example, as a shell reads them.
fn arguments_of(example: &str) -> Vec<String> {
    let from = example.find("mynah ").expect("an example of mynah");
    let ends = [" | ", " < ", " > ", "; ", " && "];
    let end = ends.iter().filter_map(|end| example[from..].find(end)).min().unwrap_or(example.len() - from);
    let script = format!("mynah() {{ printf '%s\\0' \"$@\"; }}; {}", &example[from..from + end]);
    let output = Shell::new("sh").args(["-c", &script]).output().expect("there is a shell");
    assert!(output.status.success(), "{example}: {output:?}");
    let text = String::from_utf8(output.stdout).expect("it is UTF-8");
    text.split_terminator('\0').map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_has_help_with_an_example_that_is_right() {
    let environment = TestEnvironment::new().await;
    let mut missing = Vec::new();
    for entry in all_commands() {
        let (name, help) = (entry.name(), environment.settings.run(&entry.arguments(&["--help"])).await);
        assert_eq!(help.status, Some(0), "{name}: {help:?}");
        let examples = examples(&help.stdout);
        let own = format!("mynah {name}");
        if !examples.iter().any(|example| example.contains(&own)) {
            missing.push(format!(
                "`mynah {name} --help` shows no example: add #[command(after_help = \"Example:\\n  mynah {name} …\")]"
            ));
        }
        if !entry.is_group && !WITHOUT_JSON.contains(&name.as_str()) && !help.stdout.contains("--json") {
            missing.push(format!(
                "`mynah {name}` has no --json: add it, or list the command in WITHOUT_JSON if it reports nothing"
            ));
        }
        let (_, below) = help.stdout.split_once("\nExample").unwrap_or_default();
        for line in below.lines().filter(|line| line.contains("mynah ") && line.starts_with("  ") && line.len() > 80) {
            missing
                .push(format!("`mynah {name} --help`: an example is wider than a terminal, break it with \\: {line}"));
        }
        for example in examples {
            let arguments = arguments_of(&example);
            let parsed = Cli::command().try_get_matches_from(["mynah".to_owned()].into_iter().chain(arguments));
            if let Err(error) = parsed {
                missing.push(format!("the example `{example}` of `mynah {name} --help` is wrong usage: {error}"));
            }
        }
    }
    assert!(missing.is_empty(), "\n{}", missing.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_usage_of_every_command_ends_with_2_and_names_the_help() {
    let environment = TestEnvironment::new().await;
    for entry in all_commands() {
        let wrong: &[&[&str]] = if entry.is_group { &[&[], &["no-such-command"]] } else { &[&["--no-such-flag"]] };
        for more in wrong {
            let ran = environment.settings.run(&entry.arguments(more)).await;
            let says_how = ran.stderr.contains("--help") || ran.stderr.contains("Usage:");
            assert!(ran.status == Some(2) && says_how, "mynah {} {more:?}: {ran:?}", entry.name());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_harmless_examples_work_on_a_new_installation() {
    let environment = TestEnvironment::new().await;
    assert_eq!(environment.settings.run(&["migrate"]).await.status, Some(0));
    let set = ["settings", "set", "MYNAH_TYPING", "false"];
    assert_eq!(environment.settings.run(&set).await.status, Some(0));
    let mut ran_of = BTreeSet::new();
    for entry in all_commands().into_iter().filter(|entry| HARMLESS.contains(&entry.name().as_str())) {
        let help = environment.settings.run(&entry.arguments(&["--help"])).await;
        for example in examples(&help.stdout) {
            let arguments = arguments_of(&example);
            if !arguments.join(" ").starts_with(&entry.name()) {
                continue;
            }
            let arguments: Vec<_> =
                arguments.iter().map(|word| if word.starts_with("~/") { "man" } else { word }).collect();
            let ran = environment.settings.run(&arguments).await;
            assert!(ran.status == Some(0) && ran.stderr.is_empty(), "{example}: {ran:?}");
            if arguments.contains(&"--json") {
                serde_json::from_str::<serde_json::Value>(&ran.stdout)
                    .unwrap_or_else(|error| panic!("{example}: {error}: {ran:?}"));
            }
            assert!(!ran.stdout.is_empty() || arguments.contains(&"--dir"), "{example} says nothing: {ran:?}");
            ran_of.insert(entry.name());
        }
    }
    let expected: BTreeSet<_> = HARMLESS.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(ran_of, expected, "each has an example of its own");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_report_about_conversations_and_jobs_is_one_json_document() {
    let environment = TestEnvironment::new().await;
    let mut server = ServerProcess::start(&environment.settings).await;
    environment.contact_writes((0, 0)).await;
    environment.wait_until_all_answered_once(&mut server, 1, 1).await;
    let ana = &phone(0);
    for arguments in [
        &["conversations", "list"][..],
        &["conversations", "show", ana],
        &["conversations", "mode", ana, "human"],
        &["conversations", "mode", ana, "auto"],
        &["conversations", "block", ana],
        &["conversations", "unblock", ana],
        &["conversations", "say", ana, "hello"],
        &["conversations", "export", ana],
        &["conversations", "end", ana],
        &["conversations", "erase", ana, "--yes"],
        &["jobs", "list"],
        &["jobs", "list", "--state", "done"],
        &["alert", "list"],
        &["schedule"],
        &["cleanup"],
        &["migrate"],
        &["settings", "set", "MYNAH_TYPING", "false"],
        &["settings", "get", "MYNAH_TYPING"],
        &["settings", "list"],
        &["settings", "unset", "MYNAH_TYPING"],
        &["check", "--offline"],
    ] {
        let ran = environment.settings.run(&[arguments, &["--json"]].concat()).await;
        let document: Result<serde_json::Value, _> = serde_json::from_str(&ran.stdout);
        assert!(ran.status == Some(0) && document.is_ok(), "{arguments:?}: {ran:?}");
        assert!(!ran.stdout.contains('\u{1b}'), "{arguments:?} is in colour: {ran:?}");
    }
}

/// Runs a command on a terminal, as `script` makes one.
async fn on_a_terminal(settings: &CommandSettings, columns: u16, arguments: &[&str]) -> String {
    let script = format!("script -qec \"stty rows 24 cols {columns}; $0 $*\" /dev/null");
    let ran = settings.clone().wrapped_in(&["sh", "-c", &script]).run(arguments).await;
    assert_eq!(ran.status, Some(0), "{ran:?}");
    ran.stdout.replace('\r', "")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn colors_are_for_terminals_and_lines_fit_them() {
    let environment = TestEnvironment::new().await;
    assert_eq!(environment.settings.run(&["migrate"]).await.status, Some(0));
    let database = rusqlite::Connection::open(environment.settings.folder.join("mynah.db")).expect("it opens");
    let error = "the model refused the key: it is wrong, expired, or for another server than this one";
    let rows = "INSERT INTO contacts (id, name, created_at) VALUES (1, 'Ana', 0);
        INSERT INTO conversations (id, contact_id, channel, our_address, reply_to, started_at, last_inbound_at, mode)
        VALUES (x'019a3f000002700080000000fedcba98', 1, 'twilio', 'whatsapp:+1', 'whatsapp:+12025550101', 0, 0, 'human');
        INSERT INTO turns (id, conversation_id, state, created_at, error)
        VALUES (7, x'019a3f000002700080000000fedcba98', 'dead', 0, 'ERROR');
        INSERT INTO messages VALUES (x'019a3f000002700080000000fedcba99', x'019a3f000002700080000000fedcba98', 7, 'user',
            'hello', '{}', NULL, NULL, 0, NULL);
        INSERT INTO alerts (cause, subject, message, first_at, last_at, count)
        VALUES ('model', 'answers', 'ERROR', 0, 0, 12);";
    database.execute_batch(&rows.replace("ERROR", error)).expect("they are stored");
    let terminal = environment.settings.clone().with("TERM", "xterm");
    for list in ["jobs", "alert", "conversations"] {
        let arguments = [list, "list"];
        let piped = terminal.run(&arguments).await.stdout;
        assert!(!piped.contains('\u{1b}') && piped.lines().count() == 1, "one line for a program: {piped}");
        let shown = on_a_terminal(&terminal, 80, &arguments).await;
        let plain = on_a_terminal(&terminal.clone().with("NO_COLOR", "1"), 80, &arguments).await;
        assert!(!plain.contains('\u{1b}'), "{plain:?}");
        assert!(plain.lines().all(|line| line.chars().count() <= 80), "{plain}");
        assert_eq!(shown.contains('\u{1b}'), list != "alert", "{shown:?}");
    }
    let jobs = on_a_terminal(&terminal, 80, &["jobs", "list"]).await;
    assert!(jobs.contains("\u{1b}[31m") && jobs.contains("1970-01-01 00:00Z"), "{jobs:?}");
    let listed = on_a_terminal(&terminal, 80, &["conversations", "list"]).await;
    assert!(
        listed.starts_with("fedcba98  1970-01-01 00:00Z  +12025550101  "),
        "the end of an id is enough: {listed:?}"
    );
}
