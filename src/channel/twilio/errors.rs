//! Twilio's error codes: what each means, in a plain sentence with its remedy, and whether a repeat may help (Twilio,
//! "Error and warning dictionary").
//!
//! Twilio warns that codes change, so a code that is not here has a meaning by its HTTP status alone. To add one: a
//! line, in order of the numbers.

use std::time::Duration;

use crate::fault::FaultOwner;

/// What to do about a code. A refusal created nothing, save where its class is [`Class::Unknown`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Try again with back-off.
    Retry,
    /// Try again, but not before so long.
    Wait(Duration),
    /// Try again after so long, up to so many attempts; then it will never be taken.
    Few(i64, Duration),
    /// Nothing is taken for so long, unless the operator acts: try again then.
    Limit(Duration),
    /// It may have taken effect: look it up first.
    Unknown,
    /// This message will never be taken.
    Message,
    /// This message will never be taken, and others like it bring the operator into trouble.
    Policy,
    /// Split the text and send the pieces.
    TooLong,
    /// This contact cannot be reached.
    Contact,
    /// Nothing works until the operator acts.
    Operator,
}

/// One code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorCode {
    /// Twilio's number, such as 63016.
    pub code: i64,
    /// What to do about it.
    pub class: Class,
    /// What happened, a colon, and how to mend it, for operators; without a full stop.
    pub sentence: &'static str,
}

impl Class {
    /// Whose doing it is, where a message has failed for good.
    pub fn whose(self) -> FaultOwner {
        match self {
            Class::Operator | Class::Limit(_) | Class::Policy => FaultOwner::Operator,
            Class::Contact => FaultOwner::Contact,
            Class::Retry | Class::Wait(_) | Class::Few(..) | Class::Unknown | Class::Message | Class::TooLong => {
                FaultOwner::Message
            }
        }
    }
}

/// What is known about a code, of a refused call or a status callback.
pub fn explain(code: i64) -> Option<&'static ErrorCode> {
    CODES.binary_search_by_key(&code, |known| known.code).ok().map(|at| &CODES[at])
}

/// Where Twilio itself explains a code.
pub(super) fn page(code: i64) -> String {
    format!("see https://www.twilio.com/docs/api/errors/{code}")
}

const fn on(code: i64, class: Class, sentence: &'static str) -> ErrorCode {
    ErrorCode { code, class, sentence }
}

const fn minutes(count: u64) -> Class {
    Class::Wait(Duration::from_secs(60 * count))
}

/// What WhatsApp or Twilio got wrong by themselves mostly goes well the next time, or never.
const FEW: Class = Class::Few(4, Duration::ZERO);

/// What a carrier did not deliver is tried once more.
const ONCE: Class = Class::Few(2, Duration::from_secs(60));

const CARRIER: &str = "the carrier did not deliver the message: try again in an hour or so";
const QUEUE: &str = "Twilio's queue for this sender is full: fewer messages must be sent until it has drained";
const WEBHOOK: &str = "Twilio could not call our webhook: check that MYNAH_PUBLIC_URL is reachable from the internet";
const ANSWER: &str = "Twilio could not read our webhook's answer: check that no proxy in front of mynah changes it";
const CHANNEL: &str = "WhatsApp had an internal error: it mostly passes by itself; if it does not, see the status pages of Meta and \
                       Twilio";
const SENDER: &str = "the sender is not a WhatsApp sender of this account: check TWILIO_WHATSAPP_FROM and its state in the \
                      Twilio Console under Messaging, Senders";
const NUMBER: &str = "the contact's number is not valid: nothing can be sent to it, ask them for another way";
const REJECTED: &str = "WhatsApp does not take this content: write it anew, as plain text";
const FORMAT: &str = "a parameter of the message is not valid for WhatsApp: for a template, compare its variables with the \
                      template in the Twilio Console";
const EMPTY: &str = "the message has no text: see what the model answered, and change the assistant's instructions";
const LONG: &str = "the text is too long for one message: write it anew in shorter pieces";

static CODES: &[ErrorCode] = &[
    on(11200, Class::Operator, WEBHOOK),
    on(11205, Class::Operator, WEBHOOK),
    on(
        11243,
        Class::Operator,
        "the connection overrides behind the # of the webhook's address are not valid: correct them in the Twilio Console",
    ),
    on(11750, Class::Operator, ANSWER),
    on(12100, Class::Operator, ANSWER),
    on(12200, Class::Operator, ANSWER),
    on(12300, Class::Operator, ANSWER),
    on(14103, Class::Message, EMPTY),
    on(
        20003,
        Class::Operator,
        "Twilio does not accept the credentials: check TWILIO_ACCOUNT_SID with TWILIO_AUTH_TOKEN, or the API key",
    ),
    on(20404, Class::Operator, "Twilio does not know this address: check TWILIO_ACCOUNT_SID and TWILIO_API_BASE_URL"),
    on(
        20422,
        Class::Message,
        "Twilio found the request malformed: this is a defect of mynah, please report it with this code",
    ),
    on(20429, Class::Retry, "Twilio takes no more calls at the moment: it is called again by itself in a while"),
    on(
        20500,
        Class::Unknown,
        "Twilio had an internal error and may or may not have taken the message: it is looked for before it is sent again",
    ),
    on(21211, Class::Contact, NUMBER),
    on(21401, Class::Contact, NUMBER),
    on(
        21408,
        Class::Operator,
        "the account may not send to the contact's country: allow it in the Twilio Console under Messaging, Geo permissions",
    ),
    on(21601, Class::Operator, SENDER),
    on(21602, Class::Message, EMPTY),
    on(21606, Class::Operator, SENDER),
    on(
        21608,
        Class::Contact,
        "a trial account may send to verified numbers only: verify the contact's number or upgrade the Twilio account",
    ),
    on(21610, Class::Contact, "the contact has opted out: they must write START before they can be answered"),
    on(21611, minutes(10), QUEUE),
    on(21614, Class::Contact, "the contact's number is not a mobile number: ask them for one that is on WhatsApp"),
    on(21617, Class::TooLong, LONG),
    on(21619, Class::Message, "Twilio could not fetch the attachment, or it is empty: its address must be public"),
    on(
        21656,
        Class::Message,
        "the variables do not fit the template: each of its gaps needs one, which is not empty and holds no line break",
    ),
    on(21658, Class::TooLong, LONG),
    on(21659, Class::Operator, SENDER),
    on(30001, minutes(10), QUEUE),
    on(30003, ONCE, "the contact's phone cannot be reached: it may be switched off, try again later"),
    on(30004, ONCE, CARRIER),
    on(30005, ONCE, CARRIER),
    on(30006, ONCE, CARRIER),
    on(30007, ONCE, CARRIER),
    on(30008, ONCE, CARRIER),
    on(
        63001,
        Class::Operator,
        "WhatsApp does not accept the sender's credentials: check the sender in the Twilio Console",
    ),
    on(63003, Class::Contact, "the contact's number is not on WhatsApp: reach them another way"),
    on(63005, Class::Message, REJECTED),
    on(63006, Class::Message, REJECTED),
    on(63007, Class::Operator, SENDER),
    on(63008, Class::Operator, "the WhatsApp sender is not set up completely: check it in the Twilio Console"),
    on(63010, FEW, CHANNEL),
    on(63012, FEW, CHANNEL),
    on(
        63013,
        Class::Policy,
        "the message breaks a policy of WhatsApp: read Meta's Business Messaging Policy and change the assistant's instructions",
    ),
    on(
        63014,
        Class::Contact,
        "the contact has blocked this number or withdrawn consent: do not write to them before they write again",
    ),
    on(
        63015,
        Class::Contact,
        "the contact has not joined the Twilio sandbox: they must send its join words to the sandbox number first",
    ),
    on(
        63016,
        Class::Contact,
        "the contact last wrote more than 24 hours ago, so WhatsApp takes no free text: they must write again first, or send a template with `mynah conversations template`",
    ),
    on(
        63017,
        minutes(1),
        "the account sends more messages per second than Twilio allows: send fewer at once, or ask Twilio for more",
    ),
    on(
        63018,
        minutes(10),
        "the sender has reached WhatsApp's limit of messages: send fewer, or have the limit raised in Meta's Business Manager",
    ),
    on(63019, Class::Message, "WhatsApp could not fetch the attachment: its address must be public"),
    on(
        63020,
        Class::Operator,
        "the business has not accepted Twilio's invitation: accept it in Meta's Business Manager",
    ),
    on(63021, Class::Message, REJECTED),
    on(63022, FEW, CHANNEL),
    on(63023, FEW, CHANNEL),
    on(
        63024,
        Class::Contact,
        "WhatsApp does not take the contact as a recipient: check the number, and that they use a current WhatsApp",
    ),
    on(63025, Class::Message, FORMAT),
    on(63030, Class::Message, FORMAT),
    on(
        63032,
        Class::Contact,
        "Meta does not deliver to this contact, who is part of one of its experiments: they can be answered once they write again",
    ),
    on(63033, Class::Contact, "WhatsApp has blocked the contact as a recipient: reach them another way"),
    on(
        63038,
        Class::Limit(Duration::from_secs(3600)),
        "the account has reached Twilio's limit of messages for 24 hours: wait, or upgrade the Twilio account",
    ),
    on(
        63049,
        Class::Message,
        "Meta chose not to deliver the message, which it takes for marketing: send less of it, or wait for the contact to write",
    ),
    on(
        63051,
        Class::Operator,
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

    /// What Twilio documents for WhatsApp and for calls to its API.
    const DOCUMENTED: [i64; 62] = [
        11200, 11205, 11243, 11750, 12100, 12200, 12300, 14103, 20003, 20404, 20422, 20429, 20500, 21211, 21401, 21408,
        21601, 21602, 21606, 21608, 21610, 21611, 21614, 21617, 21619, 21656, 21658, 21659, 30001, 30003, 30004, 30005,
        30006, 30007, 30008, 63001, 63003, 63005, 63006, 63007, 63008, 63010, 63012, 63013, 63014, 63015, 63016, 63017,
        63018, 63019, 63020, 63021, 63022, 63023, 63024, 63025, 63030, 63032, 63033, 63038, 63049, 63051,
    ];

    #[test]
    fn every_documented_code_is_explained_with_a_remedy() {
        for code in DOCUMENTED {
            let known = explain(code).unwrap_or_else(|| panic!("{code}"));
            assert_eq!(known.code, code);
            let (what, remedy) = known.sentence.split_once(": ").unwrap_or_else(|| panic!("{code} has no remedy"));
            assert!(what.len() > 15 && remedy.len() > 15, "{code} {known:?}");
            let plain = !known.sentence.ends_with('.') && !known.sentence.contains("  ");
            assert!(plain && known.sentence.chars().next().is_some_and(char::is_alphabetic), "{code} {known:?}");
        }
        assert_eq!(CODES.iter().map(|known| known.code).filter(|code| !DOCUMENTED.contains(code)).count(), 0);
        assert_eq!(explain(1), None);
    }
}
