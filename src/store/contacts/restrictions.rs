//! What is forbidden to a contact, and what becomes of it where two contacts are one person or a number changes hands.

use super::opt_out::cancel_pending;
use crate::clock::Time;
use crate::store::database::StoreError;
use crate::store::database::Tx;
use crate::store::database::args;

const CONTACT_FLAGS: &str =
    "SELECT opted_out_at, blocked_at, admitted_at, noticed_at, name FROM contacts WHERE id = ?1";

/// What is forbidden to a contact, since when.
#[derive(Clone, Copy, Default)]
pub(in crate::store) struct ContactFlags {
    pub(in crate::store) opted_out_at: Option<i64>,
    pub(in crate::store) blocked_at: Option<i64>,
    pub(in crate::store) admitted_at: Option<i64>,
    pub(in crate::store) noticed_at: Option<i64>,
}

/// What is forbidden to a contact.
pub(in crate::store) fn contact_flags(tx: &mut dyn Tx, contact: i64) -> Result<ContactFlags, StoreError> {
    Ok(contact_flags_and_name(tx, contact)?.0)
}

/// The same, and what they are called.
pub(in crate::store) fn contact_flags_and_name(
    tx: &mut dyn Tx,
    contact: i64,
) -> Result<(ContactFlags, Option<String>), StoreError> {
    let found = tx.fetch_optional(CONTACT_FLAGS, args![contact], |row| {
        let marks = ContactFlags {
            opted_out_at: row.int_or_null(0)?,
            blocked_at: row.int_or_null(1)?,
            admitted_at: row.int_or_null(2)?,
            noticed_at: row.int_or_null(3)?,
        };
        Ok((marks, row.text_or_null(4)?.map(str::to_owned)))
    })?;
    Ok(found.unwrap_or_default())
}

/// Ends what is on its way to a contact who takes over what is forbidden to another, where it was not forbidden before.
pub(in crate::store) fn cancel_if_newly_forbidden(
    tx: &mut dyn Tx,
    contact: i64,
    of: ContactFlags,
    now: Time,
) -> Result<(), StoreError> {
    let own = contact_flags(tx, contact)?;
    if of.blocked_at.is_some() && own.blocked_at.is_none() {
        cancel_pending(tx, contact, "the contact is blocked", now)?;
    } else if of.opted_out_at.is_some() && own.opted_out_at.is_none() {
        cancel_pending(tx, contact, "the contact opted out", now)?;
    }
    Ok(())
}
