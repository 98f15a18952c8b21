//! What is kept of an erased person: keyed hashes. They keep a STOP or a block in force, and recognize what would bring
//! the person back.

use std::path::Path;

use crate::clock::Time;
use crate::model::{Address, Inbound, ProviderId};
use crate::store::database::{Arg, ErasureKey, Row, Store, StoreError, Tx, args};
use crate::store::sqlite;

const REMEMBER: &str = "
    INSERT INTO erased_addresses (hash, person, erased_at, opted_out_at, blocked_at) VALUES (?1, ?2, ?3, ?4, ?5)
    ON CONFLICT (hash) DO UPDATE SET person = excluded.person, erased_at = excluded.erased_at,
        opted_out_at = excluded.opted_out_at, blocked_at = excluded.blocked_at";

const KNOWN: &str = "SELECT person, erased_at, opted_out_at, blocked_at FROM erased_addresses WHERE hash = ?1";

/// One row for each address that was ever erased.
const ALL: &str = "
    SELECT hash, person, erased_at, opted_out_at, blocked_at FROM erased_addresses WHERE erased_at IS NOT NULL";

const CLEAR_OPT_OUT: &str = "
    UPDATE erased_addresses SET opted_out_at = NULL
    WHERE person = (SELECT o.person FROM erased_addresses o WHERE o.hash = ?1)";

const CLEAR_BLOCK: &str = "
    UPDATE erased_addresses SET blocked_at = NULL
    WHERE person = (SELECT o.person FROM erased_addresses o WHERE o.hash = ?1)";

const REMEMBER_MESSAGE: &str = "
    INSERT INTO erased_messages (hash, erased_at) VALUES (?1, ?2) ON CONFLICT (hash) DO NOTHING";

const MESSAGE: &str = "SELECT 1 FROM erased_messages WHERE hash = ?1";

/// Few rows: the messages of one day for each erasure of a month.
const OLD_MESSAGES: &str = "DELETE FROM erased_messages WHERE erased_at < ?1";

/// What is kept of an address of an erased person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErasedAddress {
    /// The keyed hash of the address.
    pub(in crate::store) hash: [u8; 32],
    /// The least hash of the person's addresses.
    pub(in crate::store) person: [u8; 32],
    /// When the person was erased.
    pub(in crate::store) erased_at: Time,
    /// Since when they want no messages.
    pub(in crate::store) opted_out_at: Option<i64>,
    /// Since when they are blocked.
    pub(in crate::store) blocked_at: Option<i64>,
}

impl Store {
    /// Returns what is kept of erased persons, to be carried over into a restored backup by [`Store::erase_again`].
    pub async fn erased_addresses(&self) -> Result<Vec<ErasedAddress>, StoreError> {
        self.read(|tx| all(tx)).await
    }

    /// Deletes the hashes of messages that were erased before `before`. Returns how many it deleted.
    pub async fn delete_erased_messages(&self, before: Time) -> Result<u64, StoreError> {
        self.write(move |tx| tx.execute(OLD_MESSAGES, args![before])).await
    }
}

/// Returns what the database file keeps of erased persons, to be carried over into a restored backup by
/// [`Store::erase_again`]. Does not migrate the file. Returns nothing if there is no such file.
pub fn erased_addresses_in(database: &Path) -> Result<Vec<ErasedAddress>, StoreError> {
    let mut erased = Vec::new();
    sqlite::peek(database, &mut |table, tx| {
        if table == "erased_addresses" {
            erased = all(tx)?;
        }
        Ok(())
    })?;
    Ok(erased)
}

pub(in crate::store) fn all(tx: &mut dyn Tx) -> Result<Vec<ErasedAddress>, StoreError> {
    tx.fetch_all(ALL, &[], |row| {
        Ok(ErasedAddress {
            hash: hash_in(row, 0)?,
            person: hash_in(row, 1)?,
            erased_at: Time(row.int(2)?),
            opted_out_at: row.int_or_null(3)?,
            blocked_at: row.int_or_null(4)?,
        })
    })
}

fn hash_in(row: &dyn Row, column: usize) -> Result<[u8; 32], StoreError> {
    let hash = row.bytes_or_null(column)?.and_then(|hash| hash.try_into().ok());
    hash.ok_or_else(|| StoreError::unexpected(column, "a hash"))
}

pub(in crate::store) fn remember(tx: &mut dyn Tx, erased: &ErasedAddress) -> Result<(), StoreError> {
    let ErasedAddress { hash, person, erased_at, opted_out_at, blocked_at } = erased;
    let (hash, person) = (Arg::Bytes(hash), Arg::Bytes(person));
    tx.execute(REMEMBER, args![hash, person, *erased_at, *opted_out_at, *blocked_at]).map(drop)
}

/// Remembers a message of an erased person.
pub(in crate::store) fn remember_message(
    tx: &mut dyn Tx,
    key: &ErasureKey,
    (channel, id): (&str, &str),
    now: Time,
) -> Result<(), StoreError> {
    tx.execute(REMEMBER_MESSAGE, args![Arg::Bytes(&key.message_hash(channel, id)), now]).map(drop)
}

/// Returns what is kept of the address, if its person was erased.
pub(in crate::store) fn of_address(
    tx: &mut dyn Tx,
    key: &ErasureKey,
    address: &Address,
) -> Result<Option<ErasedAddress>, StoreError> {
    let hash = key.address_hash(address);
    tx.fetch_optional(KNOWN, args![Arg::Bytes(&hash)], |row| {
        Ok(ErasedAddress {
            hash,
            person: hash_in(row, 0)?,
            erased_at: Time(row.int(1)?),
            opted_out_at: row.int_or_null(2)?,
            blocked_at: row.int_or_null(3)?,
        })
    })
}

/// Returns whether the message was erased already: it was stored before, or the provider lists it as sent before its
/// sender was erased (`is_listed`).
pub(in crate::store) fn is_erased(
    tx: &mut dyn Tx,
    key: &ErasureKey,
    inbound: &Inbound,
    is_listed: bool,
) -> Result<bool, StoreError> {
    let ProviderId(id) = &inbound.provider_id;
    let hash = key.message_hash(inbound.channel, id);
    if tx.fetch_optional(MESSAGE, args![Arg::Bytes(&hash)], |_| Ok(()))?.is_some() {
        return Ok(true);
    }
    if is_listed {
        for address in inbound.from.addresses() {
            if of_address(tx, key, address)?.is_some_and(|erased| inbound.received_at <= erased.erased_at) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// The contact with these addresses wants messages again: by every address that they had when they were erased.
pub(in crate::store) fn clear_opt_out<'a>(
    tx: &mut dyn Tx,
    key: &ErasureKey,
    addresses: impl IntoIterator<Item = &'a Address>,
) -> Result<(), StoreError> {
    for address in addresses {
        tx.execute(CLEAR_OPT_OUT, args![Arg::Bytes(&key.address_hash(address))])?;
    }
    Ok(())
}

/// The contact with these addresses is no longer blocked, likewise.
pub(in crate::store) fn clear_block<'a>(
    tx: &mut dyn Tx,
    key: &ErasureKey,
    addresses: impl IntoIterator<Item = &'a Address>,
) -> Result<(), StoreError> {
    for address in addresses {
        tx.execute(CLEAR_BLOCK, args![Arg::Bytes(&key.address_hash(address))])?;
    }
    Ok(())
}
