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
pub(in crate::config) const MAIN_NUMBER: &str = "main";

/// Tells which of our numbers somebody wrote to. A few entries, so looking through them costs nothing.
#[derive(Clone, Debug)]
pub struct NumberDirectory(Vec<DirectoryEntry>);

#[derive(Clone, Debug)]
struct DirectoryEntry {
    /// Empty where the number has no account.
    account: String,
    /// Without the channel's prefix; `None` where a Messaging Service picks the sender.
    address: Option<String>,
}

/// Why it is that number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberMatch {
    /// It has that address.
    Address,
    /// No number has that address; this one sends through a Messaging Service of the account, of which it is one.
    MessagingService,
    /// No number has that address; this is the account's first.
    Account,
    /// Not even the account is known; this is the first of all.
    NoMatch,
}

impl DirectoryEntry {
    fn from_twilio(twilio: Option<&TwilioConfig>) -> DirectoryEntry {
        let address = twilio.and_then(|twilio| match &twilio.sender {
            Sender::Number(number) => Some(without_channel_prefix(number).to_owned()),
            Sender::MessagingService(_) => None,
        });
        DirectoryEntry { account: twilio.map(|twilio| twilio.account_sid.clone()).unwrap_or_default(), address }
    }
}

impl NumberDirectory {
    /// Of numbers with these accounts and senders.
    pub(in crate::config) fn of<'a>(numbers: impl Iterator<Item = Option<&'a TwilioConfig>>) -> NumberDirectory {
        NumberDirectory(numbers.map(DirectoryEntry::from_twilio).collect())
    }

    /// The number of a conversation, by the account that it came through and by our address in it. Whoever has the address
    /// has the conversation, whichever account it came through before: a number may be moved to another account.
    pub fn find(&self, account: &str, our_address: &str) -> (usize, NumberMatch) {
        let ours = without_channel_prefix(our_address);
        if let Some(at) = self.0.iter().position(|entry| entry.address.as_deref() == Some(ours)) {
            return (at, NumberMatch::Address);
        }
        let of_account = |entry: &DirectoryEntry| !entry.account.is_empty() && entry.account == account;
        if let Some(at) = self.0.iter().position(|entry| of_account(entry) && entry.address.is_none()) {
            return (at, NumberMatch::MessagingService);
        }
        self.0.iter().position(of_account).map_or((0, NumberMatch::NoMatch), |at| (at, NumberMatch::Account))
    }

    /// Whether our address is that of a number of another account: nobody there may speak of it.
    pub fn belongs_to_other_account(&self, account: &str, our_address: &str) -> bool {
        let (at, fit) = self.find(account, our_address);
        fit == NumberMatch::Address && self.0[at].account != account
    }

    /// Whether there is more than one number.
    pub fn has_several(&self) -> bool {
        self.0.len() > 1
    }
}

/// An address without the channel's prefix.
fn without_channel_prefix(address: &str) -> &str {
    let address = address.trim();
    match address.split_once(':') {
        Some((channel, rest)) if channel.eq_ignore_ascii_case("whatsapp") => rest,
        _ => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number_directory(entries: &[(&str, Option<&str>)]) -> NumberDirectory {
        let entry = |(account, address): &(&str, Option<&str>)| DirectoryEntry {
            account: (*account).to_owned(),
            address: address.map(str::to_owned),
        };
        NumberDirectory(entries.iter().map(entry).collect())
    }

    #[test]
    fn the_address_decides_then_the_accounts_service_then_its_first_number() {
        let numbers = number_directory(&[
            ("AC1", Some("+14155550001")),
            ("AC2", Some("+14155550002")),
            ("AC2", None),
            ("AC3", Some("+14155550003")),
        ]);
        for (account, ours, found) in [
            ("AC1", "whatsapp:+14155550001", (0, NumberMatch::Address)),
            ("AC2", "whatsapp:+14155550002", (1, NumberMatch::Address)),
            ("AC2", "WhatsApp:+14155550002 ", (1, NumberMatch::Address)),
            ("AC2", "+14155550002", (1, NumberMatch::Address)),
            ("AC2", "whatsapp:+14155559999", (2, NumberMatch::MessagingService)),
            ("AC3", "whatsapp:+14155559999", (3, NumberMatch::Account)),
            // Moved from one account to another.
            ("AC9", "whatsapp:+14155550003", (3, NumberMatch::Address)),
            ("AC9", "whatsapp:+14155559999", (0, NumberMatch::NoMatch)),
            ("", "whatsapp:+14155559999", (0, NumberMatch::NoMatch)),
            ("AC2", "whatsapp:+1415555000", (2, NumberMatch::MessagingService)),
        ] {
            assert_eq!(numbers.find(account, ours), found, "{account} {ours}");
        }
        assert!(numbers.has_several());
        assert!(numbers.belongs_to_other_account("AC2", "whatsapp:+14155550001"));
        assert!(!numbers.belongs_to_other_account("AC1", "whatsapp:+14155550001"));
        assert!(!numbers.belongs_to_other_account("AC2", "whatsapp:+14155559999"));
    }

    #[test]
    fn the_only_number_takes_whatever_comes() {
        for entry in [("AC1", Some("+14155550001")), ("AC1", None), ("", None)] {
            let numbers = number_directory(&[entry]);
            assert_eq!(numbers.find("AC1", "whatsapp:+14155559999").0, 0);
            assert!(!numbers.has_several());
        }
    }
}
