//! mynah answers a business's WhatsApp messages with a language model: one executable, one data folder.
//!
//! The map. A floor imports only lower floors; rooms on one floor do not know each other (`tests/api/structure` reads the
//! imports and names the file that climbs).
//!
//! | floor | rooms |
//! | --- | --- |
//! | 0 | [`model`] [`clock`] [`fault`] [`text`] [`media`] [`failpoint`]: plain data, no input or output |
//! | 1 | [`config`] [`http`] |
//! | 2 | [`telemetry`] [`concurrency_limit`] [`breaker`] [`secrets`] [`files`] [`store`] [`cache`] [`channel`] [`ai`] [`reader`] |
//! | 3 | [`app`] |
//! | 4 | [`work`] [`web`] [`simulator`] |
//! | 5 | [`daemon`] |
//! | 6 | [`cli`] |

pub mod ai;
pub mod app;
pub mod breaker;
pub mod cache;
pub mod channel;
pub mod cli;
pub mod clock;
pub mod concurrency_limit;
pub mod config;
pub mod daemon;
pub mod failpoint;
pub mod fault;
pub mod files;
pub mod http;
pub mod media;
pub mod model;
pub mod reader;
pub mod secrets;
pub mod simulator;
pub mod store;
pub mod telemetry;
pub mod text;
pub mod web;
pub mod work;
