//! Conversations as they are listed for an operator.

use crate::clock::Time;
use crate::model::ConversationId;
use crate::store::database::{Row, Store, StoreError, Tx, args};

/// Newest first, those before an id.
const LIST: &str = "
    SELECT c.id, c.contact_id, p.name, c.reply_to, c.our_address, c.mode, c.mode_until, c.started_at, c.last_inbound_at,
        c.ended_at, p.blocked_at, p.opted_out_at, c.account
    FROM conversations c JOIN contacts p ON p.id = c.contact_id
    WHERE c.id < ?1 ORDER BY c.id DESC LIMIT ?2";

const CONVERSATION: &str = "
    SELECT c.id, c.contact_id, p.name, c.reply_to, c.our_address, c.mode, c.mode_until, c.started_at, c.last_inbound_at,
        c.ended_at, p.blocked_at, p.opted_out_at, c.account
    FROM conversations c JOIN contacts p ON p.id = c.contact_id WHERE c.id = ?1";

const OF_CONTACT: &str = "
    SELECT c.id, c.contact_id, p.name, c.reply_to, c.our_address, c.mode, c.mode_until, c.started_at, c.last_inbound_at,
        c.ended_at, p.blocked_at, p.opted_out_at, c.account
    FROM conversations c JOIN contacts p ON p.id = c.contact_id WHERE c.contact_id = ?1";

/// A conversation in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConversationRow {
    /// Its id.
    pub id: ConversationId,
    /// The name in the contact's profile.
    pub name: Option<String>,
    /// The address that answers go to.
    pub reply_to: String,
    /// The account at the provider that it came through.
    pub account: String,
    /// Our address.
    pub our_address: String,
    /// Whether a person answers.
    pub human_mode: bool,
    /// When human mode ends by itself, if it does.
    pub human_until: Option<Time>,
    /// When it started.
    pub started_at: Time,
    /// When the contact last wrote.
    pub last_inbound_at: Time,
    /// When it ended, if it did.
    pub ended_at: Option<Time>,
    /// Whether the contact is blocked.
    pub blocked: bool,
    /// Whether the contact opted out.
    pub opted_out: bool,
}

impl ConversationRow {
    /// Returns the row with the mode at `now`. Human mode ends at `human_until`, but the row in the database changes
    /// only with the next message.
    #[must_use]
    pub fn as_of(self, now: Time) -> ConversationRow {
        match self.human_until {
            Some(until) if until <= now => ConversationRow { human_mode: false, human_until: None, ..self },
            _ => self,
        }
    }
}

impl Store {
    /// Returns conversations older than `before`, newest first, at most `most`.
    pub async fn conversations(
        &self,
        before: Option<ConversationId>,
        most: i64,
    ) -> Result<Vec<ConversationRow>, StoreError> {
        let before = before.unwrap_or(ConversationId(uuid::Uuid::max()));
        self.read(move |tx| tx.fetch_all(LIST, args![&before, most], conversation_from_row)).await
    }

    /// Returns all conversations of a contact, newest first.
    pub async fn conversations_of_contact(&self, contact: i64) -> Result<Vec<ConversationRow>, StoreError> {
        let mut rows = self.read(move |tx| tx.fetch_all(OF_CONTACT, args![contact], conversation_from_row)).await?;
        rows.sort_unstable_by_key(|row| std::cmp::Reverse(row.id));
        Ok(rows)
    }
}

/// Returns one conversation.
pub(in crate::store) fn find(tx: &mut dyn Tx, id: &ConversationId) -> Result<Option<ConversationRow>, StoreError> {
    tx.fetch_optional(CONVERSATION, args![id], conversation_from_row)
}

fn conversation_from_row(row: &dyn Row) -> Result<ConversationRow, StoreError> {
    Ok(ConversationRow {
        id: ConversationId(row.uuid(0)?),
        name: row.text_or_null(2)?.map(str::to_owned),
        reply_to: row.text(3)?.to_owned(),
        our_address: row.text(4)?.to_owned(),
        account: row.text(12)?.to_owned(),
        human_mode: row.text(5)? == "human",
        human_until: row.int_or_null(6)?.map(Time),
        started_at: Time(row.int(7)?),
        last_inbound_at: Time(row.int(8)?),
        ended_at: row.int_or_null(9)?.map(Time),
        blocked: row.int_or_null(10)?.is_some(),
        opted_out: row.int_or_null(11)?.is_some(),
    })
}
