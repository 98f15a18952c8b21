//! What the owner runs the business with: alerts, budgets, retention, the schedule, stored settings, secrets, files.
//!
//! It may use `database` and `sqlite`. To add something: a file with its statements beside an `impl Store`, and its promises in
//! `tests/store/operations`.

pub(in crate::store) mod alerts;
pub(in crate::store) mod budget;
pub(in crate::store) mod files;
pub(in crate::store) mod retention;
pub(in crate::store) mod schedule;
pub(in crate::store) mod secrets;
pub(in crate::store) mod settings;
