//! Recognizes what belongs to a person in records that do not say whom they are about: the webhook log and alerts.

use std::collections::HashSet;

use percent_encoding::percent_decode_str;
use uuid::Uuid;

use crate::model::{Address, ConversationId};
use crate::store::contacts::resolve;
use crate::store::database::{StoreError, Tx, args};

const OWN_CONVERSATIONS: &str = "SELECT id FROM conversations WHERE contact_id = ?1";

const OWN_MESSAGES: &str = "
    SELECT m.id FROM conversations c JOIN messages m ON m.conversation_id = c.id WHERE c.contact_id = ?1";

/// Reads every message's id, only if a logged message names the person and is not one of theirs.
const ALL_MESSAGES: &str = "SELECT id FROM messages WHERE id IS NOT NULL";

/// What a person's records are recognized by.
#[derive(Clone)]
pub(in crate::store) struct Traces {
    pub(in crate::store) conversations: Vec<ConversationId>,
    messages: HashSet<Uuid>,
    addresses: Vec<Address>,
}

impl Traces {
    pub(in crate::store) fn of_contact(tx: &mut dyn Tx, contact: i64) -> Result<Traces, StoreError> {
        let conversations = tx.fetch_all(OWN_CONVERSATIONS, args![contact], |row| row.uuid(0).map(ConversationId))?;
        let messages = tx.fetch_all(OWN_MESSAGES, args![contact], |row| row.uuid(0))?.into_iter().collect();
        let addresses = resolve::addresses(tx, contact)?.into_iter().map(|held| held.address).collect();
        Ok(Traces { conversations, messages, addresses })
    }

    /// Returns whether the text contains one of the person's addresses, as it is or in a form's encoding.
    pub(in crate::store) fn are_in(&self, text: &str) -> bool {
        let decoded = percent_decode_str(text).decode_utf8_lossy();
        self.addresses.iter().any(|address| contains_address(text, address) || contains_address(&decoded, address))
    }

    /// Returns whether an alert is about the person.
    pub(in crate::store) fn are_in_alert(&self, subject: &str, message: &str) -> bool {
        self.conversations.iter().any(|id| subject == id.to_string()) || self.are_in(subject) || self.are_in(message)
    }

    /// Returns whether a row of the webhook log is about the person, as far as that row tells.
    pub(in crate::store) fn in_webhook(&self, message: Option<Uuid>, texts: [&str; 2]) -> WebhookOwner {
        match message {
            Some(message) if self.messages.contains(&message) => WebhookOwner::Person,
            found if texts.iter().any(|text| self.are_in(text)) => {
                found.map_or(WebhookOwner::Person, WebhookOwner::Message)
            }
            _ => WebhookOwner::Other,
        }
    }
}

/// Whom a row of the webhook log is about.
pub(in crate::store) enum WebhookOwner {
    Person,
    Other,
    /// It names the person, and is about this message, which is not one of theirs. It belongs to somebody else who has
    /// had the same number, or the message was deleted.
    Message(Uuid),
}

/// Returns those of the messages that exist.
pub(in crate::store) fn existing_messages(
    tx: &mut dyn Tx,
    wanted: &HashSet<Uuid>,
) -> Result<HashSet<Uuid>, StoreError> {
    let mut found = HashSet::new();
    if wanted.is_empty() {
        return Ok(found);
    }
    tx.for_each_row(ALL_MESSAGES, &[], &mut |row| {
        let id = row.uuid(0)?;
        if wanted.contains(&id) {
            found.insert(id);
        }
        Ok(())
    })?;
    Ok(found)
}

/// Returns whether the address occurs by itself, not as part of a longer number or ID. A phone number counts with or
/// without its plus sign.
pub(in crate::store) fn contains_address(text: &str, address: &Address) -> bool {
    let (wanted, continues): (&str, fn(&u8) -> bool) = match address {
        Address::Phone(phone) => (phone.as_str().trim_start_matches('+'), u8::is_ascii_digit),
        Address::Bsuid(id) => (id.as_str(), u8::is_ascii_alphanumeric),
    };
    let bytes = text.as_bytes();
    text.match_indices(wanted).any(|(at, _)| {
        let before = at.checked_sub(1).and_then(|before| bytes.get(before));
        !before.is_some_and(continues) && !bytes.get(at + wanted.len()).is_some_and(continues)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_found_in_every_form_in_which_a_webhook_carries_it() {
        let traces = |address: &str| Traces {
            conversations: Vec::new(),
            messages: HashSet::new(),
            addresses: vec![Address::parse(address).unwrap()],
        };
        for body in [
            "From=whatsapp%3A%2B15551234567&Body=hi",
            "WaId=15551234567",
            "Body=call+%2015551234567",
            r#"{"from":"15551234567"}"#,
            "whatsapp:+15551234567",
        ] {
            assert!(traces("+15551234567").are_in(body), "{body}");
        }
        for body in ["WaId=155512345678", "MessageSid=SM9915551234567", "x=5551234567"] {
            assert!(!traces("+15551234567").are_in(body), "{body}");
        }
        assert!(traces("US.134").are_in("ExternalUserId=US.134&x=1"));
        assert!(!traces("US.134").are_in("ExternalUserId=US.1345"));
    }
}
