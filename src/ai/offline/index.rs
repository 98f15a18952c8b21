//! The full-text index: SQLite's FTS5 in memory, ranked by bm25.

use std::sync::{Mutex, PoisonError};

use rusqlite::Connection;

use super::passage::Passage;
use super::question::{Question, fts_expression};

const CREATE_TABLE: &str = "CREATE VIRTUAL TABLE passages USING fts5(
    title, heading, text, tokenize = \"unicode61 remove_diacritics 2\")";
const INSERT_PASSAGE: &str = "INSERT INTO passages (title, heading, text) VALUES (?1, ?2, ?3)";
/// A word in a heading weighs more than one in the text.
const SEARCH_PASSAGES: &str = "SELECT rowid, title, heading, text FROM passages WHERE passages MATCH ?1
    ORDER BY bm25(passages, 2.0, 4.0, 1.0), rowid LIMIT 16";
const PASSAGE_MATCHES: &str = "SELECT 1 FROM passages WHERE passages MATCH ?1 AND rowid = ?2";

/// The index of all passages. It runs one search at a time.
pub(super) struct Index(Mutex<Connection>);

/// The passage that answers a question.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FoundPassage {
    /// The heading of the passage, or the title of its note.
    pub(super) heading: String,
    /// The text in Markdown.
    pub(super) text: String,
}

impl Index {
    /// Indexes the passages.
    pub(super) fn new(passages: &[Passage]) -> rusqlite::Result<Index> {
        let mut connection = Connection::open_in_memory()?;
        connection.execute_batch(CREATE_TABLE)?;
        let transaction = connection.transaction()?;
        {
            let mut insert = transaction.prepare(INSERT_PASSAGE)?;
            for Passage { title, heading, text } in passages {
                insert.execute((title, heading, text))?;
            }
        }
        transaction.commit()?;
        Ok(Index(Mutex::new(connection)))
    }

    /// Returns the best passage that contains enough of the question's words: two in five, rounded up.
    pub(super) fn search(&self, question: &Question) -> rusqlite::Result<Option<FoundPassage>> {
        let connection = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if question.content_words.is_empty() {
            // "Where are you?" consists of stop words only, and so does the heading that answers it.
            let words: Vec<String> = question.all_words.iter().map(|word| format!("heading : \"{word}\"")).collect();
            return best_match(&connection, &words, words.len());
        }
        let words: Vec<String> = question.content_words.iter().map(|word| fts_expression(word)).collect();
        best_match(&connection, &words, (words.len() * 2).div_ceil(5))
    }
}

/// Returns the passage in which the largest number of the words occur, if at least `least` do. bm25 decides between
/// equals.
fn best_match(connection: &Connection, words: &[String], least: usize) -> rusqlite::Result<Option<FoundPassage>> {
    if words.is_empty() {
        return Ok(None);
    }
    let mut search = connection.prepare_cached(SEARCH_PASSAGES)?;
    let mut fits = connection.prepare_cached(PASSAGE_MATCHES)?;
    let mut rows = search.query([words.join(" OR ")])?;
    let (mut found, mut most) = (None, least.saturating_sub(1));
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        let mut count = 0;
        for word in words {
            count += usize::from(fits.exists((word, id))?);
        }
        if count > most {
            let (title, heading): (String, String) = (row.get(1)?, row.get(2)?);
            let heading = if heading.is_empty() { title } else { heading };
            (found, most) = (Some(FoundPassage { heading, text: row.get(3)? }), count);
        }
    }
    Ok(found)
}
