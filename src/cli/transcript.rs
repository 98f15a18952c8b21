//! Conversations, as text and as JSON.

use serde_json::{Value, json};

use super::table_columns::{Cell, columns, indented, one_line};
use super::terminal::{self, Tone};
use super::{attachments, undelivered};
use crate::clock::Time;
use crate::config::{Config, NumberConfig, NumberDirectory};
use crate::file_store::FileStore;
use crate::model::Address;
use crate::store::{AddressRow, ConversationRow, TranscriptLine};
use crate::text;

pub(super) fn json_time(time: Option<Time>) -> Option<String> {
    time.map(|time| time.to_string())
}

/// Our numbers, as currently configured.
pub(super) struct ConfiguredNumbers {
    configs: Vec<NumberConfig>,
    directory: NumberDirectory,
}

impl ConfiguredNumbers {
    pub(super) fn new(config: &Config) -> ConfiguredNumbers {
        ConfiguredNumbers { configs: config.every_number(), directory: config.directory() }
    }

    /// Returns the number of a conversation.
    pub(super) fn number_of(&self, row: &ConversationRow) -> &NumberConfig {
        &self.configs[self.directory.find(&row.account, &row.our_address).0]
    }
}

fn conversation_json(row: &ConversationRow, numbers: &ConfiguredNumbers) -> Value {
    json!({
        "id": row.id.to_string(),
        "name": row.name,
        "contact": row.reply_to,
        "our_address": row.our_address,
        "number": numbers.number_of(row).name,
        "mode": if row.human_mode { "human" } else { "auto" },
        "mode_until": json_time(row.human_until),
        "started_at": row.started_at.to_string(),
        "last_inbound_at": row.last_inbound_at.to_string(),
        "ended_at": json_time(row.ended_at),
        "blocked": row.blocked,
        "opted_out": row.opted_out,
    })
}

/// Returns the remarks about a conversation, such as `ended` or `blocked`.
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

/// A person is needed, or nobody is.
fn remarks_tone(row: &ConversationRow) -> Option<Tone> {
    if row.human_mode {
        return Some(Tone::Warning);
    }
    (row.ended_at.is_some() || row.blocked || row.opted_out).then_some(Tone::Faint)
}

fn painted_remarks(row: &ConversationRow) -> String {
    let remarks = remarks(row);
    remarks_tone(row).map_or(remarks.clone(), |tone| terminal::paint(&remarks, tone, terminal::uses_color()))
}

/// Prints the list of conversations.
pub(super) fn print_list(rows: &[ConversationRow], numbers: &ConfiguredNumbers, json: bool) {
    if json {
        println!("{:#}", Value::from(rows.iter().map(|row| conversation_json(row, numbers)).collect::<Vec<_>>()));
        return;
    }
    if rows.is_empty() {
        println!("no conversations yet; one begins with a contact's first message");
    }
    let row = |row: &ConversationRow| {
        // An empty column is not shown.
        let number = if numbers.directory.has_several() { numbers.number_of(row).name.clone() } else { String::new() };
        [
            terminal::conversation_id(row.id).into(),
            terminal::time(row.last_inbound_at).into(),
            number.into(),
            terminal::address(&row.reply_to).into(),
            Cell::toned(remarks(row), remarks_tone(row)),
            display_name(row).into(),
        ]
    };
    print!("{}", columns(rows.iter().map(row).collect()));
}

/// Returns the contact's profile name, or a dash.
fn display_name(row: &ConversationRow) -> String {
    let name = one_line(row.name.as_deref().unwrap_or_default());
    if name.is_empty() { "–".into() } else { name }
}

/// Returns whether a country assigns such a number. A user ID is always valid.
fn is_valid(address: &Address) -> bool {
    if let Address::Phone(phone) = address { phone.is_valid() } else { true }
}

/// Formats an address of the contact as a line.
fn address_line(row: &AddressRow) -> String {
    let seen = row.seen_at.map_or("never seen".to_owned(), |at| format!("seen {}", terminal::time(at)));
    let doubt = if is_valid(&row.address) { "" } else { ", no country assigns such a number" };
    format!("{} ({seen}{doubt})", row.address.as_str())
}

/// Prints one conversation with its latest messages.
pub(super) fn print_conversation(
    row: &ConversationRow,
    addresses: &[AddressRow],
    messages: &[TranscriptLine],
    (numbers, files): (&ConfiguredNumbers, &FileStore),
    json: bool,
) {
    if json {
        let mut document = conversation_json(row, numbers);
        document["addresses"] = addresses
            .iter()
            .map(|row| {
                json!({
                    "kind": row.address.kind(),
                    "value": row.address.as_str(),
                    "seen_at": json_time(row.seen_at),
                    "validates": is_valid(&row.address),
                })
            })
            .collect();
        document["messages"] = messages
            .iter()
            .map(|said| {
                json!({
                    "role": said.role.as_str(),
                    "content": said.content,
                    "created_at": said.at.to_string(),
                    "turn": said.turn.0,
                    "turn_state": said.turn_state,
                    "turn_error": said.turn_error,
                    "attachments": attachments::to_json(&said.attachments, files),
                    "turn_undelivered": undelivered::to_json(&said.undelivered),
                })
            })
            .collect();
        println!("{document:#}");
        return;
    }
    println!("{}  {}", terminal::address(&row.reply_to), display_name(row));
    println!("{}", row.id);
    for row in addresses {
        println!("{}", address_line(row));
    }
    if numbers.directory.has_several() {
        println!("on {} ({})", numbers.number_of(row).name, row.our_address);
    }
    let (began, last) = (terminal::time(row.started_at), terminal::time(row.last_inbound_at));
    println!("{}\n", format!("began {began}, last message {last}  {}", painted_remarks(row)).trim_end());
    for (at, said) in messages.iter().enumerate() {
        let state = match said.turn_state.as_str() {
            "done" => String::new(),
            state => format!("  [{}]", terminal::paint_state(state)),
        };
        println!("{}  {}{state}", terminal::time(said.at), said.role.as_str());
        print!("{}", indented(&text::sanitize(&said.content), 4));
        for line in attachments::lines(&said.attachments, files) {
            println!("    ({line})");
        }
        if let Some(error) = &said.turn_error {
            print!("{}", indented(&format!("({})", one_line(error)), 4));
        }
        // Delivery failures of a turn appear below its last message.
        if messages.get(at + 1).is_none_or(|next| next.turn != said.turn) {
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
        let line = |address: &str| {
            address_line(&AddressRow { address: Address::parse(address).unwrap(), seen_at: Some(Time(0)) })
        };
        assert_eq!(line("+12025550101"), "+12025550101 (seen 1970-01-01T00:00:00.000Z)");
        assert_eq!(
            line("+15550000001"),
            "+15550000001 (seen 1970-01-01T00:00:00.000Z, no country assigns such a number)"
        );
        assert_eq!(line("US.13491208655302741918"), "US.13491208655302741918 (seen 1970-01-01T00:00:00.000Z)");
    }
}
