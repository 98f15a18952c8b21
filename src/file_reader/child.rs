//! The process that reads one file and exits. It does not trust the file, and it holds nothing worth stealing: no
//! configuration, no data folder, no environment, no log.

use std::fs;
use std::io::{self, Read, Write, stdin, stdout};

use bytes::Bytes;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::Serialize;

use super::ChildReport;
use crate::media::document::{self, DocumentText};
use crate::media::{self, FileKind, Image, Unreadable};

/// The most memory that the process may take, in bytes of its address space: one and a half times the most that was
/// measured. Unpacking a progressive JPEG of 40 million pixels takes nine bytes for each pixel, and a PNG of sixteen
/// bits takes eight. Scaling holds a quarter of the image in memory, at four bytes for each color. With this program,
/// that makes just below 400 MB. The file adds up to 16 MB, twice.
const MAX_MEMORY_BYTES: u64 = 640 << 20;

/// The most processor time, in seconds: several times what the largest picture takes on a small machine.
const MAX_CPU_SECONDS: u64 = 20;

/// How much of a document is shown to the model, in characters: about eight pages.
const MAX_DOCUMENT_CHARS: usize = 12_000;

/// Reads a file from stdin. Writes to stdout the kind of the file as one line of JSON, its content as another, and then
/// the bytes of a picture. `pictures` says whether pictures are converted for a model.
pub fn read_stdin(pictures: bool) -> io::Result<()> {
    limit_resources()?;
    let mut bytes = Vec::new();
    stdin().lock().take(document::MAX_FILE_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    let mut out = stdout().lock();
    let kind = media::sniff(&bytes);
    // Written first, because reading the content may kill this process.
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

/// Limits the process to what it needs. If memory runs short, the kernel kills this process first.
fn limit_resources() -> io::Result<()> {
    // This file does not exist or is not writable everywhere. The limits below apply in any case.
    drop(fs::write("/proc/self/oom_score_adj", "1000"));
    let limits = [
        (Resource::As, MAX_MEMORY_BYTES),
        (Resource::Cpu, MAX_CPU_SECONDS),
        (Resource::Core, 0),
        // The process writes no file, opens none besides stdin, stdout and stderr, and starts no process or thread.
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
