//! The settings of who may talk, and how much.

use super::DefaultValue::Value;
use super::Group::People;
use super::Setting;
use super::table::ROW_DEFAULTS;

/// The fields that all rows of this file share.
const GROUP_DEFAULTS: Setting = Setting { group: People, ..ROW_DEFAULTS };

/// The rows, in the order of the reference.
pub(in crate::config) const ROWS: &[Setting] = &[
    Setting {
        key: "MYNAH_WHO",
        file_key: "who",
        default: Value("everyone"),
        expects: "everyone, listed or code",
        meaning: "Who may talk with the assistant. `everyone`: all contacts. `listed`: only the contacts in \
                  `MYNAH_ALLOWED`. `code`: those contacts, and everybody who has once sent `MYNAH_PAIRING_CODE`.",
        ..GROUP_DEFAULTS
    },
    Setting {
        key: "MYNAH_ALLOWED",
        file_key: "allowed",
        is_list: true,
        default: Value("none"),
        expects: "comma-separated phone numbers, such as +15551234567, or business-scoped user IDs; or none",
        meaning: "The allowlist: the contacts who may talk with the assistant if `MYNAH_WHO` is `listed` or `code`.",
        ..GROUP_DEFAULTS
    },
    Setting {
        key: "MYNAH_PAIRING_CODE",
        file_key: "pairing_code",
        secret: true,
        expects: "a word of at least 6 characters, at least one of them a digit",
        meaning: "If `MYNAH_WHO` is `code`, a contact who sends this message may talk with the assistant from then on.",
        ..GROUP_DEFAULTS
    },
    Setting {
        key: "MYNAH_STRANGERS",
        file_key: "strangers",
        default: Value("refuse"),
        expects: "refuse or ignore",
        meaning: "What mynah tells people who may not talk with the assistant: `refuse` tells them so once a day, \
                  `ignore` tells them nothing. mynah stores what they write in either case.",
        ..GROUP_DEFAULTS
    },
    Setting {
        key: "MYNAH_RATE_LIMIT",
        file_key: "rate_limit",
        default: Value("20/1m"),
        expects: "a number and a period from 1s to 1d, such as 20/1m, or 0 for no limit",
        meaning: "How many messages of one contact mynah answers in a period. Messages above the limit wait, and mynah \
                  answers them together.",
        ..GROUP_DEFAULTS
    },
    Setting {
        key: "MYNAH_OPT_OUT_WORDS",
        file_key: "opt_out_words",
        is_list: true,
        default: Value("none"),
        expects: "comma-separated words, such as CANCEL, BAJA; or none",
        meaning: "Messages that opt a contact out, in addition to STOP, STOPALL and UNSUBSCRIBE.",
        ..GROUP_DEFAULTS
    },
    Setting {
        key: "MYNAH_OPT_IN_WORDS",
        file_key: "opt_in_words",
        is_list: true,
        default: Value("none"),
        expects: "comma-separated words, such as YES, ALTA; or none",
        meaning: "Messages that opt a contact in again, in addition to START and UNSTOP.",
        ..GROUP_DEFAULTS
    },
    Setting {
        key: "MYNAH_HUMAN_RETURN",
        file_key: "human_return",
        default: Value("4h"),
        expects: "a duration from 1m to 30d, such as 4h, or 0 for never",
        meaning: "How long after an operator's last message the assistant takes the conversation up again.",
        ..GROUP_DEFAULTS
    },
    Setting {
        key: "MYNAH_MODEL_HAND_OVER",
        file_key: "model_hand_over",
        default: Value("true"),
        expects: "true or false",
        meaning: "Whether the model may hand a conversation over to a person. If so, mynah offers it a tool named \
                  `hand_over`, unless the model supports no tools.",
        ..GROUP_DEFAULTS
    },
    Setting {
        key: "MYNAH_LINKS",
        file_key: "links",
        is_list: true,
        default: Value("allow"),
        expects: "allow, none, or comma-separated hosts, such as example.org",
        meaning: "The links that the assistant may send: all of them (`allow`), none of them (`none`), or only links \
                  to these hosts and their subdomains.",
        ..GROUP_DEFAULTS
    },
    Setting {
        key: "MYNAH_BUDGET_CONTACT_DAY",
        file_key: "budget_contact_day",
        is_list: true,
        default: Value("none"),
        expects: "comma-separated amounts, such as 50 calls, 100000 tokens, 0.50 usd; or none",
        meaning: "The budget for the model calls of one contact in a day (UTC).",
        ..GROUP_DEFAULTS
    },
    Setting {
        key: "MYNAH_BUDGET_DAY",
        file_key: "budget_day",
        is_list: true,
        default: Value("none"),
        expects: "comma-separated amounts, such as 2000 calls, 5 usd; or none",
        meaning: "The budget for the model calls of all contacts together in a day (UTC).",
        ..GROUP_DEFAULTS
    },
    Setting {
        key: "MYNAH_BUDGET_MONTH",
        file_key: "budget_month",
        is_list: true,
        default: Value("none"),
        expects: "comma-separated amounts, such as 100 usd; or none",
        meaning: "The budget for the model calls of all contacts together in a month (UTC).",
        ..GROUP_DEFAULTS
    },
    Setting {
        key: "MYNAH_PRICES",
        file_key: "prices",
        is_list: true,
        default: Value("none"),
        expects: "comma-separated prices as model=input/output, in USD per million tokens, such as gpt-5-mini=0.25/2; \
                  or none",
        meaning: "What models cost. mynah uses the price of the longest name that the model's name begins with. A \
                  model without a price counts as free, and mynah warns about that if a budget limits USD.",
        ..GROUP_DEFAULTS
    },
    Setting {
        key: "MYNAH_REOPEN_TEMPLATE",
        file_key: "reopen_template",
        expects: "HX and 32 hexadecimal digits",
        meaning: "The approved template (ContentSid) that mynah sends instead of an answer if WhatsApp's 24 hours have \
                  run out, so that the contact can write again. Without it, mynah sends nothing in that case.",
        ..GROUP_DEFAULTS
    },
];
