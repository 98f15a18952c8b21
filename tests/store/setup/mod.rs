//! What all tests of the store share: an empty store, and steps such as "a contact writes".

pub mod fresh_store;
