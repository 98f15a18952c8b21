//! Our numbers: the settings of each, and which of them a contact wrote to.

use super::ai::AiConfig;
use super::texts::Texts;
use super::twilio::{Sender, TwilioConfig};
use crate::model::ContentSid;
use crate::text::LinkPolicy;

/// The settings of one number.
#[derive(Clone, Debug)]
pub struct NumberConfig {
    /// `main` for the number of the main configuration, else the name of its file without `.toml`.
    pub name: String,
    /// Its account and sender; `None` if the main configuration has none.
    pub twilio: Option<TwilioConfig>,
    /// The model that answers on it.
    pub ai: Option<AiConfig>,
    /// The fallback models, in order.
    pub fallbacks: Vec<AiConfig>,
    /// The instructions for the model; not blank.
    pub system_prompt: String,
    /// How many of the latest messages the model sees.
    pub max_context_messages: usize,
    /// Whether the model may hand a conversation over to a person.
    pub model_may_hand_over: bool,
    /// The links that the assistant may send.
    pub links: LinkPolicy,
    /// The template that mynah sends if WhatsApp's 24 hours have run out.
    pub reopen_template: Option<ContentSid>,
    /// The fixed texts that contacts read.
    pub texts: Texts,
}

/// The name of the first number.
pub(in crate::config) const MAIN_NUMBER: &str = "main";

/// Finds the number that a contact wrote to. It has few entries, so a linear search is fast enough.
#[derive(Clone, Debug)]
pub struct NumberDirectory(Vec<DirectoryEntry>);

#[derive(Clone, Debug)]
struct DirectoryEntry {
    /// Empty if the number has no account.
    account: String,
    /// Without the channel's prefix; `None` if a Messaging Service picks the sender.
    address: Option<String>,
}

/// Why a number was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberMatch {
    /// The number has this address.
    Address,
    /// No number has this address. This number sends through the account's Messaging Service.
    MessagingService,
    /// No number has this address. This is the account's first number.
    Account,
    /// The account is unknown, too. This is the first of all numbers.
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
    /// Builds the directory of numbers with these accounts and senders.
    pub(in crate::config) fn of<'a>(numbers: impl Iterator<Item = Option<&'a TwilioConfig>>) -> NumberDirectory {
        NumberDirectory(numbers.map(DirectoryEntry::from_twilio).collect())
    }

    /// Finds the number of a conversation by its account and by our address in it. The number with this address is
    /// found even if the conversation came through another account, because a number can move to another account.
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

    /// Whether our address belongs to a number of another account. This account may then send no webhook about it.
    pub fn belongs_to_other_account(&self, account: &str, our_address: &str) -> bool {
        let (at, fit) = self.find(account, our_address);
        fit == NumberMatch::Address && self.0[at].account != account
    }

    /// Whether there is more than one number.
    pub fn has_several(&self) -> bool {
        self.0.len() > 1
    }
}

/// Removes the channel's prefix from an address.
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
            // The number was moved to another account.
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
