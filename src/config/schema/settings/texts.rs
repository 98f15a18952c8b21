//! The settings of texts to contacts.

use super::DefaultValue::Value;
use super::Group::Texts;
use super::Setting;
use super::table::ROW_DEFAULTS;
use crate::config::schema::default_texts;

/// The fields that all rows of this file share.
const GROUP_DEFAULTS: Setting = Setting { group: Texts, expects: "a text of 1 to 1500 characters", ..ROW_DEFAULTS };

/// The rows, in the order of the reference.
pub(in crate::config) const ROWS: &[Setting] = &[
    Setting {
        key: "MYNAH_TEXT_SORRY",
        file_key: "text_sorry",
        default: Value(default_texts::SORRY),
        meaning: "Sent if mynah has no answer and no other text fits.",
        ..GROUP_DEFAULTS
    },
    Setting {
        key: "MYNAH_TEXT_BUSY",
        file_key: "text_busy",
        default: Value(default_texts::BUSY),
        meaning: "Sent if the model is overloaded for too long.",
        ..GROUP_DEFAULTS
    },
    Setting {
        key: "MYNAH_TEXT_TIMEOUT",
        file_key: "text_timeout",
        default: Value(default_texts::TIMEOUT),
        meaning: "Sent if the model does not answer in time.",
        ..GROUP_DEFAULTS
    },
    Setting {
        key: "MYNAH_TEXT_DECLINED",
        file_key: "text_declined",
        default: Value(default_texts::DECLINED),
        meaning: "Sent if the model declines and says nothing.",
        ..GROUP_DEFAULTS
    },
    Setting {
        key: "MYNAH_TEXT_TOO_LONG",
        file_key: "text_too_long",
        default: Value(default_texts::TOO_LONG),
        meaning: "Sent if the message is too long for the model.",
        ..GROUP_DEFAULTS
    },
    Setting {
        key: "MYNAH_TEXT_MEDIA",
        file_key: "text_media",
        default: Value(default_texts::MEDIA),
        meaning: "Sent if mynah cannot read an attachment.",
        ..GROUP_DEFAULTS
    },
    Setting {
        key: "MYNAH_TEXT_SLOW_DOWN",
        file_key: "text_slow_down",
        default: Value(default_texts::SLOW_DOWN),
        meaning: "Sent once for each burst above `MYNAH_RATE_LIMIT`, and for a `/reset` that mynah does not carry out \
                  because too much work waits.",
        ..GROUP_DEFAULTS
    },
    Setting {
        key: "MYNAH_TEXT_BUDGET",
        file_key: "text_budget",
        default: Value(default_texts::BUDGET),
        meaning: "Sent if a budget is spent.",
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
        meaning: "Sent when a person takes over.",
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
        meaning: "Sent to somebody who may not talk with the assistant.",
        ..GROUP_DEFAULTS
    },
    Setting {
        key: "MYNAH_TEXT_ADMITTED",
        file_key: "text_admitted",
        default: Value(default_texts::ADMITTED),
        meaning: "Sent to somebody who sends the right pairing code.",
        ..GROUP_DEFAULTS
    },
    Setting {
        key: "MYNAH_TEXT_LINK",
        file_key: "text_link",
        default: Value(default_texts::LINK),
        meaning: "Takes the place of a link that `MYNAH_LINKS` does not allow.",
        ..GROUP_DEFAULTS
    },
];
