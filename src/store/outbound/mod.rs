//! What goes out: replies and their parts, templates, operators' messages, delivery statuses.
//!
//! It may import all other folders of the store. To add a kind of outbound message, add a draft to `drafts` and a file
//! that queues it.

pub(in crate::store) mod answered_elsewhere;
pub(in crate::store) mod delivery_status;
pub(in crate::store) mod drafts;
pub(in crate::store) mod operator_messages;
pub(in crate::store) mod parts;
pub(in crate::store) mod reconcile;
pub(in crate::store) mod reply;
pub(in crate::store) mod template;
