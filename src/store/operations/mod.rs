//! Operations: alerts, budgets, retention, the schedule, the stored configuration, secrets, files.
//!
//! This folder may import `database` and `sqlite`. To add something, add a file with its statements beside an
//! `impl Store`, and tests in `tests/store/operations`.

pub(in crate::store) mod admin_accounts;
pub(in crate::store) mod admin_sessions;
pub(in crate::store) mod alert_deliveries;
pub(in crate::store) mod alerts;
pub(in crate::store) mod budget;
pub(in crate::store) mod configuration;
pub(in crate::store) mod configuration_revision;
pub(in crate::store) mod erased;
pub(in crate::store) mod files;
pub(in crate::store) mod retention;
pub(in crate::store) mod schedule;
pub(in crate::store) mod secrets;
pub(in crate::store) mod settings;
pub(in crate::store) mod stored_ai_configurations;
pub(in crate::store) mod stored_numbers;
