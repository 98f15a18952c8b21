//! The rows of who may talk, and how much.

use super::DefaultValue::Value;
use super::Group::People;
use super::Setting;
use super::table::ROW_DEFAULTS;

/// What the rows here have in common.
const GROUP_DEFAULTS: Setting = Setting { group: People, ..ROW_DEFAULTS };

/// In the order of the reference.
pub(in crate::config) const ROWS: &[Setting] = &[
    Setting {
        key: "MYNAH_WHO",
        file_key: "who",
        default: Value("everyone"),
        expects: "everyone, listed or code",
        meaning: "Who may talk with the assistant: everyone, those of `MYNAH_ALLOWED`, or those of `MYNAH_ALLOWED` and who \
                  has once sent `MYNAH_PAIRING_CODE`.",
        ..GROUP_DEFAULTS
    },
    Setting {
        key: "MYNAH_ALLOWED",
        file_key: "allowed",
        is_list: true,
        default: Value("none"),
        expects: "phone numbers such as +15551234567, or business-scoped user IDs, with commas between, or none",
        meaning: "Who may talk where not everyone may.",
        ..GROUP_DEFAULTS
    },
    Setting {
        key: "MYNAH_PAIRING_CODE",
        file_key: "pairing_code",
        secret: true,
        expects: "a word of at least 6 characters, at least one of them a digit",
        meaning: "The message by which somebody is let in for good, where `MYNAH_WHO` is `code`.",
        ..GROUP_DEFAULTS
    },
    Setting {
        key: "MYNAH_STRANGERS",
        file_key: "strangers",
        default: Value("refuse"),
        expects: "refuse or ignore",
        meaning: "What becomes of those who may not talk: `refuse` tells them so once a day, `ignore` says nothing. What they \
                  say is stored either way.",
        ..GROUP_DEFAULTS
    },
    Setting {
        key: "MYNAH_RATE_LIMIT",
        file_key: "rate_limit",
        default: Value("20/1m"),
        expects: "a number and a duration from 1s to 1d, such as 20/1m, or 0 for no limit",
        meaning: "How many messages of one contact are answered in what time. What is above waits and is answered together.",
        ..GROUP_DEFAULTS
    },
    Setting {
        key: "MYNAH_OPT_OUT_WORDS",
        file_key: "opt_out_words",
        is_list: true,
        default: Value("none"),
        expects: "words with commas between, such as CANCEL, BAJA, or none",
        meaning: "Messages that end all sending, beside STOP, STOPALL and UNSUBSCRIBE.",
        ..GROUP_DEFAULTS
    },
    Setting {
        key: "MYNAH_OPT_IN_WORDS",
        file_key: "opt_in_words",
        is_list: true,
        default: Value("none"),
        expects: "words with commas between, such as YES, ALTA, or none",
        meaning: "Messages that begin it again, beside START and UNSTOP.",
        ..GROUP_DEFAULTS
    },
    Setting {
        key: "MYNAH_HUMAN_RETURN",
        file_key: "human_return",
        default: Value("4h"),
        expects: "a duration from 1m to 30d, such as 4h, or 0 for never",
        meaning: "How long after the last message of an operator the assistant takes a conversation up again.",
        ..GROUP_DEFAULTS
    },
    Setting {
        key: "MYNAH_MODEL_HAND_OVER",
        file_key: "model_hand_over",
        default: Value("true"),
        expects: "true or false",
        meaning: "Whether the model may hand a conversation over to a person. It is offered a tool named `hand_over`, where it \
                  knows tools.",
        ..GROUP_DEFAULTS
    },
    Setting {
        key: "MYNAH_LINKS",
        file_key: "links",
        is_list: true,
        default: Value("allow"),
        expects: "allow, none, or hosts with commas between, such as example.org",
        meaning: "The links that the assistant may send: any, none, or those to these hosts and what is below them.",
        ..GROUP_DEFAULTS
    },
    Setting {
        key: "MYNAH_BUDGET_CONTACT_DAY",
        file_key: "budget_contact_day",
        is_list: true,
        default: Value("none"),
        expects: "amounts with commas between, such as 50 calls, 100000 tokens, 0.50 usd, or none",
        meaning: "What the model may cost for one contact in a day (UTC).",
        ..GROUP_DEFAULTS
    },
    Setting {
        key: "MYNAH_BUDGET_DAY",
        file_key: "budget_day",
        is_list: true,
        default: Value("none"),
        expects: "amounts with commas between, such as 2000 calls, 5 usd, or none",
        meaning: "What it may cost for all in a day (UTC).",
        ..GROUP_DEFAULTS
    },
    Setting {
        key: "MYNAH_BUDGET_MONTH",
        file_key: "budget_month",
        is_list: true,
        default: Value("none"),
        expects: "amounts with commas between, such as 100 usd, or none",
        meaning: "What it may cost for all in a month (UTC).",
        ..GROUP_DEFAULTS
    },
    Setting {
        key: "MYNAH_PRICES",
        file_key: "prices",
        is_list: true,
        default: Value("none"),
        expects: "model=input/output in USD for a million tokens, with commas between, such as gpt-5-mini=0.25/2, or none",
        meaning: "What models cost. The longest name that a model's name begins with counts; a model without a price costs \
                  nothing, which is warned of where a budget limits USD.",
        ..GROUP_DEFAULTS
    },
    Setting {
        key: "MYNAH_REOPEN_TEMPLATE",
        file_key: "reopen_template",
        expects: "HX and 32 hexadecimal digits",
        meaning: "The approved template (ContentSid) that is sent in place of an answer for which WhatsApp's 24 hours have run \
                  out, so that the contact can write again. Without it nothing is sent then.",
        ..GROUP_DEFAULTS
    },
];
