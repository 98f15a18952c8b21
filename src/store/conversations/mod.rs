//! Conversations and their messages: listing, transcript, context window, ending.
//!
//! It may use the rooms below: `contacts`, `operations`, `sqlite`, `database`. To add something: a file here. A write to what the
//! model sees raises the conversation's revision.

pub(in crate::store) mod ending;
pub(in crate::store) mod listing;
pub(in crate::store) mod messages;
pub(in crate::store) mod short_ids;
pub(in crate::store) mod transcript;
pub(in crate::store) mod window;
