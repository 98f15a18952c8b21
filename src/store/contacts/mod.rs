//! People: who wrote, by which addresses they are known, and what is forbidden to them.
//!
//! It may use the rooms below: `operations`, `sqlite`, `database`. To add something about a person: a file here, and if it must
//! survive a merge of two contacts, a line in `merge`.

pub(in crate::store) mod addresses;
pub(in crate::store) mod blocking;
pub(in crate::store) mod merge;
pub(in crate::store) mod opt_out;
pub(in crate::store) mod resolve;
pub(in crate::store) mod restrictions;
