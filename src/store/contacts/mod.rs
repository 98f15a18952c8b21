//! Contacts: who wrote, which addresses they have, and whether they opted out or are blocked.
//!
//! This folder may import `operations`, `sqlite` and `database`. To add something about a contact, add a file here and,
//! if it must survive a merge of two contacts, a line in `merge`.

pub(in crate::store) mod addresses;
pub(in crate::store) mod blocking;
pub(in crate::store) mod merge;
pub(in crate::store) mod opt_out;
pub(in crate::store) mod reachability;
pub(in crate::store) mod resolve;
pub(in crate::store) mod restrictions;
