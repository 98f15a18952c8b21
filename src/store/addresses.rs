//! The addresses of contacts, as an operator sees them, and what is found out about them later.

use super::contacts;
use super::database::args;
use super::{Store, StoreError};
use crate::clock::Time;
use crate::model::{Address, ConversationId, Phone};

const MARK: &str = "UPDATE addresses SET invalid = ?2 WHERE kind = 'phone' AND value = ?1";

const OF: &str = "SELECT contact_id FROM conversations WHERE id = ?1";

/// One address of a contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressRow {
    /// The address.
    pub address: Address,
    /// When the contact last wrote with it, to within a day for a phone number; `None` is never.
    pub seen_at: Option<Time>,
    /// Whether it is a phone number that does not validate.
    pub invalid: bool,
}

impl Store {
    /// The addresses of a conversation's contact.
    pub async fn addresses(&self, id: ConversationId) -> Result<Vec<AddressRow>, StoreError> {
        self.read(move |tx| {
            let Some(contact) = tx.one(OF, args![&id], |row| row.int(0))? else { return Ok(Vec::new()) };
            let held = contacts::addresses(tx, contact)?;
            let row = |held: contacts::Held| {
                let contacts::Held { address, seen_at, invalid } = held;
                AddressRow { address, seen_at, invalid }
            };
            Ok(held.into_iter().map(row).collect())
        })
        .await
    }

    /// Marks a phone number as one that does not validate, or takes that back. It is looked at again after a day, so a power
    /// cut may undo it.
    pub async fn mark_phone(&self, phone: Phone, invalid: bool) -> Result<(), StoreError> {
        self.write_unflushed(move |tx| tx.execute(MARK, args![phone.as_str(), i64::from(invalid)]).map(drop)).await
    }
}
