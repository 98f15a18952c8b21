//! Blocks contacts for an operator: they get no answers and no messages.

use super::opt_out::cancel_pending;
use super::resolve;
use crate::clock::Time;
use crate::model::Address;
use crate::store::database::{Store, StoreError, args};
use crate::store::operations::erased;

const CONTACT: &str = "SELECT contact_id FROM addresses WHERE kind = ?1 AND value = ?2";

const NEW_CONTACT: &str = "INSERT INTO contacts (name, created_at, blocked_at) VALUES (NULL, ?1, ?1)";

const NEW_ADDRESS: &str = "INSERT INTO addresses (kind, value, contact_id, created_at) VALUES (?1, ?2, ?3, ?4)";

const BLOCK: &str = "UPDATE contacts SET blocked_at = ?2 WHERE id = ?1";

impl Store {
    /// Blocks or unblocks the contact with that address. Creates the contact if there is none.
    pub async fn set_blocked(&self, address: Address, blocked: bool, now: Time) -> Result<(), StoreError> {
        let erasure_key = self.erasure_key.clone();
        self.write(move |tx| {
            let (kind, value) = (address.kind(), address.as_str());
            let contact = match tx.fetch_optional(CONTACT, args![kind, value], |row| row.int(0))? {
                Some(contact) => contact,
                None => {
                    let contact = tx.insert(NEW_CONTACT, args![now])?;
                    tx.execute(NEW_ADDRESS, args![kind, value, contact, now])?;
                    if let Some(key) = &erasure_key {
                        resolve::inherit_from_erased(tx, key, &address, contact, now)?;
                    }
                    contact
                }
            };
            tx.execute(BLOCK, args![contact, blocked.then_some(now)])?;
            if let (Some(key), false) = (&erasure_key, blocked) {
                let held = resolve::addresses(tx, contact)?;
                erased::clear_block(tx, key, held.iter().map(|held| &held.address))?;
            }
            if blocked {
                cancel_pending(tx, contact, "the contact is blocked", now)?;
            }
            Ok(())
        })
        .await
    }
}
