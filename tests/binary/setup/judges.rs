//! Programs of others that judge what mynah sends: a mail server, and the published libraries for signed webhooks.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock};

use serde_json::Value;

const PYTHON_PACKAGES: [&str; 3] = ["aiosmtpd==1.4.6", "standardwebhooks==1.1.0", "trustme==1.2.1"];
const NODE_PACKAGE: &str = "standardwebhooks@1.1.1";

/// The folder with the installed packages. They are installed once for each build folder.
fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("judges-1");
        if folder.join("ready").exists() {
            return folder;
        }
        drop(std::fs::remove_dir_all(&folder));
        std::fs::create_dir_all(&folder).expect("the build folder can be written");
        let run = |command: &mut Command| {
            let output = command.current_dir(&folder).output().expect("tests/run installs python3-venv and npm");
            assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        };
        run(Command::new("python3").args(["-m", "venv", "python"]));
        run(Command::new("python/bin/pip").args(["install", "--quiet"]).args(PYTHON_PACKAGES));
        run(Command::new("npm").args(["install", "--silent", "--no-audit", "--no-fund", NODE_PACKAGE]));
        std::fs::write(folder.join("ready"), "").expect("the build folder can be written");
        folder
    })
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/binary/setup/judges").join(name)
}

/// Whether both libraries accept a webhook; what they say otherwise.
pub fn verify_webhook(secret: &str, headers: &Value, body: &str) -> Result<(), String> {
    let request = serde_json::json!({ "secret": secret, "headers": headers, "body": body }).to_string();
    let python = (folder().join("python/bin/python"), script("verify_webhook.py"));
    let node = (PathBuf::from("node"), script("verify_webhook.mjs"));
    for (program, script) in [python, node] {
        let mut child = Command::new(&program)
            .arg(script)
            .current_dir(folder())
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{}: {error}", program.display()))?;
        child.stdin.take().expect("it is piped").write_all(request.as_bytes()).map_err(|error| error.to_string())?;
        let output = child.wait_with_output().map_err(|error| error.to_string())?;
        if !output.status.success() {
            return Err(format!("{}: {}", program.display(), String::from_utf8_lossy(&output.stderr)));
        }
    }
    Ok(())
}

/// A mail server; killed when it is dropped.
pub struct MailServer {
    pub port: u16,
    /// The file with the certificate authority that it trusts.
    pub authority: PathBuf,
    messages: Arc<Mutex<Vec<Value>>>,
    child: Child,
    _folder: tempfile::TempDir,
}

impl MailServer {
    /// `mode`: `plain`, `starttls`, `tls`, or `refuse`, which takes no message.
    pub fn start(mode: &str) -> MailServer {
        let own = tempfile::tempdir().expect("a temporary folder");
        let authority = own.path().join("authority.pem");
        let mut child = Command::new(folder().join("python/bin/python"))
            .arg(script("smtp_server.py"))
            .arg(mode)
            .arg(&authority)
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let port = lines.next().expect("it prints its port").expect("UTF-8").parse().expect("a port");
        let messages = Arc::new(Mutex::new(Vec::new()));
        let taken = Arc::clone(&messages);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let message = serde_json::from_str(&line).expect("a document on each line");
                taken.lock().expect("no panic under this lock").push(message);
            }
        });
        MailServer { port, authority, messages, child, _folder: own }
    }

    /// The messages so far.
    pub fn messages(&self) -> Vec<Value> {
        self.messages.lock().expect("no panic under this lock").clone()
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
