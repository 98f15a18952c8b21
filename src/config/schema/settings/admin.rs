//! The settings of the admin page.

use super::DefaultValue::{Computed, Value};
use super::Group::Server;
use super::Setting;
use super::table::ROW_DEFAULTS;

/// The rows, in the order of the reference.
pub(in crate::config) const ROWS: &[Setting] = &[
    Setting {
        key: "MYNAH_ADMIN",
        file_key: "admin",
        group: Server,
        default: Value("true"),
        expects: "true or false",
        meaning: "Whether mynah serves the admin page at `/admin`.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_ADMIN_PASSWORD",
        file_key: "admin_password",
        group: Server,
        secret: true,
        default: Computed("none: without an account, `serve` prints a code that opens the page for the first password"),
        expects: "at least 10 characters",
        meaning: "The password of the first account, `owner`. It counts only at the first start, before there is an \
                  account. Change it later with `mynah admin set-password`.",
        ..ROW_DEFAULTS
    },
];
