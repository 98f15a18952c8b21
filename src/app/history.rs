//! The history of a conversation, as the model is shown it: from the cache where that is certainly the latest, else from
//! the store.
//!
//! Every write to a conversation raises its revision, whoever writes: this process, a command beside it, another machine.
//! A claim tells the revision, and a cached window counts only if it bears the same, so no answer comes from a stale one.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::App;
use crate::model::{ConversationId, ProviderId, Role, TurnId};
use crate::store::{StoreError, TurnClaim, WindowLine, whole_exchanges};

/// The revision of a conversation that holds one message.
const FIRST: i64 = 1;

/// A window as it lies in the cache.
#[derive(Serialize, Deserialize)]
struct Kept {
    revision: i64,
    lines: Vec<KeptLine>,
}

#[derive(Serialize, Deserialize)]
struct KeptLine {
    turn: i64,
    role: String,
    content: String,
    provider_id: Option<String>,
}

impl App {
    /// The sliding window up to and with the claimed turn, oldest first.
    pub async fn history(&self, claim: &TurnClaim) -> Result<Vec<WindowLine>, StoreError> {
        let most = self.config.work.max_context_messages;
        if let Some(kept) = self.kept(claim.conversation).await
            && kept.revision == claim.revision
        {
            let lines = kept.lines.into_iter().filter_map(KeptLine::line);
            let lines = lines.filter(|line| line.turn <= claim.turn).collect();
            return Ok(whole_exchanges(lines, most, claim.turn));
        }
        let (revision, lines) = self.store.history(claim.conversation, claim.turn, most).await?;
        // Not where more was said already that a later turn answers: it would be missing there.
        if let Some(revision) = revision {
            self.keep(claim.conversation, revision, lines.iter().map(KeptLine::of).collect()).await;
        }
        Ok(lines)
    }

    /// Adds a line that was just stored, which raised the revision to `revision`. A window that is not at the one before it
    /// is dropped: somebody else wrote in between.
    pub async fn add(&self, conversation: ConversationId, revision: i64, line: &WindowLine) {
        let Some(mut kept) = self.kept(conversation).await else {
            if revision == FIRST {
                self.keep(conversation, revision, vec![KeptLine::of(line)]).await;
            }
            return;
        };
        if kept.revision >= revision {
            return;
        }
        if kept.revision + 1 != revision {
            return self.clear(conversation).await;
        }
        // What was said while an earlier turn was being answered comes after that answer.
        let at = kept.lines.partition_point(|other| other.turn <= line.turn.0);
        kept.lines.insert(at, KeptLine::of(line));
        // Enough that the window can be cut between exchanges.
        let spare = kept.lines.len().saturating_sub(self.config.work.max_context_messages * 2);
        kept.lines.drain(..spare);
        self.keep(conversation, revision, kept.lines).await;
    }

    /// Drops the window of a conversation; the store still has it.
    pub async fn clear(&self, conversation: ConversationId) {
        self.cache.forget(&key(conversation)).await;
    }

    async fn kept(&self, conversation: ConversationId) -> Option<Kept> {
        serde_json::from_slice(&self.cache.get(&key(conversation)).await?).ok()
    }

    async fn keep(&self, conversation: ConversationId, revision: i64, lines: Vec<KeptLine>) {
        if let Ok(bytes) = serde_json::to_vec(&Kept { revision, lines }) {
            self.cache.put(&key(conversation), Arc::from(bytes), self.config.conversation.ttl).await;
        }
    }
}

fn key(conversation: ConversationId) -> String {
    format!("window {conversation}")
}

impl KeptLine {
    fn of(line: &WindowLine) -> KeptLine {
        KeptLine {
            turn: line.turn.0,
            role: line.role.as_str().to_owned(),
            content: line.content.clone(),
            provider_id: line.provider_id.as_ref().map(|id| id.0.clone()),
        }
    }

    fn line(self) -> Option<WindowLine> {
        Some(WindowLine {
            turn: TurnId(self.turn),
            role: Role::parse(&self.role)?,
            content: self.content,
            provider_id: self.provider_id.map(ProviderId),
        })
    }
}
