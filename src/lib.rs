//! mynah answers a business's WhatsApp messages with a language model: one executable, one data folder.
//!
//! The map. A floor imports only lower floors; rooms on one floor do not know each other (`tests/api/floors.rs` reads
//! the paths and names the line that climbs).
//!
//! | floor | rooms |
//! | --- | --- |
//! | 0 | [`model`] [`clock`] [`fault`] [`text`]: plain data, no input or output |
//! | 1 | [`config`] [`http`] |
//! | 2 | [`channel`] [`ai`] |

pub mod ai;
pub mod channel;
pub mod clock;
pub mod config;
pub mod failpoint;
pub mod fault;
pub mod http;
pub mod model;
pub mod store;
pub mod text;
