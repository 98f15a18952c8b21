//! The addresses of contacts, as they are shown to an operator.

use super::resolve;
use crate::clock::Time;
use crate::model::{Address, ConversationId};
use crate::store::database::{Store, StoreError, args};

const CONTACT_OF: &str = "SELECT contact_id FROM conversations WHERE id = ?1";

/// One address of a contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressRow {
    /// The address.
    pub address: Address,
    /// When the contact last wrote with it, to within a day; `None` if never.
    pub seen_at: Option<Time>,
}

impl Store {
    /// Returns the addresses of a conversation's contact.
    pub async fn contact_addresses(&self, id: ConversationId) -> Result<Vec<AddressRow>, StoreError> {
        self.read(move |tx| {
            let Some(contact) = tx.fetch_optional(CONTACT_OF, args![&id], |row| row.int(0))? else {
                return Ok(Vec::new());
            };
            let held = resolve::addresses(tx, contact)?;
            let row = |held: resolve::ContactAddress| {
                let resolve::ContactAddress { address, seen_at } = held;
                AddressRow { address, seen_at }
            };
            Ok(held.into_iter().map(row).collect())
        })
        .await
    }
}
