//! Persons: finding the contact whom somebody means, and everything that is held on them, to export or erase it.
//!
//! This folder may import every other folder. What holds something of a person is listed in `records_tests.rs`: a
//! new table or column fails a test until it is exported, or listed there with the reason why not.

pub(in crate::store) mod erase;
pub(in crate::store) mod find;
pub(in crate::store) mod mentions;
pub(in crate::store) mod records;
pub(in crate::store) mod traces;
