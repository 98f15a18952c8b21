//! What comes in: messages with their attachments, the log of webhooks, messages whose webhook never came.
//!
//! It may use the rooms below: `queue`, `conversations`, `contacts`, `operations`, `sqlite`, `database`. To add something about an
//! inbound message: a step in `receive`, which stores all of it in one transaction.

pub(in crate::store) mod admission;
pub(in crate::store) mod attachments;
pub(in crate::store) mod catch_up;
pub(in crate::store) mod quoted;
pub(in crate::store) mod receive;
pub(in crate::store) mod unread_attachments;
pub(in crate::store) mod webhook_log;
