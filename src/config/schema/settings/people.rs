//! The rows of who may talk, and how much.

use super::Fallback::Value;
use super::Group::People;
use super::Setting;
use super::table::PLAIN;

/// What the rows here have in common.
const ROW: Setting = Setting { group: People, ..PLAIN };

/// In the order of the reference.
pub(in crate::config) const ROWS: &[Setting] = &[
    Setting {
        key: "MYNAH_WHO",
        file: "who",
        default: Value("everyone"),
        expects: "everyone, listed or code",
        meaning: "Who may talk with the assistant: everyone, those of `MYNAH_ALLOWED`, or those of `MYNAH_ALLOWED` and who \
                  has once sent `MYNAH_PAIRING_CODE`.",
        ..ROW
    },
    Setting {
        key: "MYNAH_ALLOWED",
        file: "allowed",
        list: true,
        default: Value("none"),
        expects: "phone numbers such as +15551234567, or business-scoped user IDs, with commas between, or none",
        meaning: "Who may talk where not everyone may.",
        ..ROW
    },
    Setting {
        key: "MYNAH_PAIRING_CODE",
        file: "pairing_code",
        secret: true,
        expects: "a word of at least 6 characters, at least one of them a digit",
        meaning: "The message by which somebody is let in for good, where `MYNAH_WHO` is `code`.",
        ..ROW
    },
    Setting {
        key: "MYNAH_STRANGERS",
        file: "strangers",
        default: Value("refuse"),
        expects: "refuse or ignore",
        meaning: "What becomes of those who may not talk: `refuse` tells them so once a day, `ignore` says nothing. What they \
                  say is stored either way.",
        ..ROW
    },
    Setting {
        key: "MYNAH_RATE_LIMIT",
        file: "rate_limit",
        default: Value("20/1m"),
        expects: "a number and a duration from 1s to 1d, such as 20/1m, or 0 for no limit",
        meaning: "How many messages of one contact are answered in what time. What is above waits and is answered together.",
        ..ROW
    },
    Setting {
        key: "MYNAH_OPT_OUT_WORDS",
        file: "opt_out_words",
        list: true,
        default: Value("none"),
        expects: "words with commas between, such as CANCEL, BAJA, or none",
        meaning: "Messages that end all sending, beside STOP, STOPALL and UNSUBSCRIBE.",
        ..ROW
    },
    Setting {
        key: "MYNAH_OPT_IN_WORDS",
        file: "opt_in_words",
        list: true,
        default: Value("none"),
        expects: "words with commas between, such as YES, ALTA, or none",
        meaning: "Messages that begin it again, beside START and UNSTOP.",
        ..ROW
    },
    Setting {
        key: "MYNAH_HUMAN_RETURN",
        file: "human_return",
        default: Value("4h"),
        expects: "a duration from 1m to 30d, such as 4h, or 0 for never",
        meaning: "How long after the last message of an operator the assistant takes a conversation up again.",
        ..ROW
    },
    Setting {
        key: "MYNAH_MODEL_HAND_OVER",
        file: "model_hand_over",
        default: Value("true"),
        expects: "true or false",
        meaning: "Whether the model may hand a conversation over to a person. It is offered a tool named `hand_over`, where it \
                  knows tools.",
        ..ROW
    },
    Setting {
        key: "MYNAH_LINKS",
        file: "links",
        list: true,
        default: Value("allow"),
        expects: "allow, none, or hosts with commas between, such as example.org",
        meaning: "The links that the assistant may send: any, none, or those to these hosts and what is below them.",
        ..ROW
    },
    Setting {
        key: "MYNAH_BUDGET_CONTACT_DAY",
        file: "budget_contact_day",
        list: true,
        default: Value("none"),
        expects: "amounts with commas between, such as 50 calls, 100000 tokens, 0.50 usd, or none",
        meaning: "What the model may cost for one contact in a day (UTC).",
        ..ROW
    },
    Setting {
        key: "MYNAH_BUDGET_DAY",
        file: "budget_day",
        list: true,
        default: Value("none"),
        expects: "amounts with commas between, such as 2000 calls, 5 usd, or none",
        meaning: "What it may cost for all in a day (UTC).",
        ..ROW
    },
    Setting {
        key: "MYNAH_BUDGET_MONTH",
        file: "budget_month",
        list: true,
        default: Value("none"),
        expects: "amounts with commas between, such as 100 usd, or none",
        meaning: "What it may cost for all in a month (UTC).",
        ..ROW
    },
    Setting {
        key: "MYNAH_PRICES",
        file: "prices",
        list: true,
        default: Value("none"),
        expects: "model=input/output in USD for a million tokens, with commas between, such as gpt-5-mini=0.25/2, or none",
        meaning: "What models cost. The longest name that a model's name begins with counts; a model without a price costs \
                  nothing, which is warned of where a budget limits USD.",
        ..ROW
    },
    Setting {
        key: "MYNAH_REOPEN_TEMPLATE",
        file: "reopen_template",
        expects: "HX and 32 hexadecimal digits",
        meaning: "The approved template (ContentSid) that is sent in place of an answer for which WhatsApp's 24 hours have run \
                  out, so that the contact can write again. Without it nothing is sent then.",
        ..ROW
    },
];
