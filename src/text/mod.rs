//! Text for WhatsApp: converts Markdown to WhatsApp's markup and splits long texts into messages. For text in both
//! directions: removes hidden characters. For logs: masks phone numbers.
//!
//! WhatsApp supports `*bold*`, `_italic_`, `~strike~`, code, lists and quotes, and nothing else of Markdown. A model
//! writes Markdown whatever its instructions say. [`to_whatsapp`] converts the model's answer. [`split()`] then splits
//! it into messages, and [`split_in_half`] splits a message that the provider still refused. Convert before you split,
//! because only then are the lengths final.
//!
//! To support a new construct, add one arm in `markdown.rs` and one row in its table of tests. To add a new kind of
//! cut, add one level in `split/cut_point.rs`, coarse before fine.

mod confidential_text;
mod credentials;
mod links;
mod markdown;
mod phone_mask;
mod sanitize;
mod split;
mod token_estimate;

pub use confidential_text::ConfidentialText;
pub use credentials::Credentials;
pub use links::{LinkPolicy, replace_links};
pub use markdown::to_whatsapp;
pub use phone_mask::mask_phones;
pub use sanitize::{is_hidden, sanitize, truncate};
pub use split::{split, split_in_half};
pub use token_estimate::estimate_tokens;
