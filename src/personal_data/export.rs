//! The export of one person: a JSON document with everything that is held on them.

use std::collections::HashMap;
use std::io::Write;

use anyhow::{Context, Result, anyhow};
use serde_json::{Value, json};

use super::document::DocumentWriter;
use crate::clock::Time;
use crate::model::{FileHash, TurnId};
use crate::store::Store;

/// The name and the version of the document's form. A new member does not change the version.
const FORMAT: &str = "mynah person 1";

/// What was exported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct ExportSummary {
    /// Conversations, ended ones too.
    pub conversations: usize,
    /// Messages in them.
    pub messages: usize,
    /// Files that were copied, each once.
    pub files: usize,
    /// Files that are recorded and lie no longer in the data folder.
    pub missing_files: usize,
    /// Rows of the webhook log.
    pub webhooks: usize,
}

/// Writes the document about the contact. `paths` says where the files of the conversations lie beside the document;
/// files that it does not name are described without a path. The document is read page by page while a running `serve`
/// goes on, so a message that arrives meanwhile may or may not be in it.
///
/// # Errors
/// If there is no such contact, if the database cannot be read, or if the document cannot be written.
pub async fn write_document<W: Write>(
    store: &Store,
    contact: i64,
    paths: &HashMap<FileHash, String>,
    now: Time,
    out: W,
) -> Result<(ExportSummary, W)> {
    const CANNOT_WRITE: &str = "the export cannot be written";
    let person =
        store.person_record(contact).await?.ok_or_else(|| anyhow!("the contact was deleted at this moment"))?;
    let mut summary = ExportSummary { files: paths.len(), ..ExportSummary::default() };
    let mut document = DocumentWriter::begin(out).context(CANNOT_WRITE)?;
    let head = [
        ("format", FORMAT.into()),
        ("exported_at", now.to_string().into()),
        ("contact", person.contact),
        ("addresses", person.addresses.into()),
        ("usage", person.usage.into()),
        ("alerts", person.alerts.into()),
        ("alert_messages", person.alert_messages.into()),
    ];
    for (name, value) in &head {
        document.value(Some(name), value).context(CANNOT_WRITE)?;
    }
    document.begin_array("conversations").context(CANNOT_WRITE)?;
    for id in person.conversations {
        // Deleted since the list was read.
        let Some(found) = store.conversation_record(id).await? else { continue };
        summary.conversations += 1;
        let mut conversation = found.conversation;
        conversation["files"] = found
            .files
            .into_iter()
            .map(|file| {
                let mut record = file.record;
                record["path"] = paths.get(&file.hash).map_or(Value::Null, |path| path.as_str().into());
                record
            })
            .collect();
        document.begin_element(&conversation).context(CANNOT_WRITE)?;
        document.begin_array("turns").context(CANNOT_WRITE)?;
        let mut after = TurnId(0);
        loop {
            let page = store.turn_records(id, after).await?;
            let Some((last, _)) = page.last() else { break };
            after = *last;
            for (_, turn) in &page {
                summary.messages += turn["messages"].as_array().map_or(0, Vec::len);
                document.value(None, turn).context(CANNOT_WRITE)?;
            }
        }
        document.end_array().context(CANNOT_WRITE)?;
        document.end_element().context(CANNOT_WRITE)?;
    }
    document.end_array().context(CANNOT_WRITE)?;
    document.begin_array("webhooks").context(CANNOT_WRITE)?;
    let log = store.webhook_log_of_person(contact).await?;
    let mut from = Some(0);
    while let Some(after) = from {
        let (page, next) = store.webhook_records(&log, after).await?;
        summary.webhooks += page.len();
        for webhook in &page {
            document.value(None, webhook).context(CANNOT_WRITE)?;
        }
        from = next;
    }
    document.end_array().context(CANNOT_WRITE)?;
    let made_by = json!(format!("mynah {}", env!("CARGO_PKG_VERSION")));
    document.value(Some("made_by"), &made_by).context(CANNOT_WRITE)?;
    Ok((summary, document.finish().context(CANNOT_WRITE)?))
}
