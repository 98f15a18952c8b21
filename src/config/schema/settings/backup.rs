//! The settings of the backups.

use super::DefaultValue::{Computed, Value};
use super::Group::Backups;
use super::Setting;
use super::table::ROW_DEFAULTS;

const GROUP_DEFAULTS: Setting = Setting { group: Backups, ..ROW_DEFAULTS };

/// The rows, in the order of the reference.
pub(in crate::config) const ROWS: &[Setting] = &[
    Setting {
        key: "MYNAH_BACKUP_EVERY",
        file_key: "backup_every",
        default: Value("24h"),
        expects: "a duration from 1m to 365d, such as 24h, or 0",
        meaning: "How often `serve` makes a backup. `0` turns this off.",
        ..GROUP_DEFAULTS
    },
    Setting {
        key: "MYNAH_BACKUP_KEEP",
        file_key: "backup_keep",
        default: Value("7"),
        expects: "a number from 1 to 10000",
        meaning: "How many of these backups are kept. mynah removes the oldest when a new one is complete.",
        ..GROUP_DEFAULTS
    },
    Setting {
        key: "MYNAH_BACKUP_DIR",
        file_key: "backup_dir",
        default: Computed("`backups` in the data folder"),
        expects: "a folder, such as /mnt/usb/mynah",
        meaning: "The folder of these backups. mynah creates only the default one, because a disk that is not mounted \
                  would otherwise go unnoticed. A backup on the same disk helps against mistakes, but not against the loss of \
                  the disk: copy them to another machine, or name a folder on another disk.",
        ..GROUP_DEFAULTS
    },
    Setting {
        key: "MYNAH_BACKUP_RECIPIENTS",
        file_key: "backup_recipients",
        is_list: true,
        expects: "comma-separated age recipients, age1…",
        meaning: "Whom backups are encrypted for, those of `mynah backup` too. Without it they are not encrypted, and hold \
                  what people wrote. Keep the age identities of the recipients elsewhere.",
        ..GROUP_DEFAULTS
    },
];
