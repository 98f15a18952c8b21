//! The program as a process: started on a port and a folder of its own, killed when the test drops it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use crate::setup::wait::{TEST_TIMEOUT, wait_until};

/// How fast the program's clock runs: the lookups at 2, 5, 15, 40 and 90 s pass within seconds.
pub const CLOCK_SPEED: u32 = if cfg!(feature = "failpoints") { 60 } else { 1 };

/// What a command of the program is run with. The environment holds nothing else.
#[derive(Clone, Debug)]
pub struct CommandSettings {
    /// The data folder, and where commands run.
    pub folder: PathBuf,
    /// Where `serve` listens.
    pub port: u16,
    env: BTreeMap<String, String>,
    /// Arguments before the program's own, such as those of a shell that sets a limit.
    wrapper: Vec<String>,
}

impl CommandSettings {
    pub fn new(folder: &Path, port: u16) -> CommandSettings {
        let settings = CommandSettings { folder: folder.to_owned(), port, env: BTreeMap::new(), wrapper: Vec::new() };
        settings
            .with("MYNAH_DATA_DIR", folder.to_str().expect("temporary folders have plain names"))
            .with("MYNAH_LISTEN", &format!("127.0.0.1:{port}"))
            .with("MYNAH_PUBLIC_URL", &format!("http://127.0.0.1:{port}"))
            .with("MYNAH_LOG", "info")
            .with("MYNAH_TEST_CLOCK_SPEED", &CLOCK_SPEED.to_string())
            // Only the tests of backups want them.
            .with("MYNAH_BACKUP_EVERY", "0")
            // The disk of the machine that runs the tests may be nearly full, which is an alert.
            .with("MYNAH_TEST_FREE_BYTES", "100000000000")
    }

    pub fn with(mut self, key: &str, value: &str) -> CommandSettings {
        self.env.insert(key.into(), value.into());
        self
    }

    /// The value of a setting.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.env.get(key).map(String::as_str)
    }

    pub fn without(mut self, key: &str) -> CommandSettings {
        self.env.remove(key);
        self
    }

    /// Removes every setting.
    pub fn without_settings(mut self) -> CommandSettings {
        self.env.clear();
        self
    }

    /// Started by this command, to which the program's path and arguments are appended.
    pub fn wrapped_in(mut self, words: &[&str]) -> CommandSettings {
        self.wrapper = words.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let program = env!("CARGO_BIN_EXE_mynah");
        let mut command = match self.wrapper.split_first() {
            None => Command::new(program),
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(program);
                command
            }
        };
        command.args(arguments).env_clear().envs(&self.env).current_dir(&self.folder).stdin(Stdio::null());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command
    }

    /// Runs a command to its end.
    pub async fn run(&self, arguments: &[&str]) -> CommandOutput {
        self.run_with_input(arguments, "").await
    }

    /// The same with `input` on its stdin.
    pub async fn run_with_input(&self, arguments: &[&str], input: &str) -> CommandOutput {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let (mut stdin, input) = (child.stdin.take().expect("it is piped"), input.to_owned());
        let output = tokio::task::spawn_blocking(move || {
            // A command that reads nothing may have ended before this.
            drop(stdin.write_all(input.as_bytes()));
            drop(stdin);
            child.wait_with_output()
        });
        let output = output.await.expect("no panic").expect("its output is read");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("what is printed is UTF-8");
        CommandOutput { status: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

/// A command that has ended.
#[derive(Debug)]
pub struct CommandOutput {
    /// `None` where a signal ended it.
    pub status: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl CommandOutput {
    /// What it printed with `--json`.
    pub fn json(&self) -> serde_json::Value {
        assert_eq!(self.status, Some(0), "{self:?}");
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// A free port below those that the system hands to outgoing connections, so that no other program takes it between two
/// starts.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = u16::try_from(std::process::id() % 1000).expect("below a thousand") * 10;
    loop {
        let port = 20_000 + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A `mynah serve`, or another command that serves.
pub struct ServerProcess {
    pub settings: CommandSettings,
    arguments: Vec<String>,
    child: Child,
    out: Arc<Mutex<String>>,
    log: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
}

impl ServerProcess {
    /// Starts it and waits until it serves.
    pub async fn start(settings: &CommandSettings) -> ServerProcess {
        let mut server = ServerProcess::launch(settings);
        server.wait_until_ready().await;
        server
    }

    /// Starts it and waits for nothing.
    pub fn launch(settings: &CommandSettings) -> ServerProcess {
        ServerProcess::launch_as(settings, &["serve"])
    }

    /// The same with another command.
    pub fn launch_as(settings: &CommandSettings, arguments: &[&str]) -> ServerProcess {
        let (out, log) = (Arc::default(), Arc::default());
        let (child, readers) = spawn_program(settings, arguments, &out, &log);
        let arguments = arguments.iter().map(|word| (*word).to_owned()).collect();
        ServerProcess { settings: settings.clone(), arguments, child, out, log, readers }
    }

    /// Waits until it serves. Panics if it ends instead.
    pub async fn wait_until_ready(&mut self) {
        assert!(self.wait_until_ready_or_ended().await, "it ended at its start:\n{}", self.log());
    }

    /// Whether it came to serve; `false`: it ended before.
    pub async fn wait_until_ready_or_ended(&mut self) -> bool {
        let url = self.url("/healthz");
        wait_until("the server serves", TEST_TIMEOUT, || {
            let dead = self.exit_status().is_some();
            let asked = get(url.clone());
            async move {
                match asked.await {
                    _ if dead => Some(false),
                    Some((200, text)) if text == "ok\n" => Some(true),
                    _ => None,
                }
            }
        })
        .await
    }

    /// Waits until its log contains this text.
    pub async fn wait_for_log(&self, text: &str) {
        wait_until(text, TEST_TIMEOUT, || async { self.log().contains(text).then_some(()) }).await;
    }

    /// The same program on the same folder and port, with these settings from now on. The one before has ended.
    pub async fn restart(&mut self, settings: &CommandSettings) {
        self.relaunch(settings);
        self.wait_until_ready().await;
    }

    /// As [`ServerProcess::restart`], and waits for nothing.
    pub fn relaunch(&mut self, settings: &CommandSettings) {
        assert!(self.exit_status().is_some(), "it still runs");
        self.finish_reading_output();
        let arguments: Vec<_> = self.arguments.iter().map(String::as_str).collect();
        let (child, readers) = spawn_program(settings, &arguments, &self.out, &self.log);
        (self.child, self.readers, self.settings) = (child, readers, settings.clone());
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.settings.port)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Posts a form as a browser does that has the page open; the status and where it is sent to.
    pub async fn submit(&self, path: &str, fields: &[(&str, &str)]) -> (u16, String) {
        let client = mynah::http::client(TEST_TIMEOUT, TEST_TIMEOUT, mynah::http::AllowedTargets::Any);
        let response = client.post(self.url(path)).form(fields).send().await.expect("an answer");
        let to = response.headers().get("location").and_then(|to| to.to_str().ok()).unwrap_or_default();
        (response.status().as_u16(), to.to_owned())
    }

    /// Status and body of a GET; `None` without an answer.
    pub async fn get(&self, path: &str) -> Option<(u16, String)> {
        get(self.url(path)).await
    }

    /// Ends it as a power cut does.
    pub async fn kill9(&mut self) -> ExitStatus {
        self.child.kill().expect("it is ours to kill");
        self.wait_for_exit().await
    }

    /// Asks it to end, as systemd does (`TERM`) or a terminal (`INT`).
    pub fn signal(&self, name: &str) {
        let line = format!("kill -s {name} {}", self.pid());
        let sent = Command::new("sh").args(["-c", &line]).status();
        assert!(sent.expect("there is a shell").success());
    }

    /// How it ended, if it has.
    pub fn exit_status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("it is our child")
    }

    /// Waits for its end.
    pub async fn wait_for_exit(&mut self) -> ExitStatus {
        let status = wait_until("the server ends", TEST_TIMEOUT, || {
            let ended = self.exit_status();
            async move { ended }
        })
        .await;
        self.finish_reading_output();
        status
    }

    /// Waits until it has died of an abort.
    #[cfg(feature = "failpoints")]
    pub async fn wait_for_abort(&mut self) {
        const SIGABRT: i32 = 6;
        let status = self.wait_for_exit().await;
        assert_eq!(status.signal(), Some(SIGABRT), "{status}\n{}", self.log());
    }

    /// What it wrote on stderr, those before it on this folder included.
    pub fn log(&self) -> String {
        self.log.lock().expect("no panic under this lock").clone()
    }

    /// What it wrote on stdout.
    pub fn stdout(&self) -> String {
        self.out.lock().expect("no panic under this lock").clone()
    }

    /// Whether SIGKILL ended it; for tests that know.
    pub fn was_killed(status: ExitStatus) -> bool {
        const SIGKILL: i32 = 9;
        status.signal() == Some(SIGKILL)
    }

    /// Waits for the last line of a process that has ended.
    fn finish_reading_output(&mut self) {
        for reader in self.readers.drain(..) {
            reader.join().expect("it is read to its end");
        }
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

type SharedText = Arc<Mutex<String>>;

fn spawn_program(
    settings: &CommandSettings,
    arguments: &[&str],
    out: &SharedText,
    log: &SharedText,
) -> (Child, Vec<JoinHandle<()>>) {
    let mut command = settings.command(arguments);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    let stdout = child.stdout.take().expect("it is piped");
    let stderr = child.stderr.take().expect("it is piped");
    let readers = vec![collect_lines(stdout, Arc::clone(out)), collect_lines(stderr, Arc::clone(log))];
    (child, readers)
}

fn collect_lines(from: impl Read + Send + 'static, text: SharedText) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut lines = BufReader::new(from);
        let mut line = String::new();
        while matches!(lines.read_line(&mut line), Ok(1..)) {
            text.lock().expect("no panic under this lock").push_str(&line);
            line.clear();
        }
    })
}

/// Status and body; `None` without an answer. Each on a connection of its own.
async fn get(url: String) -> Option<(u16, String)> {
    let client = mynah::http::client(TEST_TIMEOUT, TEST_TIMEOUT, mynah::http::AllowedTargets::Any);
    let response = client.get(url).send().await.ok()?;
    let status = response.status().as_u16();
    let body = mynah::http::read_body(response, 1 << 20).await.ok()?;
    Some((status, String::from_utf8_lossy(&body).into_owned()))
}
