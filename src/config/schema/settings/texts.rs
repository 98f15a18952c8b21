//! The rows of texts to contacts.

use super::DefaultValue::Value;
use super::Group::Texts;
use super::Setting;
use super::table::ROW_DEFAULTS;
use crate::config::schema::default_texts;

/// What the rows here have in common.
const GROUP_DEFAULTS: Setting = Setting { group: Texts, expects: "a text of 1 to 1500 characters", ..ROW_DEFAULTS };

/// In the order of the reference.
pub(in crate::config) const ROWS: &[Setting] = &[
    Setting {
        key: "MYNAH_TEXT_SORRY",
        file_key: "text_sorry",
        default: Value(default_texts::SORRY),
        meaning: "What a contact reads when no answer can be had.",
        ..GROUP_DEFAULTS
    },
    Setting {
        key: "MYNAH_TEXT_BUSY",
        file_key: "text_busy",
        default: Value(default_texts::BUSY),
        meaning: "Where the model had too much to do for too long.",
        ..GROUP_DEFAULTS
    },
    Setting {
        key: "MYNAH_TEXT_TIMEOUT",
        file_key: "text_timeout",
        default: Value(default_texts::TIMEOUT),
        meaning: "Where the model did not answer in time.",
        ..GROUP_DEFAULTS
    },
    Setting {
        key: "MYNAH_TEXT_DECLINED",
        file_key: "text_declined",
        default: Value(default_texts::DECLINED),
        meaning: "Where the model declined and said nothing.",
        ..GROUP_DEFAULTS
    },
    Setting {
        key: "MYNAH_TEXT_TOO_LONG",
        file_key: "text_too_long",
        default: Value(default_texts::TOO_LONG),
        meaning: "Where the message does not fit into what the model can read.",
        ..GROUP_DEFAULTS
    },
    Setting {
        key: "MYNAH_TEXT_MEDIA",
        file_key: "text_media",
        default: Value(default_texts::MEDIA),
        meaning: "Where an attachment cannot be read.",
        ..GROUP_DEFAULTS
    },
    Setting {
        key: "MYNAH_TEXT_SLOW_DOWN",
        file_key: "text_slow_down",
        default: Value(default_texts::SLOW_DOWN),
        meaning: "Once for each burst above `MYNAH_RATE_LIMIT`, or for a `/reset` that is not carried out because too much waits.",
        ..GROUP_DEFAULTS
    },
    Setting {
        key: "MYNAH_TEXT_BUDGET",
        file_key: "text_budget",
        default: Value(default_texts::BUDGET),
        meaning: "Where a budget is spent.",
        ..GROUP_DEFAULTS
    },
    Setting {
        key: "MYNAH_TEXT_HELP",
        file_key: "text_help",
        default: Value(default_texts::HELP),
        meaning: "The answer to `/help`.",
        ..GROUP_DEFAULTS
    },
    Setting {
        key: "MYNAH_TEXT_RESET",
        file_key: "text_reset",
        default: Value(default_texts::RESET),
        meaning: "The answer to `/reset`.",
        ..GROUP_DEFAULTS
    },
    Setting {
        key: "MYNAH_TEXT_HUMAN",
        file_key: "text_human",
        default: Value(default_texts::HUMAN),
        meaning: "Where a person takes over.",
        ..GROUP_DEFAULTS
    },
    Setting {
        key: "MYNAH_TEXT_STOPPED",
        file_key: "text_stopped",
        default: Value(default_texts::STOPPED),
        meaning: "The one confirmation after STOP.",
        ..GROUP_DEFAULTS
    },
    Setting {
        key: "MYNAH_TEXT_STARTED",
        file_key: "text_started",
        default: Value(default_texts::STARTED),
        meaning: "The answer to START.",
        ..GROUP_DEFAULTS
    },
    Setting {
        key: "MYNAH_TEXT_STRANGER",
        file_key: "text_stranger",
        default: Value(default_texts::STRANGER),
        meaning: "Where somebody may not talk.",
        ..GROUP_DEFAULTS
    },
    Setting {
        key: "MYNAH_TEXT_ADMITTED",
        file_key: "text_admitted",
        default: Value(default_texts::ADMITTED),
        meaning: "Where somebody sent the right pairing code.",
        ..GROUP_DEFAULTS
    },
    Setting {
        key: "MYNAH_TEXT_LINK",
        file_key: "text_link",
        default: Value(default_texts::LINK),
        meaning: "What stands in place of a link that `MYNAH_LINKS` does not allow.",
        ..GROUP_DEFAULTS
    },
];
