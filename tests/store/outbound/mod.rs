//! Messages to contacts: parts posted in order, those of unknown outcome, delivery statuses, files and templates.

pub mod delivery_status;
pub mod operator_files;
mod operator_steps;
pub mod parts;
pub mod reconcile;
pub mod template;
