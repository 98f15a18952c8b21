//! Conversations as people and programs read them.

use serde_json::{Value, json};

use super::columns::{columns, one_line};
use super::{attached, undelivered};
use crate::clock::Time;
use crate::config::{Config, Directory, NumberConfig};
use crate::files::FileStore;
use crate::model::Address;
use crate::store::{AddressRow, ConversationRow, TranscriptLine};
use crate::text;

pub(super) fn time(time: Option<Time>) -> Option<String> {
    time.map(|time| time.to_string())
}

/// Our numbers, as they are configured now.
pub(super) struct Numbers {
    every: Vec<NumberConfig>,
    directory: Directory,
}

impl Numbers {
    pub(super) fn new(config: &Config) -> Numbers {
        Numbers { every: config.every_number(), directory: config.directory() }
    }

    /// That of a conversation.
    pub(super) fn of(&self, row: &ConversationRow) -> &NumberConfig {
        &self.every[self.directory.find(&row.account, &row.our_address).0]
    }
}

fn facts(row: &ConversationRow, numbers: &Numbers) -> Value {
    json!({
        "id": row.id.to_string(),
        "name": row.name,
        "contact": row.reply_to,
        "our_address": row.our_address,
        "number": numbers.of(row).name,
        "mode": if row.human_mode { "human" } else { "auto" },
        "mode_until": time(row.human_until),
        "started_at": row.started_at.to_string(),
        "last_inbound_at": row.last_inbound_at.to_string(),
        "ended_at": time(row.ended_at),
        "blocked": row.blocked,
        "opted_out": row.opted_out,
    })
}

/// What is special about a conversation, in a few words.
fn remarks(row: &ConversationRow) -> String {
    let mut remarks = Vec::new();
    if row.ended_at.is_some() {
        remarks.push("ended");
    }
    if row.human_mode {
        remarks.push("a person answers");
    }
    if row.blocked {
        remarks.push("blocked");
    }
    if row.opted_out {
        remarks.push("opted out");
    }
    remarks.join(", ")
}

/// The list of conversations.
pub(super) fn list(rows: &[ConversationRow], numbers: &Numbers, json: bool) {
    if json {
        println!("{:#}", Value::from(rows.iter().map(|row| facts(row, numbers)).collect::<Vec<_>>()));
        return;
    }
    if rows.is_empty() {
        println!("no conversations yet; one begins with a contact's first message");
    }
    let row = |row: &ConversationRow| {
        // An empty column is not shown.
        let number = if numbers.directory.is_several() { numbers.of(row).name.clone() } else { String::new() };
        [row.id.to_string(), row.last_inbound_at.to_string(), number, row.reply_to.clone(), remarks(row), name(row)]
    };
    print!("{}", columns(rows.iter().map(row).collect()));
}

/// The name that the contact shows.
fn name(row: &ConversationRow) -> String {
    let name = one_line(row.name.as_deref().unwrap_or_default());
    if name.is_empty() { "–".into() } else { name }
}

/// Whether a country gives out such a number; a user ID is none.
fn valid(address: &Address) -> bool {
    if let Address::Phone(phone) = address { phone.is_valid() } else { true }
}

/// An address of the contact, in a line.
fn reached(row: &AddressRow) -> String {
    let seen = row.seen_at.map_or("never seen".to_owned(), |at| format!("seen {at}"));
    let doubt = if valid(&row.address) { "" } else { ", no country gives out such a number" };
    format!("{} ({seen}{doubt})", row.address.as_str())
}

/// One conversation, with what was said last in it.
pub(super) fn show(
    row: &ConversationRow,
    addresses: &[AddressRow],
    list: &[TranscriptLine],
    (numbers, files): (&Numbers, &FileStore),
    json: bool,
) {
    if json {
        let mut document = facts(row, numbers);
        document["addresses"] = addresses
            .iter()
            .map(|row| {
                json!({
                    "kind": row.address.kind(),
                    "value": row.address.as_str(),
                    "seen_at": time(row.seen_at),
                    "validates": valid(&row.address),
                })
            })
            .collect();
        document["messages"] = list
            .iter()
            .map(|said| {
                json!({
                    "role": said.role.as_str(),
                    "content": said.content,
                    "created_at": said.at.to_string(),
                    "turn": said.turn.0,
                    "turn_state": said.turn_state,
                    "turn_error": said.turn_error,
                    "attachments": attached::facts(&said.attachments, files),
                    "turn_undelivered": undelivered::facts(&said.undelivered),
                })
            })
            .collect();
        println!("{document:#}");
        return;
    }
    println!("{}  {}", row.reply_to, name(row));
    println!("{}", row.id);
    for row in addresses {
        println!("{}", reached(row));
    }
    if numbers.directory.is_several() {
        println!("on {} ({})", numbers.of(row).name, row.our_address);
    }
    println!("began {}, last heard of {}  {}\n", row.started_at, row.last_inbound_at, remarks(row));
    for (at, said) in list.iter().enumerate() {
        let state = if said.turn_state == "done" { String::new() } else { format!("  [{}]", said.turn_state) };
        println!("{}  {}{state}", said.at, said.role.as_str());
        for line in text::clean(&said.content).lines() {
            println!("    {line}");
        }
        for line in attached::lines(&said.attachments, files) {
            println!("    ({line})");
        }
        if let Some(error) = &said.turn_error {
            println!("    ({})", one_line(error));
        }
        // What is known of a turn's messages stands below the last thing said in it.
        if list.get(at + 1).is_none_or(|next| next.turn != said.turn) {
            for line in undelivered::lines(&said.undelivered) {
                println!("    ({line})");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_no_country_gives_out_says_so() {
        let line =
            |address: &str| reached(&AddressRow { address: Address::parse(address).unwrap(), seen_at: Some(Time(0)) });
        assert_eq!(line("+12025550101"), "+12025550101 (seen 1970-01-01T00:00:00.000Z)");
        assert_eq!(
            line("+15550000001"),
            "+15550000001 (seen 1970-01-01T00:00:00.000Z, no country gives out such a number)"
        );
        assert_eq!(line("US.13491208655302741918"), "US.13491208655302741918 (seen 1970-01-01T00:00:00.000Z)");
    }
}
