//! What the owner runs and reads: alerts, budgets, retention, regular jobs, stored settings and secrets.

pub mod admin_sessions;
pub mod alerts;
pub mod budget;
pub mod retention;
pub mod schedule;
pub mod secrets;
pub mod settings;
