//! What a quoted message said, for the one that quotes it.

use crate::model::{Inbound, QUOTED};
use crate::store::database::Row;
use crate::store::database::StoreError;
use crate::store::database::Tx;
use crate::store::database::args;

/// What one of our parts said, to whom.
const SAID_BY_US: &str = "
    SELECT p.body FROM parts p JOIN conversations c ON c.id = p.conversation_id
    WHERE p.provider_id = ?1 AND c.contact_id = ?2";

const SAID_BY_THEM: &str = "
    SELECT m.content FROM messages m JOIN conversations c ON c.id = m.conversation_id
    WHERE m.channel = ?1 AND m.provider_id = ?2 AND m.provider_id IS NOT NULL AND c.contact_id = ?3";

/// As much of a quoted message as tells which one it is, in characters.
const QUOTE: usize = 200;

/// The text of a message with the words of the one that it quotes, where those are known and were said with this contact.
pub(in crate::store) fn in_words(
    tx: &mut dyn Tx,
    inbound: &Inbound,
    contact: i64,
) -> Result<Option<String>, StoreError> {
    let Some(quoted) = &inbound.quoted else { return Ok(None) };
    let Some(text) = inbound.text.strip_suffix(QUOTED) else { return Ok(None) };
    let content = |row: &dyn Row| row.text(0).map(str::to_owned);
    let said = match tx.one(SAID_BY_US, args![quoted.0.as_str(), contact], content)? {
        Some(said) => Some(said),
        None => tx.one(SAID_BY_THEM, args![inbound.channel, quoted.0.as_str(), contact], content)?,
    };
    Ok(said.filter(|said| !said.trim().is_empty()).map(|said| {
        let line = said.split_whitespace().collect::<Vec<_>>().join(" ");
        let more = if line.chars().count() > QUOTE { "…" } else { "" };
        let quote: String = line.chars().take(QUOTE).collect();
        format!("{text}[in reply to: “{quote}{more}”]")
    }))
}
