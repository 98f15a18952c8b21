//! Opt-outs and blocks of contacts, and how they carry over when contacts are merged or a number changes hands.

use super::opt_out::cancel_pending;
use crate::clock::Time;
use crate::store::database::{StoreError, Tx, args};

const CONTACT_FLAGS: &str =
    "SELECT opted_out_at, blocked_at, admitted_at, noticed_at, name FROM contacts WHERE id = ?1";

/// The times at which a contact opted out, was blocked, was admitted and was last sent a notice.
#[derive(Clone, Copy, Default)]
pub(in crate::store) struct ContactFlags {
    pub(in crate::store) opted_out_at: Option<i64>,
    pub(in crate::store) blocked_at: Option<i64>,
    pub(in crate::store) admitted_at: Option<i64>,
    pub(in crate::store) noticed_at: Option<i64>,
}

/// Returns the flags of a contact.
pub(in crate::store) fn contact_flags(tx: &mut dyn Tx, contact: i64) -> Result<ContactFlags, StoreError> {
    Ok(contact_flags_and_name(tx, contact)?.0)
}

/// Returns the flags and the name of a contact.
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

/// Cancels what is pending for a contact who takes over the flags `of` another, if those opt them out or block them and
/// their own did not.
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
