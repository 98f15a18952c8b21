//! What comes in: webhooks that are refused, attachments, and messages whose webhook never came.

mod attachments;
mod catch_up;
mod hostile_files;
mod missed_messages;
mod refused_webhooks;
mod voice_notes;
