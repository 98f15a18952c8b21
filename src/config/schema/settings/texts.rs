//! The rows of texts to contacts.

use super::Fallback::Value;
use super::Group::Texts;
use super::Setting;
use super::table::PLAIN;
use crate::config::schema::default_texts;

/// What the rows here have in common.
const ROW: Setting = Setting { group: Texts, expects: "a text of 1 to 1500 characters", ..PLAIN };

/// In the order of the reference.
pub(in crate::config) const ROWS: &[Setting] = &[
    Setting {
        key: "MYNAH_TEXT_SORRY",
        file: "text_sorry",
        default: Value(default_texts::SORRY),
        meaning: "What a contact reads when no answer can be had.",
        ..ROW
    },
    Setting {
        key: "MYNAH_TEXT_BUSY",
        file: "text_busy",
        default: Value(default_texts::BUSY),
        meaning: "Where the model had too much to do for too long.",
        ..ROW
    },
    Setting {
        key: "MYNAH_TEXT_TIMEOUT",
        file: "text_timeout",
        default: Value(default_texts::TIMEOUT),
        meaning: "Where the model did not answer in time.",
        ..ROW
    },
    Setting {
        key: "MYNAH_TEXT_DECLINED",
        file: "text_declined",
        default: Value(default_texts::DECLINED),
        meaning: "Where the model declined and said nothing.",
        ..ROW
    },
    Setting {
        key: "MYNAH_TEXT_TOO_LONG",
        file: "text_too_long",
        default: Value(default_texts::TOO_LONG),
        meaning: "Where the message does not fit into what the model can read.",
        ..ROW
    },
    Setting {
        key: "MYNAH_TEXT_MEDIA",
        file: "text_media",
        default: Value(default_texts::MEDIA),
        meaning: "Where an attachment cannot be read.",
        ..ROW
    },
    Setting {
        key: "MYNAH_TEXT_SLOW_DOWN",
        file: "text_slow_down",
        default: Value(default_texts::SLOW_DOWN),
        meaning: "Once for each burst above `MYNAH_RATE_LIMIT`, or for a `/reset` that is not carried out because too much waits.",
        ..ROW
    },
    Setting {
        key: "MYNAH_TEXT_BUDGET",
        file: "text_budget",
        default: Value(default_texts::BUDGET),
        meaning: "Where a budget is spent.",
        ..ROW
    },
    Setting {
        key: "MYNAH_TEXT_HELP",
        file: "text_help",
        default: Value(default_texts::HELP),
        meaning: "The answer to `/help`.",
        ..ROW
    },
    Setting {
        key: "MYNAH_TEXT_RESET",
        file: "text_reset",
        default: Value(default_texts::RESET),
        meaning: "The answer to `/reset`.",
        ..ROW
    },
    Setting {
        key: "MYNAH_TEXT_HUMAN",
        file: "text_human",
        default: Value(default_texts::HUMAN),
        meaning: "Where a person takes over.",
        ..ROW
    },
    Setting {
        key: "MYNAH_TEXT_STOPPED",
        file: "text_stopped",
        default: Value(default_texts::STOPPED),
        meaning: "The one confirmation after STOP.",
        ..ROW
    },
    Setting {
        key: "MYNAH_TEXT_STARTED",
        file: "text_started",
        default: Value(default_texts::STARTED),
        meaning: "The answer to START.",
        ..ROW
    },
    Setting {
        key: "MYNAH_TEXT_STRANGER",
        file: "text_stranger",
        default: Value(default_texts::STRANGER),
        meaning: "Where somebody may not talk.",
        ..ROW
    },
    Setting {
        key: "MYNAH_TEXT_ADMITTED",
        file: "text_admitted",
        default: Value(default_texts::ADMITTED),
        meaning: "Where somebody sent the right pairing code.",
        ..ROW
    },
    Setting {
        key: "MYNAH_TEXT_LINK",
        file: "text_link",
        default: Value(default_texts::LINK),
        meaning: "What stands in place of a link that `MYNAH_LINKS` does not allow.",
        ..ROW
    },
];
