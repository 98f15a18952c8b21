//! Finds the contact who sent a message: by user ID, then by phone number. Both become addresses of one contact.
//!
//! If somebody writes with both addresses, and each belonged to a different contact, the two contacts are merged
//! (`merge`). If the contact of a phone number is known by a different user ID, another person has the number now: it
//! moves to that person together with its opt-out and block, but without any messages. A user ID identifies a person to
//! one business only, so a person has one user ID for each account. Two user IDs therefore mean two persons only if
//! both came through the same account.

use std::time::Duration;

use tracing::info;

use super::merge;
use super::restrictions::{ContactFlags, cancel_if_newly_forbidden, contact_flags, contact_flags_and_name};
use crate::clock::Time;
use crate::model::{Address, Inbound};
use crate::store::database::{ErasureKey, StoreError, Tx, args};
use crate::store::operations::erased;

const HOLDER: &str = "SELECT contact_id, seen_at, accounts FROM addresses WHERE kind = ?1 AND value = ?2";

const USER_IDS: &str = "SELECT value, accounts FROM addresses WHERE contact_id = ?1 AND kind = 'bsuid'";

const SET_ACCOUNTS: &str = "UPDATE addresses SET accounts = ?2 WHERE kind = 'bsuid' AND value = ?1";

const ALL: &str = "SELECT kind, value, seen_at FROM addresses WHERE contact_id = ?1";

const NEW_CONTACT: &str = "INSERT INTO contacts (name, created_at) VALUES (?1, ?2)";

const RENAME: &str = "UPDATE contacts SET name = ?2 WHERE id = ?1";

const NEW_ADDRESS: &str = "
    INSERT INTO addresses (kind, value, contact_id, created_at, seen_at, accounts) VALUES (?1, ?2, ?3, ?4, ?4, ?5)";

const SEEN: &str = "UPDATE addresses SET seen_at = ?3 WHERE kind = ?1 AND value = ?2";

const MOVE: &str = "UPDATE addresses SET contact_id = ?2 WHERE kind = 'phone' AND value = ?1";

const INHERIT: &str = "
    UPDATE contacts SET opted_out_at = COALESCE(opted_out_at, ?2), blocked_at = COALESCE(blocked_at, ?3) WHERE id = ?1";

const REDIRECT: &str = "
    UPDATE conversations SET reply_to = ?3 WHERE contact_id = ?1 AND reply_to = ?2 AND account = COALESCE(?4, account)";

/// `seen_at` is written at most this often, because each page that is written costs disk.
const SEEN_AT_RESOLUTION: Duration = Duration::from_secs(24 * 3600);

/// Answers go to a phone number that was seen within this time, even if the person hides it now.
const PHONE_REPLY_PERIOD: Duration = Duration::from_secs(30 * 24 * 3600);

/// The contact who wrote, and what was decided about them.
pub(in crate::store) struct Contact {
    pub(in crate::store) id: i64,
    pub(in crate::store) opted_out: Option<Time>,
    pub(in crate::store) blocked: bool,
    pub(in crate::store) admitted: bool,
    pub(in crate::store) noticed_at: Option<Time>,
}

/// One address of a contact.
pub(in crate::store) struct ContactAddress {
    pub(in crate::store) address: Address,
    pub(in crate::store) seen_at: Option<Time>,
}

struct AddressHolder {
    contact: i64,
    seen_at: Option<Time>,
    accounts: Option<String>,
}

/// One user ID of a contact.
struct UserId {
    value: String,
    /// The accounts that it came through, separated by spaces; `None` if an operator named it.
    accounts: Option<String>,
}

impl UserId {
    fn was_seen_through(&self, account: &str) -> bool {
        self.accounts.as_deref().is_none_or(|accounts| accounts.split(' ').any(|one| one == account))
    }

    /// Whether both may have come through the same account. True if the accounts of either are not known.
    fn may_share_account_with(&self, other: &UserId) -> bool {
        self.accounts.as_deref().is_none_or(|accounts| accounts.split(' ').any(|one| other.was_seen_through(one)))
    }
}

/// Returns the contact who sent the message through that account. Creates, merges, or updates contacts as the addresses
/// of the message require. A STOP or a block of an erased person is recognized by `erasure_key`.
pub(in crate::store) fn resolve_contact(
    tx: &mut dyn Tx,
    inbound: &Inbound,
    account: &str,
    erasure_key: Option<&ErasureKey>,
) -> Result<Contact, StoreError> {
    let (from, now) = (&inbound.from, inbound.received_at);
    let mut by_id = None;
    if let Some(bsuid) = from.bsuid() {
        by_id = address_holder(tx, "bsuid", bsuid.as_str())?;
    }
    let mut by_phone = None;
    if let Some(phone) = from.phone() {
        by_phone = address_holder(tx, "phone", phone.as_str())?;
    }
    let contact_of = |holder: &Option<AddressHolder>| holder.as_ref().map(|holder| holder.contact);
    let id = match (contact_of(&by_id), contact_of(&by_phone)) {
        (Some(one), Some(other)) if one != other => {
            let (mine, theirs) = (user_ids(tx, one)?, user_ids(tx, other)?);
            let is_other_person =
                |id: &UserId| id.was_seen_through(account) || mine.iter().any(|one| one.may_share_account_with(id));
            if theirs.iter().any(is_other_person) {
                move_phone_to(tx, inbound, other, one)?
            } else {
                merge::merge(tx, one, other, now)?
            }
        }
        (Some(one), _) => one,
        (None, Some(other))
            if from.bsuid().is_some() && user_ids(tx, other)?.iter().any(|id| id.was_seen_through(account)) =>
        {
            let one = tx.insert(NEW_CONTACT, args![inbound.profile_name.as_deref(), now])?;
            move_phone_to(tx, inbound, other, one)?
        }
        (None, Some(other)) => other,
        (None, None) => tx.insert(NEW_CONTACT, args![inbound.profile_name.as_deref(), now])?,
    };
    if let Some(bsuid) = from.bsuid() {
        record_address_seen(tx, ("bsuid", bsuid.as_str(), Some(account)), by_id.as_ref(), id, now)?;
        if let Some(known) = &by_id {
            record_account(tx, bsuid.as_str(), known.accounts.as_deref(), account)?;
        }
    }
    if let Some(phone) = from.phone() {
        record_address_seen(tx, ("phone", phone.as_str(), None), by_phone.as_ref(), id, now)?;
    }
    if let Some(key) = erasure_key {
        for address in from.addresses() {
            let known = if address.kind() == "bsuid" { &by_id } else { &by_phone };
            if known.is_none() {
                inherit_from_erased(tx, key, address, id, now)?;
            }
        }
    }
    let (marks, known_name) = contact_flags_and_name(tx, id)?;
    // People change their names, and a contact who is known only from Twilio's list has no name yet.
    if let Some(name) = inbound.profile_name.as_deref().filter(|name| known_name.as_deref() != Some(*name)) {
        tx.execute(RENAME, args![id, name])?;
    }
    Ok(Contact {
        id,
        opted_out: marks.opted_out_at.map(Time),
        blocked: marks.blocked_at.is_some(),
        admitted: marks.admitted_at.is_some(),
        noticed_at: marks.noticed_at.map(Time),
    })
}

/// Returns where to answer a message: at the phone number that came with it, or else at a phone number of the contact
/// that was seen recently, or else where the message came from.
pub(in crate::store) fn reply_to(tx: &mut dyn Tx, inbound: &Inbound, contact: i64) -> Result<String, StoreError> {
    if inbound.from.phone().is_none() {
        let since = inbound.received_at - PHONE_REPLY_PERIOD;
        let phones = addresses(tx, contact)?.into_iter().filter(|held| matches!(held.address, Address::Phone(_)));
        let latest = phones.filter(|held| held.seen_at.is_some_and(|at| at > since)).max_by_key(|held| held.seen_at);
        if let Some(way) = latest.and_then(|held| inbound.address_in_channel_form(held.address.as_str())) {
            return Ok(way);
        }
    }
    Ok(inbound.reply_to.clone())
}

/// Returns all addresses of a contact.
pub(in crate::store) fn addresses(tx: &mut dyn Tx, contact: i64) -> Result<Vec<ContactAddress>, StoreError> {
    tx.fetch_all(ALL, args![contact], |row| {
        Ok(ContactAddress {
            address: Address::parse(row.text(1)?).map_err(|_| StoreError::unexpected(1, "an address"))?,
            seen_at: row.int_or_null(2)?.map(Time),
        })
    })
}

fn address_holder(tx: &mut dyn Tx, kind: &str, value: &str) -> Result<Option<AddressHolder>, StoreError> {
    tx.fetch_optional(HOLDER, args![kind, value], |row| {
        Ok(AddressHolder {
            contact: row.int(0)?,
            seen_at: row.int_or_null(1)?.map(Time),
            accounts: row.text_or_null(2)?.map(str::to_owned),
        })
    })
}

fn user_ids(tx: &mut dyn Tx, contact: i64) -> Result<Vec<UserId>, StoreError> {
    tx.fetch_all(USER_IDS, args![contact], |row| {
        Ok(UserId { value: row.text(0)?.to_owned(), accounts: row.text_or_null(1)?.map(str::to_owned) })
    })
}

/// A STOP or a block of a person who was erased applies to the contact who has the address now.
pub(in crate::store) fn inherit_from_erased(
    tx: &mut dyn Tx,
    key: &ErasureKey,
    address: &Address,
    contact: i64,
    now: Time,
) -> Result<(), StoreError> {
    let Some(erased) = erased::of_address(tx, key, address)? else { return Ok(()) };
    let flags =
        ContactFlags { opted_out_at: erased.opted_out_at, blocked_at: erased.blocked_at, ..ContactFlags::default() };
    cancel_if_newly_forbidden(tx, contact, flags, now)?;
    tx.execute(INHERIT, args![contact, flags.opted_out_at, flags.blocked_at]).map(drop)
}

/// Records that a user ID came through an account.
fn record_account(tx: &mut dyn Tx, id: &str, before: Option<&str>, account: &str) -> Result<(), StoreError> {
    let accounts = match before {
        Some(accounts) if accounts.split(' ').any(|one| one == account) => return Ok(()),
        Some(accounts) => format!("{accounts} {account}"),
        None => account.to_owned(),
    };
    tx.execute(SET_ACCOUNTS, args![id, accounts.as_str()]).map(drop)
}

/// Records that an address was seen. The tuple holds its kind, its value and, for a user ID, the account.
fn record_address_seen(
    tx: &mut dyn Tx,
    (kind, value, account): (&str, &str, Option<&str>),
    holder: Option<&AddressHolder>,
    contact: i64,
    now: Time,
) -> Result<(), StoreError> {
    match holder {
        None => tx.execute(NEW_ADDRESS, args![kind, value, contact, now, account])?,
        Some(holder) if holder.seen_at.is_some_and(|at| at > now - SEEN_AT_RESOLUTION) => 0,
        Some(_) => tx.execute(SEEN, args![kind, value, now])?,
    };
    Ok(())
}

/// Moves a phone number to another contact, because it came with a different user ID than its contact has: another
/// person has it now. Answers that wait for the previous contact go to the previous contact's user ID. The opt-out and
/// block of the number stay in force.
fn move_phone_to(tx: &mut dyn Tx, inbound: &Inbound, before: i64, after: i64) -> Result<i64, StoreError> {
    let Some(phone) = inbound.from.phone() else { return Ok(after) };
    info!(%phone, before, after, "a phone number came with a different user ID and now belongs to another contact");
    let forbidden = contact_flags(tx, before)?;
    cancel_if_newly_forbidden(tx, after, forbidden, inbound.received_at)?;
    tx.execute(INHERIT, args![after, forbidden.opted_out_at, forbidden.blocked_at])?;
    tx.execute(MOVE, args![phone.as_str(), after])?;
    // To the user ID of the conversation's account, or else to any, but never to the number, which is somebody else's
    // now.
    let Some(old) = inbound.address_in_channel_form(phone.as_str()) else { return Ok(after) };
    let ids = user_ids(tx, before)?;
    let of_each =
        ids.iter().flat_map(|id| id.accounts.iter().flat_map(|all| all.split(' ')).map(move |one| (id, Some(one))));
    for (id, account) in of_each.chain(ids.first().map(|id| (id, None))) {
        if let Some(new) = inbound.address_in_channel_form(&id.value) {
            tx.execute(REDIRECT, args![before, old.as_str(), new.as_str(), account])?;
        }
    }
    Ok(after)
}
