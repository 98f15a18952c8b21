//! What there is to set: the table of settings with their defaults, the reference made from it, how values are parsed, and what is
//! said of wrong ones.
//!
//! It uses no other room of the configuration. To add a setting: a row in a file of `settings/`.

pub(in crate::config) mod default_texts;
pub(in crate::config) mod names;
pub(in crate::config) mod nearest_name;
pub(in crate::config) mod parse;
pub(in crate::config) mod problem;
pub(in crate::config) mod reference;
pub(in crate::config) mod settings;
