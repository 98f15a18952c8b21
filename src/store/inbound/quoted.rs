//! What a quoted message said, for the one that quotes it.

use crate::model::{Inbound, QUOTE_PLACEHOLDER};
use crate::store::database::Row;
use crate::store::database::StoreError;
use crate::store::database::Tx;
use crate::store::database::args;

/// What one of our parts said, to whom.
const OWN_PART_TEXT: &str = "
    SELECT p.body FROM parts p JOIN conversations c ON c.id = p.conversation_id
    WHERE p.provider_id = ?1 AND c.contact_id = ?2";

const CONTACT_MESSAGE_TEXT: &str = "
    SELECT m.content FROM messages m JOIN conversations c ON c.id = m.conversation_id
    WHERE m.channel = ?1 AND m.provider_id = ?2 AND m.provider_id IS NOT NULL AND c.contact_id = ?3";

/// As much of a quoted message as tells which one it is, in characters.
const MAX_QUOTE_CHARS: usize = 200;

/// The text of a message with the words of the one that it quotes, where those are known and were said with this contact.
pub(in crate::store) fn text_with_quote(
    tx: &mut dyn Tx,
    inbound: &Inbound,
    contact: i64,
) -> Result<Option<String>, StoreError> {
    let Some(quoted) = &inbound.quoted_id else { return Ok(None) };
    let Some(text) = inbound.text.strip_suffix(QUOTE_PLACEHOLDER) else { return Ok(None) };
    let content = |row: &dyn Row| row.text(0).map(str::to_owned);
    let said = match tx.fetch_optional(OWN_PART_TEXT, args![quoted.0.as_str(), contact], content)? {
        Some(said) => Some(said),
        None => tx.fetch_optional(CONTACT_MESSAGE_TEXT, args![inbound.channel, quoted.0.as_str(), contact], content)?,
    };
    Ok(said.filter(|said| !said.trim().is_empty()).map(|said| {
        let line = said.split_whitespace().collect::<Vec<_>>().join(" ");
        let more = if line.chars().count() > MAX_QUOTE_CHARS { "…" } else { "" };
        let quote: String = line.chars().take(MAX_QUOTE_CHARS).collect();
        format!("{text}[in reply to: “{quote}{more}”]")
    }))
}
