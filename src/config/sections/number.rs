//! Our numbers: what each has of its own, and on which of them somebody wrote.

use super::ai::AiConfig;
use super::texts::Texts;
use super::twilio::Sender;
use super::twilio::TwilioConfig;
use crate::model::ContentSid;
use crate::text::LinkPolicy;

/// What a number has of its own.
#[derive(Clone, Debug)]
pub struct NumberConfig {
    /// `main` for that of the main configuration, else the name of its file without `.toml`.
    pub name: String,
    /// Its account and sender; `None` where the main configuration has none.
    pub twilio: Option<TwilioConfig>,
    /// The model that answers on it.
    pub ai: Option<AiConfig>,
    /// The models that answer where that one cannot, in order.
    pub fallbacks: Vec<AiConfig>,
    /// What the model is told before the conversation; not blank.
    pub system_prompt: String,
    /// How many of the last messages the model sees.
    pub max_context_messages: usize,
    /// Whether the model may call a person.
    pub model_may_hand_over: bool,
    /// The links that the assistant may send.
    pub links: LinkPolicy,
    /// The template that opens a conversation again.
    pub reopen_template: Option<ContentSid>,
    /// What contacts read that no model wrote.
    pub texts: Texts,
}

/// What the first number is called.
pub(in crate::config) const MAIN: &str = "main";

/// Tells which of our numbers somebody wrote to. A few entries, so looking through them costs nothing.
#[derive(Clone, Debug)]
pub struct Directory(Vec<Entry>);

#[derive(Clone, Debug)]
struct Entry {
    /// Empty where the number has no account.
    account: String,
    /// Without the channel's prefix; `None` where a Messaging Service picks the sender.
    address: Option<String>,
}

/// Why it is that number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// It has that address.
    Address,
    /// No number has that address; this one sends through a Messaging Service of the account, of which it is one.
    Service,
    /// No number has that address; this is the account's first.
    Account,
    /// Not even the account is known; this is the first of all.
    Nothing,
}

impl Entry {
    fn of(twilio: Option<&TwilioConfig>) -> Entry {
        let address = twilio.and_then(|twilio| match &twilio.sender {
            Sender::Number(number) => Some(bare(number).to_owned()),
            Sender::MessagingService(_) => None,
        });
        Entry { account: twilio.map(|twilio| twilio.account_sid.clone()).unwrap_or_default(), address }
    }
}

impl Directory {
    /// Of numbers with these accounts and senders.
    pub(in crate::config) fn of<'a>(numbers: impl Iterator<Item = Option<&'a TwilioConfig>>) -> Directory {
        Directory(numbers.map(Entry::of).collect())
    }

    /// The number of a conversation, by the account that it came through and by our address in it. Whoever has the address
    /// has the conversation, whichever account it came through before: a number may be moved to another account.
    pub fn find(&self, account: &str, ours: &str) -> (usize, Fit) {
        let ours = bare(ours);
        if let Some(at) = self.0.iter().position(|entry| entry.address.as_deref() == Some(ours)) {
            return (at, Fit::Address);
        }
        let of_account = |entry: &Entry| !entry.account.is_empty() && entry.account == account;
        if let Some(at) = self.0.iter().position(|entry| of_account(entry) && entry.address.is_none()) {
            return (at, Fit::Service);
        }
        self.0.iter().position(of_account).map_or((0, Fit::Nothing), |at| (at, Fit::Account))
    }

    /// Whether our address is that of a number of another account: nobody there may speak of it.
    pub fn is_of_another(&self, account: &str, ours: &str) -> bool {
        let (at, fit) = self.find(account, ours);
        fit == Fit::Address && self.0[at].account != account
    }

    /// Whether there is more than one number.
    pub fn is_several(&self) -> bool {
        self.0.len() > 1
    }
}

/// An address without the channel's prefix.
fn bare(address: &str) -> &str {
    let address = address.trim();
    match address.split_once(':') {
        Some((channel, rest)) if channel.eq_ignore_ascii_case("whatsapp") => rest,
        _ => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(entries: &[(&str, Option<&str>)]) -> Directory {
        let entry = |(account, address): &(&str, Option<&str>)| Entry {
            account: (*account).to_owned(),
            address: address.map(str::to_owned),
        };
        Directory(entries.iter().map(entry).collect())
    }

    #[test]
    fn the_address_decides_then_the_accounts_service_then_its_first_number() {
        let numbers = directory(&[
            ("AC1", Some("+14155550001")),
            ("AC2", Some("+14155550002")),
            ("AC2", None),
            ("AC3", Some("+14155550003")),
        ]);
        for (account, ours, found) in [
            ("AC1", "whatsapp:+14155550001", (0, Fit::Address)),
            ("AC2", "whatsapp:+14155550002", (1, Fit::Address)),
            ("AC2", "WhatsApp:+14155550002 ", (1, Fit::Address)),
            ("AC2", "+14155550002", (1, Fit::Address)),
            ("AC2", "whatsapp:+14155559999", (2, Fit::Service)),
            ("AC3", "whatsapp:+14155559999", (3, Fit::Account)),
            // Moved from one account to another.
            ("AC9", "whatsapp:+14155550003", (3, Fit::Address)),
            ("AC9", "whatsapp:+14155559999", (0, Fit::Nothing)),
            ("", "whatsapp:+14155559999", (0, Fit::Nothing)),
            ("AC2", "whatsapp:+1415555000", (2, Fit::Service)),
        ] {
            assert_eq!(numbers.find(account, ours), found, "{account} {ours}");
        }
        assert!(numbers.is_several());
        assert!(numbers.is_of_another("AC2", "whatsapp:+14155550001"));
        assert!(!numbers.is_of_another("AC1", "whatsapp:+14155550001"));
        assert!(!numbers.is_of_another("AC2", "whatsapp:+14155559999"));
    }

    #[test]
    fn the_only_number_takes_whatever_comes() {
        for entry in [("AC1", Some("+14155550001")), ("AC1", None), ("", None)] {
            let numbers = directory(&[entry]);
            assert_eq!(numbers.find("AC1", "whatsapp:+14155559999").0, 0);
            assert!(!numbers.is_several());
        }
    }
}
