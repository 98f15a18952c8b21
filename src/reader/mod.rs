//! Reading what contacts attach, in a process of its own for each file.
//!
//! Limits of bytes do not bound what a file makes of a library: a few kilobytes can become gigabytes of objects, or hours of
//! work. An allocation that fails aborts the process, and no thread can be stopped. So our own executable is started for one
//! file, with nothing but its bytes (`child`), and ended when it takes too long.

mod child;

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use bytes::Bytes;
use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::sync::Semaphore;

pub use self::child::read_stdin;
use crate::media::document::DocumentText;
use crate::media::{FileKind, Image};

/// The command of our executable that reads a file.
pub const COMMAND: &str = "read-file";

/// Its flag that leaves pictures alone.
pub const NO_PICTURES: &str = "no-pictures";

/// Files that are read at once: a picture takes many times its size while it is scaled.
const MAX_CONCURRENT: usize = 2;

/// How long one file may take. The child's own limit of processor time is half of that, so that two may share a processor.
const READ_TIMEOUT: Duration = Duration::from_secs(40);

/// The most that a child answers, in bytes: a picture of the largest size that is shown takes a third of it.
const MAX_OUTPUT_BYTES: u64 = 8 << 20;

/// Starts the processes that read.
pub struct Reader {
    program: PathBuf,
    arguments: Vec<String>,
    permits: Semaphore,
}

/// What a file is, and what became of it.
#[derive(Debug)]
pub struct ReadOutcome {
    /// What it is by its content; unknown where even that could not be found out.
    pub kind: FileKind,
    /// What is in it. The error is a sentence for the operator.
    pub content: Result<Content, String>,
}

/// What is in a file.
#[derive(Debug)]
pub enum Content {
    /// A picture, made fit for a model.
    Picture(Image),
    /// A document's words.
    Text(DocumentText),
    /// Nothing that is read here, such as sound.
    Other,
}

/// What the child says of the content, before a picture's bytes.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ChildReport {
    Picture { kind: FileKind, width: u32, height: u32 },
    Text { text: String, truncated: bool },
    Other,
    Unreadable(String),
}

impl Reader {
    /// Of this process' own executable; on Linux also where an upgrade has put another file in its place.
    pub fn from_current_executable() -> io::Result<Reader> {
        let running = Path::new("/proc/self/exe");
        Ok(Reader::from_program(if running.exists() { running.to_owned() } else { std::env::current_exe()? }))
    }

    /// Of the executable at that path.
    pub fn from_program(program: PathBuf) -> Reader {
        Reader { program, arguments: vec![COMMAND.to_owned()], permits: Semaphore::new(MAX_CONCURRENT) }
    }

    /// Reads a file, once there is a place. `pictures`: whether those are made fit for a model. Whatever happens to the child,
    /// the file is one that cannot be read.
    pub async fn read(&self, bytes: &Bytes, pictures: bool) -> ReadOutcome {
        let _place = self.permits.acquire().await;
        let mut output = self.run_child(bytes, pictures).await;
        if output.as_ref().is_ok_and(|told| told.was_interrupted()) {
            // Who stops the service may signal all of its processes; the file is not to blame.
            output = self.run_child(bytes, pictures).await;
        }
        match output {
            Ok(told) => told.into_outcome(),
            Err(why) => ReadOutcome { kind: FileKind::Unknown, content: Err(why) },
        }
    }

    async fn run_child(&self, bytes: &Bytes, pictures: bool) -> Result<ChildOutput, String> {
        let mut command = Command::new(&self.program);
        command.arg0("mynah").args(&self.arguments);
        if !pictures {
            command.arg(format!("--{NO_PICTURES}"));
        }
        // Nothing of ours goes along: no secret, no setting. A signal of the terminal is not for it.
        command.env_clear().current_dir("/").process_group(0).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child =
            command.spawn().map_err(|error| format!("the process that reads files cannot start: {error}"))?;
        let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("the process that reads files has no pipes".to_owned());
        };
        let write = async {
            // One that has ended takes nothing; its status says why.
            drop(stdin.write_all(bytes).await);
            drop(stdin);
        };
        let mut output_bytes = Vec::new();
        let mut output = stdout.take(MAX_OUTPUT_BYTES + 1);
        let whole = tokio::time::timeout(READ_TIMEOUT, async {
            let ((), read) = tokio::join!(write, output.read_to_end(&mut output_bytes));
            read?;
            // Closes the pipe: one that would say more is not waited for.
            drop(output);
            child.wait().await
        });
        match whole.await {
            Ok(Ok(status)) => Ok(ChildOutput { stdout: output_bytes, exit_status: Some(status) }),
            Ok(Err(error)) => Err(format!("the process that reads files was lost: {error}")),
            Err(_) => Ok(ChildOutput { stdout: output_bytes, exit_status: None }),
        }
    }
}

/// What a child said, and how it ended; `None` where its time was over.
struct ChildOutput {
    stdout: Vec<u8>,
    exit_status: Option<ExitStatus>,
}

impl ChildOutput {
    fn was_interrupted(&self) -> bool {
        let signals = [Signal::TERM, Signal::INT, Signal::HUP].map(Signal::as_raw);
        self.exit_status.and_then(|status| status.signal()).is_some_and(|signal| signals.contains(&signal))
    }

    fn into_outcome(self) -> ReadOutcome {
        let (kind, rest) = split_json_line::<FileKind>(&self.stdout).unwrap_or((FileKind::Unknown, &[]));
        let content = match self.exit_status {
            None => Err("it takes too long to read".to_owned()),
            Some(status) if !status.success() => {
                Err(format!("it takes too much memory or time to read, or breaks what reads it ({status})"))
            }
            Some(_) if self.stdout.len() as u64 > MAX_OUTPUT_BYTES => Err("what was read of it has no end".to_owned()),
            Some(_) => parse_content(rest).unwrap_or_else(|| Err("what was read of it makes no sense".to_owned())),
        };
        ReadOutcome { kind, content }
    }
}

fn parse_content(said: &[u8]) -> Option<Result<Content, String>> {
    let (told, rest) = split_json_line::<ChildReport>(said)?;
    Some(Ok(match told {
        ChildReport::Unreadable(why) => return Some(Err(why)),
        ChildReport::Other => Content::Other,
        ChildReport::Text { text, truncated } => Content::Text(DocumentText { text, truncated }),
        ChildReport::Picture { kind, width, height } => {
            let bytes = Bytes::copy_from_slice(rest);
            Content::Picture(Image { media_type: kind.media_type(), bytes, width, height })
        }
    }))
}

/// A line of JSON, and what follows it.
fn split_json_line<T: for<'a> Deserialize<'a>>(said: &[u8]) -> Option<(T, &[u8])> {
    let end = said.iter().position(|byte| *byte == b'\n')?;
    Some((serde_json::from_slice(&said[..end]).ok()?, &said[end + 1..]))
}

#[cfg(test)]
mod tests;
