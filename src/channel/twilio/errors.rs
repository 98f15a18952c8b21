//! Twilio's error codes: the meaning and the remedy of each in a plain sentence, and whether a retry may help (Twilio,
//! "Error and warning dictionary").
//!
//! Twilio warns that codes change. A code that is not listed here is classified by its HTTP status alone. To add a
//! code, add a line in numeric order.

use std::time::Duration;

use crate::fault::FaultOwner;

/// What to do about a code. A refused call created no message, unless its class is [`ErrorClass::Unknown`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// Retry with backoff.
    Retry,
    /// Retry, but not before this much time has passed.
    RetryAfter(Duration),
    /// Retry after this much time, up to this many attempts. After that, Twilio will never accept the message.
    RetryFewTimes(i64, Duration),
    /// Twilio accepts nothing for this long, unless the operator acts. Retry after that.
    AccountLimit(Duration),
    /// The call may have taken effect: look up the message first.
    Unknown,
    /// Twilio will never accept this message.
    Message,
    /// Twilio will never accept this message, and more messages like it cause trouble for the operator.
    Policy,
    /// Split the text and send the pieces.
    TooLong,
    /// This contact cannot be reached.
    Contact,
    /// Nothing works until the operator acts.
    Operator,
}

/// One error code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorCode {
    /// Twilio's number, such as 63016.
    pub code: i64,
    /// What to do about it.
    pub class: ErrorClass,
    /// What happened, a colon, and how to fix it, for operators; without a full stop.
    pub sentence: &'static str,
}

impl ErrorClass {
    /// Returns who is responsible if a message has failed for good.
    pub fn owner(self) -> FaultOwner {
        match self {
            ErrorClass::Operator | ErrorClass::AccountLimit(_) | ErrorClass::Policy => FaultOwner::Operator,
            ErrorClass::Contact => FaultOwner::Contact,
            ErrorClass::Retry
            | ErrorClass::RetryAfter(_)
            | ErrorClass::RetryFewTimes(..)
            | ErrorClass::Unknown
            | ErrorClass::Message
            | ErrorClass::TooLong => FaultOwner::Message,
        }
    }
}

/// Looks up a code from a refused call or a status callback.
pub fn look_up(code: i64) -> Option<&'static ErrorCode> {
    CODES.binary_search_by_key(&code, |known| known.code).ok().map(|at| &CODES[at])
}

/// Returns a reference to Twilio's own explanation of a code.
pub(super) fn docs_reference(code: i64) -> String {
    format!("see https://www.twilio.com/docs/api/errors/{code}")
}

const fn entry(code: i64, class: ErrorClass, sentence: &'static str) -> ErrorCode {
    ErrorCode { code, class, sentence }
}

const fn retry_after_minutes(count: u64) -> ErrorClass {
    ErrorClass::RetryAfter(Duration::from_secs(60 * count))
}

/// For internal errors of WhatsApp or Twilio: a retry usually succeeds soon, or never.
const RETRY_FEW_TIMES: ErrorClass = ErrorClass::RetryFewTimes(4, Duration::ZERO);

/// For messages that a carrier did not deliver: one retry.
const RETRY_ONCE: ErrorClass = ErrorClass::RetryFewTimes(2, Duration::from_secs(60));

const NOT_DELIVERED_BY_CARRIER: &str = "the carrier did not deliver the message: try again in about an hour";
const QUEUE_FULL: &str = "Twilio's queue for this sender is full: send fewer messages until it has drained";
const WEBHOOK_UNREACHABLE: &str =
    "Twilio could not call our webhook: check that MYNAH_PUBLIC_URL is reachable from the internet";
const WEBHOOK_ANSWER_UNREADABLE: &str =
    "Twilio could not read our webhook's response: check that no proxy in front of mynah changes it";
const WHATSAPP_INTERNAL_ERROR: &str = "WhatsApp had an internal error: it usually goes away by itself; if it does not, \
                       see the status pages of Meta and Twilio";
const NOT_OUR_SENDER: &str = "the sender is not a WhatsApp sender of this account: check TWILIO_WHATSAPP_FROM, and the \
                      sender's state in the Twilio Console under Messaging, Senders";
const INVALID_NUMBER: &str =
    "the contact's number is not valid: nothing can be sent to it, so ask the contact for another address";
const CONTENT_REJECTED: &str = "WhatsApp does not accept this content: rewrite it as plain text";
const INVALID_PARAMETER: &str = "a parameter of the message is not valid for WhatsApp: for a template, compare its \
                      variables with the template in the Twilio Console";
const EMPTY_TEXT: &str = "the message has no text: check the model's answer, and change the assistant's instructions";
const TEXT_TOO_LONG: &str = "the text is too long for one message: rewrite it in shorter pieces";

static CODES: &[ErrorCode] = &[
    entry(11200, ErrorClass::Operator, WEBHOOK_UNREACHABLE),
    entry(11205, ErrorClass::Operator, WEBHOOK_UNREACHABLE),
    entry(
        11243,
        ErrorClass::Operator,
        "the connection overrides after the # in the webhook's URL are not valid: correct them in the Twilio Console",
    ),
    entry(11750, ErrorClass::Operator, WEBHOOK_ANSWER_UNREADABLE),
    entry(12100, ErrorClass::Operator, WEBHOOK_ANSWER_UNREADABLE),
    entry(12200, ErrorClass::Operator, WEBHOOK_ANSWER_UNREADABLE),
    entry(12300, ErrorClass::Operator, WEBHOOK_ANSWER_UNREADABLE),
    entry(14103, ErrorClass::Message, EMPTY_TEXT),
    entry(
        20003,
        ErrorClass::Operator,
        "Twilio does not accept the credentials: check TWILIO_ACCOUNT_SID with TWILIO_AUTH_TOKEN, or the API key",
    ),
    entry(
        20404,
        ErrorClass::Operator,
        "Twilio does not know this address: check TWILIO_ACCOUNT_SID and TWILIO_API_BASE_URL",
    ),
    entry(
        20422,
        ErrorClass::Message,
        "Twilio says that the request is malformed: this is a bug in mynah, please report it with this code",
    ),
    entry(
        20429,
        ErrorClass::Retry,
        "Twilio accepts no more calls at the moment: mynah retries by itself after a while",
    ),
    entry(
        20500,
        ErrorClass::Unknown,
        "Twilio had an internal error and may or may not have accepted the message: mynah looks it up \
         before it sends it again",
    ),
    entry(21211, ErrorClass::Contact, INVALID_NUMBER),
    entry(21401, ErrorClass::Contact, INVALID_NUMBER),
    entry(
        21408,
        ErrorClass::Operator,
        "the account may not send to the contact's country: allow it in the Twilio Console under Messaging, Geo \
         permissions",
    ),
    entry(21601, ErrorClass::Operator, NOT_OUR_SENDER),
    entry(21602, ErrorClass::Message, EMPTY_TEXT),
    entry(21606, ErrorClass::Operator, NOT_OUR_SENDER),
    entry(
        21608,
        ErrorClass::Contact,
        "a trial account may send to verified numbers only: verify the contact's number or upgrade the Twilio account",
    ),
    entry(21610, ErrorClass::Contact, "the contact has opted out: they must write START before mynah can answer them"),
    entry(21611, retry_after_minutes(10), QUEUE_FULL),
    entry(
        21614,
        ErrorClass::Contact,
        "the contact's number is not a mobile number: ask the contact for one that is on WhatsApp",
    ),
    entry(21617, ErrorClass::TooLong, TEXT_TOO_LONG),
    entry(21619, ErrorClass::Message, "Twilio could not fetch the attachment, or it is empty: its URL must be public"),
    entry(
        21656,
        ErrorClass::Message,
        "the variables do not fit the template: each placeholder needs a variable that is not empty and has no line \
         break",
    ),
    entry(21658, ErrorClass::TooLong, TEXT_TOO_LONG),
    entry(21659, ErrorClass::Operator, NOT_OUR_SENDER),
    entry(30001, retry_after_minutes(10), QUEUE_FULL),
    entry(30003, RETRY_ONCE, "the contact's phone cannot be reached: it may be switched off, try again later"),
    entry(30004, RETRY_ONCE, NOT_DELIVERED_BY_CARRIER),
    entry(30005, RETRY_ONCE, NOT_DELIVERED_BY_CARRIER),
    entry(30006, RETRY_ONCE, NOT_DELIVERED_BY_CARRIER),
    entry(30007, RETRY_ONCE, NOT_DELIVERED_BY_CARRIER),
    entry(30008, RETRY_ONCE, NOT_DELIVERED_BY_CARRIER),
    entry(
        63001,
        ErrorClass::Operator,
        "WhatsApp does not accept the sender's credentials: check the sender in the Twilio Console",
    ),
    entry(63003, ErrorClass::Contact, "the contact's number is not on WhatsApp: reach them another way"),
    entry(63005, ErrorClass::Message, CONTENT_REJECTED),
    entry(63006, ErrorClass::Message, CONTENT_REJECTED),
    entry(63007, ErrorClass::Operator, NOT_OUR_SENDER),
    entry(63008, ErrorClass::Operator, "the WhatsApp sender is not set up completely: check it in the Twilio Console"),
    entry(63010, RETRY_FEW_TIMES, WHATSAPP_INTERNAL_ERROR),
    entry(63012, RETRY_FEW_TIMES, WHATSAPP_INTERNAL_ERROR),
    entry(
        63013,
        ErrorClass::Policy,
        "the message violates a WhatsApp policy: read Meta's Business Messaging Policy and change the assistant's \
         instructions",
    ),
    entry(
        63014,
        ErrorClass::Contact,
        "the contact has blocked this number or withdrawn consent: do not write to them until they write again",
    ),
    entry(
        63015,
        ErrorClass::Contact,
        "the contact has not joined the Twilio sandbox: they must send its join words to the sandbox number first",
    ),
    entry(
        63016,
        ErrorClass::Contact,
        "the contact last wrote more than 24 hours ago, so WhatsApp accepts no free text: they must write again \
         first, or you send a template with `mynah conversations template`",
    ),
    entry(
        63017,
        retry_after_minutes(1),
        "the account sends more messages per second than Twilio allows: send fewer at once, or ask Twilio for a higher \
         limit",
    ),
    entry(
        63018,
        retry_after_minutes(10),
        "the sender has reached WhatsApp's message limit: send fewer, or get the limit raised in Meta's Business \
         Manager",
    ),
    entry(63019, ErrorClass::Message, "WhatsApp could not fetch the attachment: its URL must be public"),
    entry(
        63020,
        ErrorClass::Operator,
        "the business has not accepted Twilio's invitation: accept it in Meta's Business Manager",
    ),
    entry(63021, ErrorClass::Message, CONTENT_REJECTED),
    entry(63022, RETRY_FEW_TIMES, WHATSAPP_INTERNAL_ERROR),
    entry(63023, RETRY_FEW_TIMES, WHATSAPP_INTERNAL_ERROR),
    entry(
        63024,
        ErrorClass::Contact,
        "WhatsApp does not accept the contact as a recipient: check the number, and that their WhatsApp is up to date",
    ),
    entry(63025, ErrorClass::Message, INVALID_PARAMETER),
    entry(63030, ErrorClass::Message, INVALID_PARAMETER),
    entry(
        63032,
        ErrorClass::Contact,
        "Meta does not deliver to this contact, who is part of one of its experiments: mynah can answer once they \
         write again",
    ),
    entry(63033, ErrorClass::Contact, "WhatsApp has blocked the contact as a recipient: reach them another way"),
    entry(
        63038,
        ErrorClass::AccountLimit(Duration::from_secs(3600)),
        "the account has reached Twilio's message limit for 24 hours: wait, or upgrade the Twilio account",
    ),
    entry(
        63049,
        ErrorClass::Message,
        "Meta chose not to deliver the message because it considers it marketing: send less of it, or wait for the \
         contact to write",
    ),
    entry(
        63051,
        ErrorClass::Operator,
        "Meta has locked or restricted the WhatsApp Business account: see its state in Meta's Business Manager",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_stand_in_order_and_once() {
        assert!(CODES.is_sorted_by(|one, next| one.code < next.code));
    }

    /// The codes that Twilio documents for WhatsApp and for calls to its API.
    const DOCUMENTED: [i64; 62] = [
        11200, 11205, 11243, 11750, 12100, 12200, 12300, 14103, 20003, 20404, 20422, 20429, 20500, 21211, 21401, 21408,
        21601, 21602, 21606, 21608, 21610, 21611, 21614, 21617, 21619, 21656, 21658, 21659, 30001, 30003, 30004, 30005,
        30006, 30007, 30008, 63001, 63003, 63005, 63006, 63007, 63008, 63010, 63012, 63013, 63014, 63015, 63016, 63017,
        63018, 63019, 63020, 63021, 63022, 63023, 63024, 63025, 63030, 63032, 63033, 63038, 63049, 63051,
    ];

    #[test]
    fn every_documented_code_is_explained_with_a_remedy() {
        for code in DOCUMENTED {
            let known = look_up(code).unwrap_or_else(|| panic!("{code}"));
            assert_eq!(known.code, code);
            let (what, remedy) = known.sentence.split_once(": ").unwrap_or_else(|| panic!("{code} has no remedy"));
            assert!(what.len() > 15 && remedy.len() > 15, "{code} {known:?}");
            let plain = !known.sentence.ends_with('.') && !known.sentence.contains("  ");
            assert!(plain && known.sentence.chars().next().is_some_and(char::is_alphabetic), "{code} {known:?}");
        }
        assert_eq!(CODES.iter().map(|known| known.code).filter(|code| !DOCUMENTED.contains(code)).count(), 0);
        assert_eq!(look_up(1), None);
    }
}
