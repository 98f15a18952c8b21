//! Reads attachments, each in a separate process.
//!
//! A limit on the size of a file does not limit the work: a few kilobytes can become gigabytes of objects or hours of
//! work in a library. A failed allocation aborts the process, and a thread cannot be stopped. So mynah starts its own
//! executable for each file, passes it only the bytes of the file (`child`), and kills it if it takes too long.

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

/// The flag of that command that leaves pictures unchanged.
pub const NO_PICTURES: &str = "no-pictures";

/// How many files are read at once. Scaling a picture takes many times its size in memory.
const MAX_CONCURRENT: usize = 2;

/// How long one file may take. The child's limit of processor time is half of this, so that two can share a processor.
const READ_TIMEOUT: Duration = Duration::from_secs(40);

/// The largest output of a child, in bytes. The largest picture that a model is shown takes a third of it.
const MAX_OUTPUT_BYTES: u64 = 8 << 20;

/// Starts the processes that read files.
pub struct FileReader {
    program: PathBuf,
    arguments: Vec<String>,
    permits: Semaphore,
}

/// What kind of file it is, and its content.
#[derive(Debug)]
pub struct ReadOutcome {
    /// The kind, detected from the bytes. Unknown if even that failed.
    pub kind: FileKind,
    /// The content. The error is a sentence for the operator.
    pub content: Result<Content, String>,
}

/// The content of a file.
#[derive(Debug)]
pub enum Content {
    /// A picture, converted for a model.
    Picture(Image),
    /// The text of a document.
    Text(DocumentText),
    /// A file that is not read here, such as audio.
    Other,
}

/// The child's report on the content, which precedes the bytes of a picture.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ChildReport {
    Picture { kind: FileKind, width: u32, height: u32 },
    Text { text: String, truncated: bool },
    Other,
    Unreadable(String),
}

impl FileReader {
    /// Uses the executable of this process. On Linux, this works even if an upgrade has replaced the file.
    pub fn from_current_executable() -> io::Result<FileReader> {
        let running = Path::new("/proc/self/exe");
        Ok(FileReader::from_program(if running.exists() { running.to_owned() } else { std::env::current_exe()? }))
    }

    /// Uses the executable at `program`.
    pub fn from_program(program: PathBuf) -> FileReader {
        FileReader { program, arguments: vec![COMMAND.to_owned()], permits: Semaphore::new(MAX_CONCURRENT) }
    }

    /// Reads a file as soon as a slot is free. `pictures` says whether pictures are converted for a model. Any failure
    /// of the child counts as a file that cannot be read.
    pub async fn read(&self, bytes: &Bytes, pictures: bool) -> ReadOutcome {
        let _permit = self.permits.acquire().await;
        let mut output = self.run_child(bytes, pictures).await;
        if output.as_ref().is_ok_and(|output| output.was_interrupted()) {
            // Stopping the service may signal all of its processes. The file did not cause this, so it is read again.
            output = self.run_child(bytes, pictures).await;
        }
        match output {
            Ok(output) => output.into_outcome(),
            Err(why) => ReadOutcome { kind: FileKind::Unknown, content: Err(why) },
        }
    }

    async fn run_child(&self, bytes: &Bytes, pictures: bool) -> Result<ChildOutput, String> {
        let mut command = Command::new(&self.program);
        command.arg0("mynah").args(&self.arguments);
        if !pictures {
            command.arg(format!("--{NO_PICTURES}"));
        }
        // The child inherits no secret and no setting. Its own process group keeps the terminal's signals away from it.
        command.env_clear().current_dir("/").process_group(0).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child =
            command.spawn().map_err(|error| format!("cannot start the process that reads files: {error}"))?;
        let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("the process that reads files has no pipes".to_owned());
        };
        let write = async {
            // A child that has exited reads nothing. Its exit status says why.
            drop(stdin.write_all(bytes).await);
            drop(stdin);
        };
        let mut output_bytes = Vec::new();
        let mut output = stdout.take(MAX_OUTPUT_BYTES + 1);
        let whole = tokio::time::timeout(READ_TIMEOUT, async {
            let ((), read) = tokio::join!(write, output.read_to_end(&mut output_bytes));
            read?;
            // Closes the pipe, so that mynah does not wait for a child that would write more.
            drop(output);
            child.wait().await
        });
        match whole.await {
            Ok(Ok(status)) => Ok(ChildOutput { stdout: output_bytes, exit_status: Some(status) }),
            Ok(Err(error)) => Err(format!("lost contact with the process that reads files: {error}")),
            Err(_) => Ok(ChildOutput { stdout: output_bytes, exit_status: None }),
        }
    }
}

/// The output of a child, and its exit status: `None` if it ran out of time.
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
            None => Err("it took too long to read".to_owned()),
            Some(status) if !status.success() => {
                Err(format!("reading it took too much memory or time, or crashed the reader ({status})"))
            }
            Some(_) if self.stdout.len() as u64 > MAX_OUTPUT_BYTES => {
                Err("the reader's output is too large".to_owned())
            }
            Some(_) => parse_content(rest).unwrap_or_else(|| Err("the reader's output is malformed".to_owned())),
        };
        ReadOutcome { kind, content }
    }
}

fn parse_content(output: &[u8]) -> Option<Result<Content, String>> {
    let (report, rest) = split_json_line::<ChildReport>(output)?;
    Some(Ok(match report {
        ChildReport::Unreadable(why) => return Some(Err(why)),
        ChildReport::Other => Content::Other,
        ChildReport::Text { text, truncated } => Content::Text(DocumentText { text, truncated }),
        ChildReport::Picture { kind, width, height } => {
            let bytes = Bytes::copy_from_slice(rest);
            Content::Picture(Image { media_type: kind.media_type(), bytes, width, height })
        }
    }))
}

/// Parses a line of JSON. Returns its value and the bytes that follow it.
fn split_json_line<T: for<'a> Deserialize<'a>>(output: &[u8]) -> Option<(T, &[u8])> {
    let end = output.iter().position(|byte| *byte == b'\n')?;
    Some((serde_json::from_slice(&output[..end]).ok()?, &output[end + 1..]))
}

#[cfg(test)]
mod tests;
