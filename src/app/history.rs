//! The history of a conversation, as the model sees it. It comes from the cache if the cached window is certainly the
//! latest, and from the store otherwise.
//!
//! Every write to a conversation raises its revision, whoever writes: this process, a command beside it, or another
//! machine. A claim returns the revision, and a cached window counts only if it has the same one, so no answer uses a
//! stale window.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::App;
use crate::model::{ConversationId, ProviderId, Role, TurnId};
use crate::store::{StoreError, TurnClaim, WindowLine, keep_whole_exchanges};

/// A window as it is stored in the cache: its revision, then a line of JSON for each message, so that a message can be
/// added without parsing the others.
struct CachedWindow(Vec<u8>);

#[derive(Serialize, Deserialize)]
struct CachedLine {
    turn: i64,
    role: String,
    content: String,
    provider_id: Option<String>,
}

/// A line of which only the turn is parsed.
#[derive(Deserialize)]
struct LineTurn {
    turn: i64,
}

impl App {
    /// Returns the context window up to and including the claimed turn, oldest first.
    pub async fn history(&self, claim: &TurnClaim) -> Result<Vec<WindowLine>, StoreError> {
        let max_messages = self.number_of(claim).config.max_context_messages;
        let kept = self.cache.get(&cache_key(claim.conversation)).await;
        if let Some((revision, lines)) = kept.as_deref().and_then(CachedWindow::split_revision)
            && revision == claim.revision
            && let Some(lines) = CachedWindow::decode_lines(lines)
        {
            self.metrics.cache_hits.inc();
            let lines = lines.into_iter().filter(|line| line.turn <= claim.turn).collect();
            return Ok(keep_whole_exchanges(lines, max_messages, claim.turn));
        }
        self.metrics.cache_misses.inc();
        let (revision, lines) = self.store.history(claim.conversation, claim.turn, max_messages).await?;
        // Not cached if more was said already that a later turn answers, because it would be missing from the window.
        // Nor if the conversation has just begun: most conversations end with their first answer, and should not fill
        // the memory.
        if let Some(revision) = revision
            && lines.first().is_some_and(|line| line.turn < claim.turn)
        {
            self.cache_history(claim.conversation, CachedWindow::encode(revision, &lines)).await;
        }
        Ok(lines)
    }

    /// Adds a line that was just stored and that raised the revision to `revision`; `None` is a line that the model
    /// does not see. Drops the window if it is not at the revision before, because somebody else wrote in between.
    pub async fn append_to_history(&self, conversation: ConversationId, revision: i64, line: Option<&WindowLine>) {
        let Some(bytes) = self.cache.get(&cache_key(conversation)).await else { return };
        match CachedWindow::split_revision(&bytes) {
            Some((kept, _)) if kept >= revision => {}
            // Keeps enough lines to cut the window between exchanges.
            Some((kept, lines)) if kept + 1 == revision => {
                match CachedWindow::append_line(revision, lines, line, self.longest_window() * 2) {
                    Some(kept) => self.cache_history(conversation, kept).await,
                    None => self.forget_history(conversation).await,
                }
            }
            _ => self.forget_history(conversation).await,
        }
    }

    /// Drops the cached window of a conversation. The store still has its messages.
    pub async fn forget_history(&self, conversation: ConversationId) {
        self.cache.remove(&cache_key(conversation)).await;
    }

    fn longest_window(&self) -> usize {
        self.numbers.iter().map(|number| number.config.max_context_messages).max().unwrap_or_default()
    }

    async fn cache_history(&self, conversation: ConversationId, kept: CachedWindow) {
        self.cache.put(&cache_key(conversation), Arc::from(kept.0), self.config.conversation.ttl).await;
    }
}

impl CachedWindow {
    fn encode(revision: i64, lines: &[WindowLine]) -> CachedWindow {
        let mut bytes = revision.to_string().into_bytes();
        lines.iter().for_each(|line| push_line(&mut bytes, line));
        CachedWindow(bytes)
    }

    /// Returns the revision, and the lines after it.
    fn split_revision(bytes: &[u8]) -> Option<(i64, &[u8])> {
        let end = bytes.iter().position(|byte| *byte == b'\n')?;
        let revision = std::str::from_utf8(&bytes[..end]).ok()?.parse().ok()?;
        Some((revision, &bytes[end..]))
    }

    fn decode_lines(lines: &[u8]) -> Option<Vec<WindowLine>> {
        let lines = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_slice::<CachedLine>(line).ok()?.into_window_line()).collect()
    }

    /// Returns the window with one more line, at most `max_lines` of them. What was said while an earlier turn was
    /// being answered comes after that answer. Returns `None` if the lines cannot be parsed.
    fn append_line(revision: i64, lines: &[u8], line: Option<&WindowLine>, max_lines: usize) -> Option<CachedWindow> {
        let Some(line) = line else {
            let mut bytes = revision.to_string().into_bytes();
            bytes.extend_from_slice(lines);
            return Some(CachedWindow(bytes));
        };
        let last = lines.iter().rposition(|byte| *byte == b'\n')?;
        let place: LineTurn = serde_json::from_slice(&lines[last + 1..]).ok()?;
        if place.turn > line.turn.0 {
            let mut lines = CachedWindow::decode_lines(lines)?;
            lines.insert(lines.partition_point(|other| other.turn <= line.turn), line.clone());
            return Some(CachedWindow::encode(revision, &lines));
        }
        let mut bytes = revision.to_string().into_bytes();
        let breaks = lines.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
        let over = (breaks.clone().count() + 1).saturating_sub(max_lines);
        let from = breaks.map(|(at, _)| at).nth(over).unwrap_or(lines.len());
        bytes.extend_from_slice(&lines[from..]);
        push_line(&mut bytes, line);
        Some(CachedWindow(bytes))
    }
}

fn push_line(bytes: &mut Vec<u8>, line: &WindowLine) {
    bytes.push(b'\n');
    // JSON escapes line breaks, so each line is one.
    serde_json::to_writer(&mut *bytes, &CachedLine::from_window_line(line))
        .expect("writing strings to memory cannot fail");
}

fn cache_key(conversation: ConversationId) -> String {
    format!("window {conversation}")
}

impl CachedLine {
    fn from_window_line(line: &WindowLine) -> CachedLine {
        CachedLine {
            turn: line.turn.0,
            role: line.role.as_str().to_owned(),
            content: line.content.clone(),
            provider_id: line.provider_id.as_ref().map(|id| id.0.clone()),
        }
    }

    fn into_window_line(self) -> Option<WindowLine> {
        Some(WindowLine {
            turn: TurnId(self.turn),
            role: Role::parse(&self.role)?,
            content: self.content,
            provider_id: self.provider_id.map(ProviderId),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(turn: i64, content: &str) -> WindowLine {
        WindowLine { turn: TurnId(turn), role: Role::User, content: content.into(), provider_id: None }
    }

    fn read(kept: &CachedWindow) -> (i64, Vec<String>) {
        let (revision, lines) = CachedWindow::split_revision(&kept.0).unwrap();
        (revision, CachedWindow::decode_lines(lines).unwrap().into_iter().map(|line| line.content).collect())
    }

    #[test]
    fn a_line_is_added_behind_its_turn_and_the_oldest_fall_out() {
        let mut kept = CachedWindow::encode(1, &[line(1, "a\nb")]);
        for (revision, turn, content) in [(2, 2, "c"), (3, 1, "answer to a"), (4, 2, "answer to c"), (5, 3, "d")] {
            let (_, lines) = CachedWindow::split_revision(&kept.0).unwrap();
            kept = CachedWindow::append_line(revision, lines, Some(&line(turn, content)), 4).unwrap();
        }
        let (_, lines) = CachedWindow::split_revision(&kept.0).unwrap();
        kept = CachedWindow::append_line(6, lines, None, 4).unwrap();
        assert_eq!(read(&kept), (6, ["answer to a", "c", "answer to c", "d"].map(str::to_owned).to_vec()));
    }

    #[test]
    fn an_unreadable_entry_is_a_miss() {
        assert!(CachedWindow::split_revision(b"").is_none() && CachedWindow::split_revision(b"x\n{}").is_none());
        assert!(CachedWindow::decode_lines(b"\n{}").is_none());
        assert!(CachedWindow::append_line(2, b"\n{", Some(&line(1, "a")), 9).is_none());
    }
}
