//! Adds the text of a quoted message to the message that quotes it.

use crate::model::{Inbound, QUOTE_PLACEHOLDER};
use crate::store::database::{Row, StoreError, Tx, args};

/// The text of one of our parts, if it went to this contact.
const OWN_PART_TEXT: &str = "
    SELECT p.body FROM parts p JOIN conversations c ON c.id = p.conversation_id
    WHERE p.provider_id = ?1 AND c.contact_id = ?2";

const CONTACT_MESSAGE_TEXT: &str = "
    SELECT m.content FROM messages m JOIN conversations c ON c.id = m.conversation_id
    WHERE m.channel = ?1 AND m.provider_id = ?2 AND m.provider_id IS NOT NULL AND c.contact_id = ?3";

/// How much of a quoted message is stored, in characters: enough to recognize it.
const MAX_QUOTE_CHARS: usize = 200;

/// Returns the text of a message with the text of the message that it quotes; `None` if that text is unknown or belongs
/// to another contact.
pub(in crate::store) fn text_with_quote(
    tx: &mut dyn Tx,
    inbound: &Inbound,
    contact: i64,
) -> Result<Option<String>, StoreError> {
    let Some(quoted) = &inbound.quoted_id else { return Ok(None) };
    let Some(text) = inbound.text.strip_suffix(QUOTE_PLACEHOLDER) else { return Ok(None) };
    let content = |row: &dyn Row| row.text(0).map(str::to_owned);
    let quoted_text = match tx.fetch_optional(OWN_PART_TEXT, args![quoted.0.as_str(), contact], content)? {
        Some(found) => Some(found),
        None => tx.fetch_optional(CONTACT_MESSAGE_TEXT, args![inbound.channel, quoted.0.as_str(), contact], content)?,
    };
    Ok(quoted_text.filter(|text| !text.trim().is_empty()).map(|quoted_text| {
        let line = quoted_text.split_whitespace().collect::<Vec<_>>().join(" ");
        let more = if line.chars().count() > MAX_QUOTE_CHARS { "…" } else { "" };
        let quote: String = line.chars().take(MAX_QUOTE_CHARS).collect();
        format!("{text}[in reply to: “{quote}{more}”]")
    }))
}
