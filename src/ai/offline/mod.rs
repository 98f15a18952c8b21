//! The offline responder. It has no model: it answers with the best passage of the owner's notes, or says that there is
//! none.
//!
//! It reads the notes once, splits them into passages (`passage`), and puts these into a full-text index in memory
//! (`index`). It turns a question into a safe query (`question`, with its word lists in `stop_words`).

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;

use super::{Completion, Error, Finish, Prompt, Provider};
use crate::fault::{Fault, FaultOwner};
use crate::model::{Role, Usage};

mod index;
mod notes;
mod passage;
mod question;
mod stop_words;
#[cfg(test)]
mod tests;

use index::{FoundPassage, Index};
use notes::Note;
use passage::Passage;
use question::Question;

/// The most topics that an answer lists.
const MAX_LISTED_TOPICS: usize = 12;
/// How much of a question is read, in characters.
const MAX_QUESTION_CHARS: usize = 2_000;
/// Follows each answer except thanks.
const DISCLAIMER: &str =
    "This is the offline responder: it quotes the business's notes, and no language model is involved.";

/// Answers from notes.
pub(super) struct Offline {
    index: Arc<Index>,
    topics: Vec<String>,
    summary: String,
}

impl Offline {
    /// Reads all `.md` files below `folder`.
    pub(super) fn from_folder(folder: &Path) -> Result<Offline, Error> {
        let notes = notes::read_notes(folder)?;
        Offline::new(&notes, folder)
    }

    /// Uses the built-in notes.
    pub(super) fn from_example(example: &[(&str, &str)]) -> Result<Offline, Error> {
        let notes: Vec<Note> =
            example.iter().map(|(name, text)| Note { name: (*name).into(), text: (*text).into() }).collect();
        Offline::new(&notes, Path::new("the built-in example"))
    }

    fn new(notes: &[Note], place: &Path) -> Result<Offline, Error> {
        let passages: Vec<Passage> = notes.iter().flat_map(passage::split_note).collect();
        if passages.is_empty() {
            return Err(Error::NoNotes(place.to_owned()));
        }
        let summary = format!("{} passages from {} notes in {}", passages.len(), notes.len(), place.display());
        Ok(Offline { index: Arc::new(Index::new(&passages)?), topics: topics(&passages), summary })
    }

    fn topic_list(&self) -> String {
        let mut list: String = self.topics.iter().take(MAX_LISTED_TOPICS).map(|topic| format!("- {topic}\n")).collect();
        if let Some(more) = self.topics.len().checked_sub(MAX_LISTED_TOPICS).filter(|more| *more > 0) {
            list.push_str(&format!("- and {more} more\n"));
        }
        list
    }

    async fn answer(&self, text: String) -> Result<String, Fault> {
        let question = Question::parse(&text);
        if question.is_greeting() {
            return Ok(format!("Hello! I can answer questions on:\n\n{}\n{DISCLAIMER}", self.topic_list()));
        }
        if question.is_thanks() {
            return Ok("You're welcome! Write again whenever you have a question.".into());
        }
        let index = Arc::clone(&self.index);
        let found = tokio::task::spawn_blocking(move || index.search(&question)).await;
        let found = found.map_err(|error| Fault::retry(format!("the search in the notes failed: {error}")))?;
        let found =
            found.map_err(|error| Fault::fail(FaultOwner::Operator, format!("cannot search the notes: {error}")))?;
        Ok(match found {
            Some(FoundPassage { heading, text }) => format!("**{heading}**\n\n{text}\n\n{DISCLAIMER}"),
            None => {
                format!(
                    "I found nothing on that in the notes. I can answer questions on:\n\n{}\n{DISCLAIMER}",
                    self.topic_list()
                )
            }
        })
    }
}

#[async_trait]
impl Provider for Offline {
    fn name(&self) -> &str {
        "offline"
    }

    async fn complete(&self, prompt: &Prompt) -> Result<Completion, Fault> {
        let text = self.answer(unanswered_text(prompt)).await?;
        Ok(Completion { text, finish: Finish::Stop, usage: Usage::default(), model: "offline".into(), hand_over: None })
    }

    async fn check(&self) -> Result<String, Fault> {
        Ok(format!("the offline responder has {}", self.summary))
    }
}

/// Returns what the contact has written since the last answer, up to the length limit.
fn unanswered_text(prompt: &Prompt) -> String {
    let since = prompt.messages.iter().rposition(|line| line.role != Role::User).map_or(0, |place| place + 1);
    let mut text = String::new();
    for line in &prompt.messages[since..] {
        text.push_str(&line.text);
        text.push('\n');
    }
    if let Some((end, _)) = text.char_indices().nth(MAX_QUESTION_CHARS) {
        text.truncate(end);
    }
    text
}

/// Returns the titles of the notes, or the headings in them if there are fewer than three titles and more headings.
fn topics(passages: &[Passage]) -> Vec<String> {
    let distinct = |of: fn(&Passage) -> &str| {
        let mut topics: Vec<String> = Vec::new();
        for topic in passages.iter().map(of).filter(|topic| !topic.is_empty()) {
            if !topics.iter().any(|known| known == topic) {
                topics.push(topic.to_owned());
            }
        }
        topics
    };
    let titles = distinct(|passage| &passage.title);
    let headings = distinct(|passage| &passage.heading);
    if titles.len() < 3 && headings.len() > titles.len() { headings } else { titles }
}
