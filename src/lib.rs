//! mynah answers a business's WhatsApp messages with a language model: one executable, one data folder.
//!
//! The modules, by floor. A module imports only modules on lower floors. Modules on one floor do not import each other,
//! except on floor 0. The test `tests/api/structure` reads the imports and names each line that breaks this rule.
//!
//! | floor | modules |
//! | --- | --- |
//! | 0 | [`model`] [`clock`] [`fault`] [`text`] [`media`] [`failpoint`]: plain data, no input or output |
//! | 1 | [`config`] [`http`] |
//! | 2 | [`telemetry`] [`metrics`] [`concurrency_limit`] [`circuit_breaker`] [`secrets`] [`password`] [`disk_space`] [`form_origin`] [`file_owner`] [`file_store`] [`store`] [`cache`] |
//! | 2 | [`channel`] [`ai`] [`file_reader`] [`alerting`] |
//! | 3 | [`app`] |
//! | 4 | [`administration`] [`backup`] [`diagnosis`] [`personal_data`] |
//! | 5 | [`work`] [`web`] [`simulator`] |
//! | 6 | [`daemon`] |
//! | 7 | [`cli`] |

pub mod administration;
pub mod ai;
pub mod alerting;
pub mod app;
pub mod backup;
pub mod cache;
pub mod channel;
pub mod circuit_breaker;
pub mod cli;
pub mod clock;
pub mod concurrency_limit;
pub mod config;
pub mod daemon;
pub mod diagnosis;
pub mod disk_space;
pub mod failpoint;
pub mod fault;
pub mod file_owner;
pub mod file_reader;
pub mod file_store;
pub mod form_origin;
pub mod http;
pub mod media;
pub mod metrics;
pub mod model;
pub mod password;
pub mod personal_data;
pub mod secrets;
pub mod simulator;
pub mod store;
pub mod telemetry;
pub mod text;
pub mod web;
pub mod work;
