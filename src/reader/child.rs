//! The process that reads one file, and ends. It believes nothing of the file, and there is nothing in it to take: no
//! configuration, no data folder, no environment, no log.

use std::fs;
use std::io::{self, Read, Write, stdin, stdout};

use bytes::Bytes;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::Serialize;

use super::ChildReport;
use crate::media::document::{self, DocumentText};
use crate::media::{self, FileKind, Image, Unreadable};

/// The most memory that it may take, in bytes of its address space: half as much again as the most that was measured. A
/// progressive JPEG of 40 million pixels has nine bytes for each of them while it is unpacked, a PNG of sixteen bits eight, and
/// a quarter of the image is in memory at four bytes for each colour while it is scaled: just below 400 MB with this program.
/// The file comes to 16 MB, twice.
const MAX_MEMORY_BYTES: u64 = 640 << 20;

/// The most processor time, in seconds: several times what the largest picture takes on a small machine.
const MAX_CPU_SECONDS: u64 = 20;

/// As much of a document as is told to the model, in characters: some eight pages.
const MAX_DOCUMENT_CHARS: usize = 12_000;

/// Reads a file from stdin. What it is goes to stdout, a line of JSON; then what is in it, another; then the bytes of a
/// picture. `pictures`: whether those are made fit for a model.
pub fn read_stdin(pictures: bool) -> io::Result<()> {
    limit_resources()?;
    let mut bytes = Vec::new();
    stdin().lock().take(document::MAX_FILE_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    let mut out = stdout().lock();
    let kind = media::sniff(&bytes);
    // Told first, since what follows may end this process.
    write_json_line(&mut out, &kind)?;
    let (report, picture) = read_content(kind, bytes, pictures)
        .unwrap_or_else(|why| (ChildReport::Unreadable(why.to_string()), Bytes::new()));
    write_json_line(&mut out, &report)?;
    out.write_all(&picture)?;
    out.flush()
}

fn read_content(kind: FileKind, bytes: Vec<u8>, pictures: bool) -> Result<(ChildReport, Bytes), Unreadable> {
    if kind.is_image() && pictures {
        let Image { bytes, width, height, .. } = Image::for_model(&bytes.into())?;
        return Ok((ChildReport::Picture { kind: media::sniff(&bytes), width, height }, bytes));
    }
    if kind.is_document() {
        let DocumentText { text, truncated } = document::extract_text(kind, &bytes, MAX_DOCUMENT_CHARS)?;
        return Ok((ChildReport::Text { text, truncated }, Bytes::new()));
    }
    Ok((ChildReport::Other, Bytes::new()))
}

fn write_json_line(out: &mut impl Write, what: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, what)?;
    writeln!(out)?;
    out.flush()
}

/// Gives up what a reader of bytes needs not. Where memory runs short, this process is the one to go.
fn limit_resources() -> io::Result<()> {
    // Not everywhere there is, or may be written; the bounds below hold all the same.
    drop(fs::write("/proc/self/oom_score_adj", "1000"));
    let limits = [
        (Resource::As, MAX_MEMORY_BYTES),
        (Resource::Cpu, MAX_CPU_SECONDS),
        (Resource::Core, 0),
        // No file is written, none is opened beside the three pipes, and no process or thread is started.
        (Resource::Fsize, 0),
        (Resource::Nofile, 3),
        (Resource::Nproc, 0),
    ];
    for (resource, most) in limits {
        let most = getrlimit(resource).maximum.map_or(most, |set| set.min(most));
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?;
    }
    Ok(())
}
