//! The table of settings with their defaults, the reference that is generated from it, the parsers of values, and the
//! errors about wrong values.
//!
//! This module uses no other module of the configuration. To add a setting, add a row in a file of `settings/`.

pub(in crate::config) mod default_texts;
pub(in crate::config) mod names;
pub(in crate::config) mod nearest_name;
pub(in crate::config) mod parse;
pub(in crate::config) mod problem;
pub(in crate::config) mod reference;
pub(in crate::config) mod settings;
