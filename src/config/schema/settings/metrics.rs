//! The settings of the metrics.

use super::DefaultValue::Computed;
use super::Group::Monitoring;
use super::Setting;
use super::table::ROW_DEFAULTS;

/// The rows, in the order of the reference.
pub(in crate::config) const ROWS: &[Setting] = &[Setting {
    key: "MYNAH_METRICS_TOKEN",
    file_key: "metrics_token",
    group: Monitoring,
    secret: true,
    default: Computed(
        "none: mynah serves metrics without a token, but only to this machine and the networks in \
         `MYNAH_TRUSTED_PROXIES`",
    ),
    expects: "at least 16 characters without spaces",
    meaning: "The bearer token for `/metrics`. With a token, mynah serves metrics to everybody who sends it, and to \
              nobody else. See [monitoring](monitoring.md).",
    ..ROW_DEFAULTS
}];
