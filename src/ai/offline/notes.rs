//! The owner's notes: Markdown files in a folder and the folders below it.

use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::ai::Error;

/// The largest note, in bytes.
const MAX_NOTE_BYTES: u64 = 1 << 20;
/// The most bytes that all notes may have together.
const MAX_TOTAL_BYTES: u64 = 64 << 20;
/// How many folders deep mynah looks for notes. This ends a walk through links that form a circle.
const MAX_FOLDER_DEPTH: u32 = 8;

/// One note, which is one file.
#[derive(Debug)]
pub(super) struct Note {
    /// The file name, with `.md`.
    pub(super) name: String,
    /// The text.
    pub(super) text: String,
}

/// Reads all notes in the folder, in the order of their paths. Skips hidden files and folders.
pub(super) fn read_notes(folder: &Path) -> Result<Vec<Note>, Error> {
    let mut paths = Vec::new();
    collect_note_paths(folder, MAX_FOLDER_DEPTH, &mut paths)?;
    paths.sort();
    let (mut notes, mut total) = (Vec::with_capacity(paths.len()), 0);
    for path in paths {
        let size = fs::metadata(&path).map_err(|source| read_error(&path, source))?.len();
        total += size;
        if size > MAX_NOTE_BYTES {
            return Err(Error::NoteTooLarge(path));
        }
        if total > MAX_TOTAL_BYTES {
            return Err(Error::NotesTooLarge(folder.to_owned()));
        }
        let bytes = fs::read(&path).map_err(|source| read_error(&path, source))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let text = String::from_utf8(bytes).map_err(|_| Error::NoteNotUtf8(path))?;
        notes.push(Note { name, text });
    }
    if notes.is_empty() { Err(Error::NoNotes(folder.to_owned())) } else { Ok(notes) }
}

fn collect_note_paths(folder: &Path, depth: u32, paths: &mut Vec<PathBuf>) -> Result<(), Error> {
    for entry in fs::read_dir(folder).map_err(|source| read_error(folder, source))? {
        let entry = entry.map_err(|source| read_error(folder, source))?;
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let path = entry.path();
        let markdown = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("md"));
        // Follows links, because mounted configuration often consists of links.
        match fs::metadata(&path) {
            Ok(kind) if kind.is_dir() && depth > 1 => collect_note_paths(&path, depth - 1, paths)?,
            Ok(kind) if kind.is_file() && markdown => paths.push(path),
            Err(source) if markdown => return Err(read_error(&path, source)),
            _ => {}
        }
    }
    Ok(())
}

fn read_error(path: &Path, source: io::Error) -> Error {
    Error::UnreadableNotes { path: path.to_owned(), source }
}
