//! What is held on a person, as JSON: the contact, and page by page their conversations and the log of their webhooks.
//!
//! Times are texts such as `2026-11-01T10:00:00.000Z`. What stands in the database as JSON is JSON here.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::traces::{Traces, WebhookOwner, existing_messages};
use crate::clock::Time;
use crate::model::{ConversationId, FileHash, TurnId};
use crate::store::database::{Row, Store, StoreError, Tx, args};

const CONTACT: &str = "
    SELECT id, name, created_at, opted_out_at, blocked_at, admitted_at, noticed_at FROM contacts WHERE id = ?1";

const CONTACT_COLUMNS: &[Column] = &[
    ("id", Kind::Int),
    ("name", Kind::Text),
    ("created_at", Kind::Time),
    ("opted_out_at", Kind::Time),
    ("blocked_at", Kind::Time),
    ("admitted_at", Kind::Time),
    ("noticed_at", Kind::Time),
];

const ADDRESSES: &str = "SELECT kind, value, created_at, seen_at, accounts FROM addresses WHERE contact_id = ?1";

const ADDRESS_COLUMNS: &[Column] = &[
    ("kind", Kind::Text),
    ("value", Kind::Text),
    ("created_at", Kind::Time),
    ("seen_at", Kind::Time),
    ("accounts", Kind::Text),
];

const CONVERSATION: &str = "
    SELECT id, channel, account, our_address, reply_to, revision, started_at, last_inbound_at, ended_at, mode,
        mode_until, mode_why, reopened_at
    FROM conversations WHERE id = ?1";

const CONVERSATION_COLUMNS: &[Column] = &[
    ("id", Kind::Id),
    ("channel", Kind::Text),
    ("account", Kind::Text),
    ("our_address", Kind::Text),
    ("reply_to", Kind::Text),
    ("revision", Kind::Int),
    ("started_at", Kind::Time),
    ("last_inbound_at", Kind::Time),
    ("ended_at", Kind::Time),
    ("mode", Kind::Text),
    ("mode_until", Kind::Time),
    ("mode_why", Kind::Text),
    ("reopened_at", Kind::Time),
];

/// Every turn has a message.
const TURNS: &str = "
    SELECT DISTINCT turn_id FROM messages WHERE conversation_id = ?1 AND turn_id > ?2 ORDER BY turn_id LIMIT ?3";

const TURN: &str = "
    SELECT id, state, command, due_at, not_before, expires_at, created_at, claimed_at, finished_at, attempts, crashes,
        crashes_alone, error, model, input_tokens, output_tokens, tokens_estimated, cost_micros, may_be_answered
    FROM turns WHERE id = ?1";

const TURN_COLUMNS: &[Column] = &[
    ("id", Kind::Int),
    ("state", Kind::Text),
    ("command", Kind::Text),
    ("due_at", Kind::Time),
    ("not_before", Kind::Time),
    ("expires_at", Kind::Time),
    ("created_at", Kind::Time),
    ("claimed_at", Kind::Time),
    ("finished_at", Kind::Time),
    ("attempts", Kind::Int),
    ("crashes", Kind::Int),
    ("crashes_alone", Kind::Int),
    ("error", Kind::Text),
    ("model", Kind::Text),
    ("input_tokens", Kind::Int),
    ("output_tokens", Kind::Int),
    ("tokens_estimated", Kind::Flag),
    ("cost_micros", Kind::Int),
    ("may_be_answered", Kind::Flag),
];

const MESSAGES: &str = "
    SELECT id, role, content, metadata, channel, provider_id, created_at, word
    FROM messages WHERE conversation_id = ?1 AND turn_id = ?2 ORDER BY id";

const MESSAGE_COLUMNS: &[Column] = &[
    ("id", Kind::Id),
    ("role", Kind::Text),
    ("content", Kind::Text),
    ("metadata", Kind::Json),
    ("channel", Kind::Text),
    ("provider_id", Kind::Text),
    ("created_at", Kind::Time),
    ("command", Kind::Text),
];

const ATTACHMENTS: &str = "
    SELECT number, state, url, media_type, mark, hash, shown, size, error
    FROM attachments WHERE conversation_id = ?1 AND message_id = ?2 ORDER BY number";

const ATTACHMENT_COLUMNS: &[Column] = &[
    ("number", Kind::Int),
    ("state", Kind::Text),
    ("url", Kind::Text),
    ("media_type", Kind::Text),
    ("placeholder", Kind::Text),
    ("hash", Kind::Text),
    ("hash_shown_to_model", Kind::Text),
    ("size", Kind::Int),
    ("error", Kind::Text),
];

const PARTS: &str = "
    SELECT number, body, template, variables, file, expires_at, state, due_at, attempts, absences, looks_failed,
        first_tried_at, posted_to, posted_by, sent_at, provider_id, status, status_at, error_code, error
    FROM parts WHERE id > ?1 * 16 AND id < ?1 * 16 + 16 ORDER BY id";

const PART_COLUMNS: &[Column] = &[
    ("number", Kind::Int),
    ("body", Kind::Text),
    ("template", Kind::Text),
    ("variables", Kind::Json),
    ("file", Kind::Text),
    ("expires_at", Kind::Time),
    ("state", Kind::Text),
    ("due_at", Kind::Time),
    ("attempts", Kind::Int),
    ("absences", Kind::Int),
    ("looks_failed", Kind::Int),
    ("first_tried_at", Kind::Time),
    ("posted_to", Kind::Text),
    ("posted_by", Kind::Text),
    ("sent_at", Kind::Time),
    ("provider_id", Kind::Text),
    ("status", Kind::Text),
    ("status_at", Kind::Time),
    ("error_code", Kind::Int),
    ("error", Kind::Text),
];

const FILES: &str = "
    SELECT hash, media_type, name, size, created_at FROM files WHERE conversation_id = ?1 ORDER BY hash";

const FILE_COLUMNS: &[Column] = &[
    ("hash", Kind::Text),
    ("media_type", Kind::Text),
    ("name", Kind::Text),
    ("size", Kind::Int),
    ("created_at", Kind::Time),
];

/// A few hundred rows: budgets are kept for two months.
const USAGE: &str = "SELECT period, calls, tokens, micros FROM spent WHERE scope = ?1 ORDER BY period";

const USAGE_COLUMNS: &[Column] =
    &[("period", Kind::Text), ("calls", Kind::Int), ("tokens", Kind::Int), ("cost_micros", Kind::Int)];

const ALERTS: &str = "
    SELECT cause, subject, message, first_at, last_at, count, resolved_at FROM alerts ORDER BY cause, subject";

const ALERT_COLUMNS: &[Column] = &[
    ("cause", Kind::Text),
    ("subject", Kind::Text),
    ("message", Kind::Text),
    ("first_at", Kind::Time),
    ("last_at", Kind::Time),
    ("count", Kind::Int),
    ("resolved_at", Kind::Time),
];

/// Messages about alerts, as they were sent. They hold something of a contact only if the owner allows it.
const ALERT_MESSAGES: &str = "
    SELECT cause, subject, way, message, created_at, attempts, finished_at, error FROM alert_deliveries
    WHERE cause > '' ORDER BY cause, subject, id";

const ALERT_MESSAGE_COLUMNS: &[Column] = &[
    ("cause", Kind::Text),
    ("subject", Kind::Text),
    ("way", Kind::Text),
    ("message", Kind::Json),
    ("created_at", Kind::Time),
    ("attempts", Kind::Int),
    ("finished_at", Kind::Time),
    ("error", Kind::Text),
];

const WEBHOOKS: &str = "
    SELECT id, channel, received_at, path, headers, body, status, processing_us, message_id, error
    FROM webhook_log WHERE id > ?1 ORDER BY id LIMIT ?2";

const WEBHOOK_COLUMNS: &[Column] = &[
    ("id", Kind::Int),
    ("channel", Kind::Text),
    ("received_at", Kind::Time),
    ("path", Kind::Text),
    ("headers", Kind::Json),
    ("body", Kind::Text),
    ("status", Kind::Int),
    ("processing_us", Kind::Int),
    ("message", Kind::Id),
    ("error", Kind::Text),
];

/// How many turns, or rows of the webhook log, one read returns at most.
const PAGE: i64 = 200;

/// What a column holds, in the order of its statement.
type Column = (&'static str, Kind);

#[derive(Clone, Copy)]
enum Kind {
    Int,
    Text,
    Time,
    Id,
    Json,
    Flag,
}

/// What is held on a person beside their conversations.
#[derive(Clone, Debug, PartialEq)]
pub struct PersonRecord {
    /// The contact: name, and when they opted out, were blocked or were admitted.
    pub contact: Value,
    /// Their addresses.
    pub addresses: Vec<Value>,
    /// What model calls for them have cost, by day.
    pub usage: Vec<Value>,
    /// Alerts about them.
    pub alerts: Vec<Value>,
    /// Messages about these alerts, as they were sent.
    pub alert_messages: Vec<Value>,
    /// Their conversations, oldest first.
    pub conversations: Vec<ConversationId>,
}

/// A conversation without its turns.
#[derive(Clone, Debug, PartialEq)]
pub struct ConversationRecord {
    /// The conversation.
    pub conversation: Value,
    /// The files that it holds.
    pub files: Vec<FileRecord>,
}

/// A file of a conversation.
#[derive(Clone, Debug, PartialEq)]
pub struct FileRecord {
    /// Its name in the folder of files.
    pub hash: FileHash,
    /// Its media type.
    pub media_type: String,
    /// Its own name, if it had one.
    pub name: Option<String>,
    /// The whole record.
    pub record: Value,
}

/// Reads the webhook log for one person, page by page.
#[derive(Clone)]
pub struct WebhookLogOfPerson {
    traces: Arc<Traces>,
}

impl Store {
    /// Returns what is held on a contact; `None` if there is no such contact.
    pub async fn person_record(&self, contact: i64) -> Result<Option<PersonRecord>, StoreError> {
        self.read(move |tx| {
            let Some(found) = tx.fetch_optional(CONTACT, args![contact], |row| record(row, CONTACT_COLUMNS))? else {
                return Ok(None);
            };
            let traces = Traces::of_contact(tx, contact)?;
            let alerts = tx.fetch_all(ALERTS, &[], |row| {
                let ours = traces.are_in_alert(row.text(1)?, row.text(2)?);
                Ok(if ours { Some(record(row, ALERT_COLUMNS)?) } else { None })
            })?;
            let alert_messages = tx.fetch_all(ALERT_MESSAGES, &[], |row| {
                let ours = traces.are_in_alert(row.text(1)?, row.text(3)?);
                Ok(if ours { Some(record(row, ALERT_MESSAGE_COLUMNS)?) } else { None })
            })?;
            let scope = format!("contact {contact}");
            Ok(Some(PersonRecord {
                contact: found,
                addresses: tx.fetch_all(ADDRESSES, args![contact], |row| record(row, ADDRESS_COLUMNS))?,
                usage: tx.fetch_all(USAGE, args![scope.as_str()], |row| record(row, USAGE_COLUMNS))?,
                alerts: alerts.into_iter().flatten().collect(),
                alert_messages: alert_messages.into_iter().flatten().collect(),
                conversations: {
                    let mut ids = traces.conversations;
                    ids.sort_unstable();
                    ids
                },
            }))
        })
        .await
    }

    /// Returns a conversation with its files, without its turns.
    pub async fn conversation_record(&self, id: ConversationId) -> Result<Option<ConversationRecord>, StoreError> {
        self.read(move |tx| {
            let found = tx.fetch_optional(CONVERSATION, args![&id], |row| record(row, CONVERSATION_COLUMNS))?;
            let files = tx.fetch_all(FILES, args![&id], |row| {
                Ok(FileRecord {
                    hash: FileHash::parse(row.text(0)?).ok_or_else(|| StoreError::unexpected(0, "a hash"))?,
                    media_type: row.text(1)?.to_owned(),
                    name: row.text_or_null(2)?.map(str::to_owned),
                    record: record(row, FILE_COLUMNS)?,
                })
            })?;
            Ok(found.map(|conversation| ConversationRecord { conversation, files }))
        })
        .await
    }

    /// Returns the turns of a conversation after that turn, oldest first, a page of them: each with its messages and
    /// the parts of its reply. The last page is empty.
    pub async fn turn_records(
        &self,
        conversation: ConversationId,
        after: TurnId,
    ) -> Result<Vec<(TurnId, Value)>, StoreError> {
        self.read(move |tx| {
            let turns = tx.fetch_all(TURNS, args![&conversation, after, PAGE], |row| row.int(0).map(TurnId))?;
            turns.into_iter().map(|turn| Ok((turn, turn_record(tx, &conversation, turn)?))).collect()
        })
        .await
    }

    /// Returns the reader of a person's part of the webhook log.
    pub async fn webhook_log_of_person(&self, contact: i64) -> Result<WebhookLogOfPerson, StoreError> {
        let traces = self.read(move |tx| Traces::of_contact(tx, contact)).await?;
        Ok(WebhookLogOfPerson { traces: Arc::new(traces) })
    }

    /// Returns the person's webhooks among the rows after `after`, and the id after which the next page begins, or
    /// `None` if this was the last.
    pub async fn webhook_records(
        &self,
        of: &WebhookLogOfPerson,
        after: i64,
    ) -> Result<(Vec<Value>, Option<i64>), StoreError> {
        let traces = Arc::clone(&of.traces);
        self.read(move |tx| webhook_page(tx, &traces, after, |row| record(row, WEBHOOK_COLUMNS))).await
    }
}

/// Returns what `map` makes of the person's webhooks in one page of the log, and where the next page begins.
pub(in crate::store) fn webhook_page<T>(
    tx: &mut dyn Tx,
    traces: &Traces,
    after: i64,
    map: impl Fn(&dyn Row) -> Result<T, StoreError>,
) -> Result<(Vec<T>, Option<i64>), StoreError> {
    let mut last = None;
    let mut found = Vec::new();
    tx.for_each_row(WEBHOOKS, args![after, PAGE], &mut |row| {
        last = Some(row.int(0)?);
        let message = row.bytes_or_null(8)?.map(|_| row.uuid(8)).transpose()?;
        match traces.in_webhook(message, [row.text(3)?, row.text(5)?]) {
            WebhookOwner::Other => {}
            WebhookOwner::Person => found.push((None, map(row)?)),
            WebhookOwner::Message(message) => found.push((Some(message), map(row)?)),
        }
        Ok(())
    })?;
    let of_others: HashSet<_> = found.iter().filter_map(|(message, _)| *message).collect();
    let of_others = existing_messages(tx, &of_others)?;
    let own = found.into_iter().filter(|(message, _)| message.is_none_or(|message| !of_others.contains(&message)));
    Ok((own.map(|(_, row)| row).collect(), last))
}

fn turn_record(tx: &mut dyn Tx, conversation: &ConversationId, turn: TurnId) -> Result<Value, StoreError> {
    let found = tx.fetch_optional(TURN, args![turn], |row| record(row, TURN_COLUMNS))?;
    let mut found = found.unwrap_or_else(|| json!({ "id": turn.0 }));
    let mut messages = tx.fetch_all(MESSAGES, args![conversation, turn], |row| {
        Ok((crate::model::MessageId(row.uuid(0)?), record(row, MESSAGE_COLUMNS)?))
    })?;
    for (id, message) in &mut messages {
        message["attachments"] =
            tx.fetch_all(ATTACHMENTS, args![conversation, &*id], |row| record(row, ATTACHMENT_COLUMNS))?.into();
    }
    found["messages"] = messages.into_iter().map(|(_, message)| message).collect();
    found["parts"] = tx.fetch_all(PARTS, args![turn], |row| record(row, PART_COLUMNS))?.into();
    Ok(found)
}

/// Returns a row as a JSON object.
fn record(row: &dyn Row, columns: &[Column]) -> Result<Value, StoreError> {
    let mut object = Map::new();
    for (at, (name, kind)) in columns.iter().enumerate() {
        let value = match kind {
            Kind::Int => row.int_or_null(at)?.map_or(Value::Null, Value::from),
            Kind::Flag => row.int_or_null(at)?.map_or(Value::Null, |flag| Value::from(flag != 0)),
            Kind::Text => row.text_or_null(at)?.map_or(Value::Null, Value::from),
            Kind::Time => row.int_or_null(at)?.map_or(Value::Null, |time| Time(time).to_string().into()),
            Kind::Id => match row.bytes_or_null(at)? {
                Some(_) => row.uuid(at)?.to_string().into(),
                None => Value::Null,
            },
            // A text that is no JSON is exported as it is.
            Kind::Json => row
                .text_or_null(at)?
                .map_or(Value::Null, |text| serde_json::from_str(text).unwrap_or_else(|_| text.into())),
        };
        object.insert((*name).to_owned(), value);
    }
    Ok(Value::Object(object))
}

#[cfg(test)]
#[path = "records_tests.rs"]
mod tests;
