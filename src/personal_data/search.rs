//! Searches the bytes of the database's files for what was erased, to prove that it is gone.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use memchr::memmem::Finder;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::model::Address;
use crate::store::Person;

/// How much of a file is read at once.
const CHUNK: usize = 1024 * 1024;

/// Something that was erased, in every form in which it may be stored.
pub(super) struct SearchTerm {
    /// What it is to an operator.
    pub(super) what: &'static str,
    /// Its forms. A phone number is searched by its digits, which every form contains.
    pub(super) forms: Vec<String>,
    /// The bytes with which a longer number or word goes on; next to such a byte it is something else.
    continues: fn(&u8) -> bool,
}

/// Returns what to search for after a person was erased.
pub(super) fn search_terms(person: &Person) -> Vec<SearchTerm> {
    let mut terms: Vec<_> = person
        .addresses
        .iter()
        .map(|address| match address {
            Address::Phone(phone) => SearchTerm {
                what: "phone number",
                forms: vec![phone.as_str().trim_start_matches('+').to_owned()],
                continues: u8::is_ascii_digit,
            },
            Address::Bsuid(id) => SearchTerm {
                what: "user ID",
                forms: vec![id.as_str().to_owned()],
                continues: u8::is_ascii_alphanumeric,
            },
        })
        .collect();
    if let Some(name) = person.name.as_deref().map(str::trim).filter(|name| !name.is_empty()) {
        let in_form = url::form_urlencoded::byte_serialize(name.as_bytes()).collect();
        let encoded = utf8_percent_encode(name, NON_ALPHANUMERIC).to_string();
        let in_json = serde_json::Value::from(name).to_string();
        let mut forms = vec![name.to_owned(), in_form, encoded, in_json.trim_matches('"').to_owned()];
        forms.sort_unstable();
        forms.dedup();
        terms.push(SearchTerm { what: "name", forms, continues: |byte| byte.is_ascii_alphanumeric() });
    }
    terms
}

/// Returns how often each term occurs in the database file, its log and its index. Call this only in a process that has
/// no connection to the database open: closing a file releases the locks that SQLite holds on it in this process
/// (sqlite.org, "How To Corrupt An SQLite Database File", 2.2).
pub(super) fn count_in_files(database: &Path, terms: &[SearchTerm]) -> Result<Vec<u64>> {
    let mut counts = vec![0; terms.len()];
    for path in [database.to_owned(), with_suffix(database, "-wal"), with_suffix(database, "-shm")] {
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(error).with_context(|| format!("{} cannot be searched", path.display())),
        };
        count_in(file, terms, &mut counts).with_context(|| format!("{} cannot be searched", path.display()))?;
    }
    Ok(counts)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn count_in(mut from: impl Read, terms: &[SearchTerm], counts: &mut [u64]) -> std::io::Result<()> {
    let finders: Vec<(usize, Finder<'_>)> = terms
        .iter()
        .enumerate()
        .flat_map(|(at, term)| term.forms.iter().map(move |form| (at, Finder::new(form.as_bytes()))))
        .collect();
    // A match is counted only with the byte after it, so the end of each piece is searched again with the next one.
    let overlap = terms.iter().flat_map(|term| &term.forms).map(String::len).max().unwrap_or(0) + 1;
    let (mut buffer, mut kept) = (Vec::new(), 0);
    loop {
        let read = from.by_ref().take(CHUNK as u64).read_to_end(&mut buffer)?;
        let is_last = read == 0;
        for (term, finder) in &finders {
            let (length, continues) = (finder.needle().len(), terms[*term].continues);
            // Matches that end within the part that was kept were counted before.
            for at in finder.find_iter(&buffer) {
                let end = at + length;
                let is_new = end >= kept;
                let (before, after) = (at.checked_sub(1).and_then(|before| buffer.get(before)), buffer.get(end));
                let is_whole = !before.is_some_and(continues) && !after.is_some_and(continues);
                if is_new && is_whole && (after.is_some() || is_last) {
                    counts[*term] += 1;
                }
            }
        }
        if is_last {
            return Ok(());
        }
        let cut = buffer.len().saturating_sub(overlap + 1);
        buffer.drain(..cut);
        kept = buffer.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(name: &str) -> Person {
        let addresses = ["+15551234567", "US.134"].map(|address| Address::parse(address).unwrap()).to_vec();
        Person { contact: 1, name: Some(name.into()), addresses, conversations: 0, last_inbound_at: None }
    }

    fn counts(name: &str, content: &[u8]) -> Vec<u64> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        std::fs::write(with_suffix(&path, "-wal"), content).unwrap();
        count_in_files(&path, &search_terms(&person(name))).unwrap()
    }

    #[test]
    fn every_stored_form_is_found_once() {
        for (content, found) in [
            ("+15551234567", [1, 0, 0]),
            ("From=whatsapp%3A%2B15551234567&WaId=15551234567", [2, 0, 0]),
            ("155512345678 915551234567", [0, 0, 0]),
            ("US.134 US.1345", [0, 1, 0]),
            ("ProfileName=Ana+Mar%C3%ADa", [0, 0, 1]),
            ("Ana María", [0, 0, 1]),
            ("Ana%20Mar%C3%ADa", [0, 0, 1]),
            ("Diana Maríab", [0, 0, 0]),
        ] {
            assert_eq!(counts("Ana María", content.as_bytes()), found, "{content}");
        }
    }

    #[test]
    fn what_lies_across_two_pieces_is_found_once() {
        for at in CHUNK - 30..CHUNK + 3 {
            let mut content = vec![b'.'; 2 * CHUNK + 100];
            content[at..at + 11].copy_from_slice(b"15551234567");
            assert_eq!(counts("Ana", &content), [1, 0, 0], "at {at}");
        }
    }
}
