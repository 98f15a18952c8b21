//! One file per section of the configuration: a documented struct, and the function that reads it.
//!
//! This module may use `schema` and `sources`. To add a section, add a file here and a field in
//! [`Config`](super::Config).

pub(in crate::config) mod admin;
pub(in crate::config) mod ai;
pub(in crate::config) mod ai_choice;
pub(in crate::config) mod alerts;
pub(in crate::config) mod backup;
pub(in crate::config) mod contact_policy;
pub(in crate::config) mod fallback;
pub(in crate::config) mod further_numbers;
pub(in crate::config) mod local_model;
pub(in crate::config) mod log;
pub(in crate::config) mod media;
pub(in crate::config) mod metrics;
pub(in crate::config) mod network;
pub(in crate::config) mod number_config;
pub(in crate::config) mod provider;
pub(in crate::config) mod server;
pub(in crate::config) mod texts;
pub(in crate::config) mod twilio;
pub(in crate::config) mod work;
