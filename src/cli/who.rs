//! Finds the person or the conversation that somebody typed: an id, a phone number, a user ID or a name.

use anyhow::{Result, bail};

use super::table_columns::{columns, one_line};
use crate::model::{Address, ConversationId, PersonQuery, ShortId};
use crate::store::{Person, Store};

/// The most people or conversations that are counted when a text is not unique.
const MAX_COUNTED: usize = 100;

/// The most people that an error lists.
const MAX_LISTED: usize = 8;

pub(super) fn parse(text: &str) -> Result<PersonQuery, &'static str> {
    PersonQuery::parse(text).ok_or("expected a conversation's id, a phone number, a user ID or a name")
}

/// Reads an address, which need not be known.
pub(super) fn parse_address(text: &str) -> Result<Address, String> {
    Address::parse_lenient(text.strip_prefix("whatsapp:").unwrap_or(text)).map_err(|error| error.to_string())
}

/// Reads an address, which need not be known, or what names somebody. A phone number without its country is an error,
/// because somebody else's would be taken for it.
pub(super) fn parse_address_or_person(text: &str) -> Result<PersonQuery, String> {
    let query = parse(text)?;
    match query.address_error() {
        Some(error) => Err(error.to_string()),
        None => Ok(query),
    }
}

/// Returns the address that is meant, or one of the person who is meant: a phone number, if they have one.
pub(super) async fn find_address(store: &Store, query: &PersonQuery) -> Result<Address> {
    if let Some(address) = query.addresses().first() {
        return Ok(address.clone());
    }
    let person = find_person(store, query).await?;
    let phone = person.addresses.iter().find(|address| matches!(address, Address::Phone(_)));
    match phone.or(person.addresses.first()) {
        Some(address) => Ok(address.clone()),
        None => bail!("{} has no address", display_person(&person)),
    }
}

/// Finds the one person who is meant.
pub(super) async fn find_person(store: &Store, query: &PersonQuery) -> Result<Person> {
    let mut found = store.find_people(query.clone(), MAX_COUNTED).await?;
    match found.len() {
        0 => bail!(nobody(query)),
        1 => Ok(found.remove(0)),
        count => {
            let more = if count == MAX_COUNTED { " or more" } else { "" };
            let listed = columns(found.iter().take(MAX_LISTED).map(row).collect());
            bail!(
                "{count}{more} people fit {:?}; name one of them by the phone number or the user ID:\n{}",
                query.text(),
                listed.trim_end()
            )
        }
    }
}

fn row(person: &Person) -> [String; 3] {
    let addresses: Vec<_> = person.addresses.iter().map(|address| address.as_str()).collect();
    let last = person.last_inbound_at.map_or("never wrote".to_owned(), |at| format!("last wrote {at}"));
    [format!("  {}", addresses.join(", ")), last, person.name.clone().unwrap_or_default()]
}

/// Returns what a person is called on the terminal: the name, if there is one, and the addresses.
pub(super) fn display_person(person: &Person) -> String {
    let addresses = person.addresses.iter().map(|address| address.as_str()).collect::<Vec<_>>().join(", ");
    match one_line(person.name.as_deref().unwrap_or_default()) {
        name if name.is_empty() => addresses,
        name if addresses.is_empty() => name,
        name => format!("{name} ({addresses})"),
    }
}

fn nobody(query: &PersonQuery) -> String {
    let text = query.text();
    match (query.addresses(), query.address_error()) {
        ([address, ..], _) => {
            format!("nobody with the address {} is known; `mynah conversations list` shows who is", address.as_str())
        }
        ([], Some(error)) => format!("nobody fits {text:?}: {error}"),
        ([], None) => match query.short_id() {
            Some(short) => no_conversation(short),
            None => format!("nobody fits {text:?}; `mynah conversations list` shows ids, phone numbers and names"),
        },
    }
}

fn no_conversation(short: &ShortId) -> String {
    format!("no conversation has an id that begins or ends with {short}; `mynah conversations list` shows the ids")
}

/// Finds the one conversation that is meant. For a person it is the open one, or else the latest.
pub(super) async fn find_conversation(store: &Store, query: &PersonQuery) -> Result<ConversationId> {
    if let Some(short) = query.short_id() {
        if let Some(id) = short.full_id() {
            return Ok(id);
        }
        if let Some(id) = by_short_id(store, short).await? {
            return Ok(id);
        }
    }
    let person = find_person(store, query).await?;
    let rows = store.conversations_of_contact(person.contact).await?;
    let open: Vec<_> = rows.iter().filter(|row| row.ended_at.is_none()).collect();
    match (open.as_slice(), rows.first()) {
        ([one], _) => Ok(one.id),
        ([], Some(latest)) => Ok(latest.id),
        ([], None) => bail!("there is no conversation with {}", display_person(&person)),
        ([first, second, ..], _) => bail!(
            "{} conversations with {} are open, such as {} and {}, each on a number of its own: name one by its id",
            open.len(),
            display_person(&person),
            first.id,
            second.id
        ),
    }
}

/// Finds the one conversation with that id, or part of an id.
pub(super) async fn find_by_id(store: &Store, short: ShortId) -> Result<ConversationId> {
    if let Some(id) = short.full_id() {
        return Ok(id);
    }
    match by_short_id(store, &short).await? {
        Some(id) => Ok(id),
        None => bail!(no_conversation(&short)),
    }
}

async fn by_short_id(store: &Store, short: &ShortId) -> Result<Option<ConversationId>> {
    let found = store.conversations_by_short_id(short.clone(), MAX_COUNTED).await?;
    match found.as_slice() {
        [] => Ok(None),
        [id] => Ok(Some(*id)),
        [first, second, ..] => {
            let more = if found.len() == MAX_COUNTED { " or more" } else { "" };
            bail!(
                "{}{more} conversations have an id that begins or ends with {short}, such as {first} and {second}: \
                 write more of it, best from the end, where ids differ most",
                found.len()
            )
        }
    }
}
