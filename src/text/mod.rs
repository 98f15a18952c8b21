//! Text for WhatsApp: Markdown turned into its markup, and long texts split into messages; for both sides, text without
//! what hides in it.
//!
//! WhatsApp knows `*bold*`, `_italic_`, `~strike~`, code, lists and quotes, and nothing else of Markdown; a model writes
//! Markdown whatever it is told. [`whatsapp`] converts what the model wrote; [`split`] then cuts it into messages, and
//! [`halve`] cuts one that the provider still refused. Convert first, split after: only then are lengths final.
//!
//! To add: a new construct is one arm in `markdown.rs` and one row in its table of tests; a new way to cut is one
//! level in `split/cut.rs`, coarse before fine.

mod confidential_text;
mod credentials;
mod links;
mod markdown;
mod sanitize;
mod split;
mod tokens;

pub use confidential_text::ConfidentialText;
pub use credentials::Credentials;
pub use links::{LinkPolicy, replace_links};
pub use markdown::to_whatsapp;
pub use sanitize::{is_hidden, sanitize, truncate};
pub use split::{split, split_in_half};
pub use tokens::estimate_tokens;
