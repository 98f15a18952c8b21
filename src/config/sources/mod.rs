//! The layers that values come from: flags, environment, files, credentials, `mynah.toml`, a number's file, stored
//! settings.
//!
//! This module may use `schema`. To add a layer, add a variant of `Origin` and a step in `Layers::find`.

pub(in crate::config) mod environment;
pub(in crate::config) mod file;
pub(in crate::config) mod layers;
pub(in crate::config) mod own_settings;
pub(in crate::config) mod reader;
pub(in crate::config) mod value;
