//! Conversations and their messages: listing, transcript, context window, ending.
//!
//! This folder may import `contacts`, `operations`, `sqlite` and `database`. To add something, add a file here. A write
//! that changes what the model sees must raise the conversation's revision.

pub(in crate::store) mod context_window;
pub(in crate::store) mod ending;
pub(in crate::store) mod listing;
pub(in crate::store) mod messages;
pub(in crate::store) mod short_ids;
pub(in crate::store) mod transcript;
