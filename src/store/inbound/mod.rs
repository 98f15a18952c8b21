//! What comes in: messages with their attachments, the log of webhooks, and messages whose webhook never came.
//!
//! Within the store, it imports only `queue`, `conversations`, `contacts`, `operations`, `sqlite` and `database`. To
//! add something about an inbound message, add a step to `receive`, which stores everything in one transaction.

pub(in crate::store) mod admission;
pub(in crate::store) mod attachments;
pub(in crate::store) mod catch_up;
mod decision;
mod message_transaction;
pub(in crate::store) mod quoted;
pub(in crate::store) mod receive;
mod turn_of_message;
pub(in crate::store) mod unread_attachments;
pub(in crate::store) mod webhook_log;
