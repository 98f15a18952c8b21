//! Whether a person may be written to, and when they last wrote to one of our numbers.

use crate::clock::Time;
use crate::model::Address;
use crate::store::contacts::restrictions::contact_flags;
use crate::store::database::{Store, StoreError, args};

const CONTACT: &str = "SELECT contact_id FROM addresses WHERE kind = ?1 AND value = ?2";

/// With an empty address of ours, those of the whole account count.
const LAST_INBOUND: &str = "
    SELECT MAX(last_inbound_at) FROM conversations
    WHERE contact_id = ?1 AND account = ?2 AND (our_address = ?3 OR ?3 = '')";

/// What is known of a person who is to be written to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reachability {
    /// Whether they opted out.
    pub opted_out: bool,
    /// Whether they are blocked.
    pub blocked: bool,
    /// When they last wrote to the number; `None` if they never did, as far as is known.
    pub last_inbound_at: Option<Time>,
}

impl Store {
    /// Returns what is known of the person with that address, on one number: its account at the provider, and its
    /// address, which may be empty if the account's senders are not told apart.
    pub async fn reachability(
        &self,
        address: Address,
        account: String,
        our_address: String,
    ) -> Result<Reachability, StoreError> {
        self.read(move |tx| {
            let (kind, value) = (address.kind(), address.as_str());
            let Some(contact) = tx.fetch_optional(CONTACT, args![kind, value], |row| row.int(0))? else {
                return Ok(Reachability::default());
            };
            let flags = contact_flags(tx, contact)?;
            let last =
                tx.fetch_optional(LAST_INBOUND, args![contact, account.as_str(), our_address.as_str()], |row| {
                    row.int_or_null(0)
                })?;
            Ok(Reachability {
                opted_out: flags.opted_out_at.is_some(),
                blocked: flags.blocked_at.is_some(),
                last_inbound_at: last.flatten().map(Time),
            })
        })
        .await
    }
}
