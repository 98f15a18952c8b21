//! Messages to contacts: parts posted in order, those of unknown outcome, delivery statuses, files and templates.

pub mod delivery_status;
pub mod files_and_templates;
pub mod parts;
pub mod reconcile;
