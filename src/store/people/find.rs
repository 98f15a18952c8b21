//! Finds the contacts whom a typed text may mean.

use std::collections::BTreeSet;

use crate::clock::Time;
use crate::model::{Address, NameMatch, PersonQuery};
use crate::store::contacts::resolve;
use crate::store::conversations::short_ids::find_by_short_id;
use crate::store::database::{Store, StoreError, Tx, args};

const BY_ADDRESS: &str = "SELECT contact_id FROM addresses WHERE kind = ?1 AND value = ?2";

const BY_CONVERSATION: &str = "SELECT contact_id FROM conversations WHERE id = ?1";

/// Reads every name: only a person at the shell asks for a name.
const NAMES: &str = "SELECT id, name FROM contacts WHERE name IS NOT NULL";

const CONTACT: &str = "SELECT name FROM contacts WHERE id = ?1";

const CONVERSATIONS: &str = "SELECT COUNT(*), MAX(last_inbound_at) FROM conversations WHERE contact_id = ?1";

/// A contact, as far as it takes to recognize the person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The contact's id in the database.
    pub contact: i64,
    /// The name in the contact's profile.
    pub name: Option<String>,
    /// All their addresses.
    pub addresses: Vec<Address>,
    /// How many conversations there are with them.
    pub conversations: i64,
    /// When they last wrote; `None` if they never did.
    pub last_inbound_at: Option<Time>,
}

impl Person {
    /// Returns whether nothing is known of the contact: the row of one who was erased.
    pub(in crate::store) fn is_empty(&self) -> bool {
        self.name.is_none() && self.addresses.is_empty() && self.conversations == 0
    }
}

impl Store {
    /// Returns the contacts whom the text may mean, at most `most`. An address counts before everything else, and a
    /// whole name before a part of one.
    pub async fn find_people(&self, query: PersonQuery, most: usize) -> Result<Vec<Person>, StoreError> {
        self.read(move |tx| {
            let mut found = by_address(tx, &query)?;
            if found.is_empty() {
                found = by_short_id(tx, &query, most)?;
                found.extend(by_name(tx, &query)?);
            }
            let people = found.into_iter().take(most).map(|contact| person(tx, contact));
            Ok(people.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
        })
        .await
    }

    /// Returns a contact by its id in the database.
    pub async fn person(&self, contact: i64) -> Result<Option<Person>, StoreError> {
        self.read(move |tx| person(tx, contact)).await
    }
}

fn by_address(tx: &mut dyn Tx, query: &PersonQuery) -> Result<BTreeSet<i64>, StoreError> {
    let mut found = BTreeSet::new();
    for address in query.addresses() {
        found.extend(tx.fetch_optional(BY_ADDRESS, args![address.kind(), address.as_str()], |row| row.int(0))?);
    }
    Ok(found)
}

fn by_short_id(tx: &mut dyn Tx, query: &PersonQuery, most: usize) -> Result<BTreeSet<i64>, StoreError> {
    let conversations = match query.short_id() {
        // One person may have several of them.
        Some(short) => match short.full_id() {
            Some(id) => vec![id],
            None => find_by_short_id(tx, short, most.saturating_mul(10))?,
        },
        None => Vec::new(),
    };
    let mut found = BTreeSet::new();
    for id in &conversations {
        found.extend(tx.fetch_optional(BY_CONVERSATION, args![id], |row| row.int(0))?);
    }
    Ok(found)
}

fn by_name(tx: &mut dyn Tx, query: &PersonQuery) -> Result<BTreeSet<i64>, StoreError> {
    let mut found: [BTreeSet<i64>; 2] = Default::default();
    tx.for_each_row(NAMES, &[], &mut |row| {
        match query.matches_name(row.text(1)?) {
            Some(NameMatch::Whole) => found[0].insert(row.int(0)?),
            Some(NameMatch::Part) => found[1].insert(row.int(0)?),
            None => false,
        };
        Ok(())
    })?;
    Ok(found.into_iter().find(|some| !some.is_empty()).unwrap_or_default())
}

/// Returns what tells one person from another.
pub(in crate::store) fn person(tx: &mut dyn Tx, contact: i64) -> Result<Option<Person>, StoreError> {
    let Some(name) = tx.fetch_optional(CONTACT, args![contact], |row| Ok(row.text_or_null(0)?.map(str::to_owned)))?
    else {
        return Ok(None);
    };
    let addresses = resolve::addresses(tx, contact)?.into_iter().map(|held| held.address).collect();
    let conversations =
        tx.fetch_optional(CONVERSATIONS, args![contact], |row| Ok((row.int(0)?, row.int_or_null(1)?.map(Time))))?;
    let (conversations, last_inbound_at) = conversations.unwrap_or_default();
    Ok(Some(Person { contact, name, addresses, conversations, last_inbound_at }))
}
