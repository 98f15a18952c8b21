//! Erases a person: the contact and everything that belongs to them, in one transaction.
//!
//! Whatever works for the person at this moment holds the token of a claim whose row is gone, so it writes nothing back.
//! What was posted before cannot be recalled. Rows that are deleted are overwritten (`secure_delete` in `sqlite`).

use super::find::{Person, person};
use super::records::webhook_page;
use super::traces::Traces;
use crate::clock::Time;
use crate::model::{Address, ConversationId, FileHash, TurnId};
use crate::store::contacts::resolve;
use crate::store::contacts::restrictions::contact_flags;
use crate::store::database::{Arg, ErasureKey, Store, StoreError, Tx, args};
use crate::store::operations::erased::{self, ErasedAddress};

/// How long before an erasure a message may have arrived whose webhook is repeated, or which the provider lists with a
/// time after the erasure because its clock differs from ours.
const REPEATED_WITHIN_MILLIS: i64 = 24 * 3_600_000;

const LATEST_MESSAGES: &str = "
    SELECT channel, provider_id FROM messages
    WHERE conversation_id = ?1 AND provider_id IS NOT NULL AND created_at > ?2";

const FILES: &str = "SELECT hash FROM files WHERE conversation_id = ?1";

const COUNT_MESSAGES: &str = "SELECT COUNT(*) FROM messages WHERE conversation_id = ?1";

const DELETE_CONVERSATION: &str = "DELETE FROM conversations WHERE id = ?1";

/// The newest turn of all keeps its row, so that its id is not assigned again.
const EMPTY_NEWEST_TURN: &str = "
    UPDATE turns SET conversation_id = ?2, command = NULL, reserved = NULL, model = NULL, input_tokens = NULL,
        output_tokens = NULL, tokens_estimated = NULL, cost_micros = NULL, error = 'its person was erased'
    WHERE id = (SELECT MAX(id) FROM turns) AND conversation_id = ?1";

const ALERTS: &str = "SELECT cause, subject, message FROM alerts ORDER BY cause, subject";

const DELETE_ALERT: &str = "DELETE FROM alerts WHERE cause = ?1 AND subject = ?2";

/// Those about the alert of a person, sent or waiting.
const DELETE_ALERT_MESSAGES: &str = "DELETE FROM alert_deliveries WHERE cause = ?1 AND subject = ?2";

const DELETE_WEBHOOK: &str = "DELETE FROM webhook_log WHERE id = ?1";

/// A few hundred rows.
const DELETE_USAGE: &str = "DELETE FROM spent WHERE scope = ?1";

const DELETE_ADDRESSES: &str = "DELETE FROM addresses WHERE contact_id = ?1";

/// The newest contact of all keeps its row, emptied, so that its id is not assigned again.
const EMPTY_NEWEST_CONTACT: &str = "
    UPDATE contacts SET name = NULL, created_at = 0, opted_out_at = NULL, blocked_at = NULL, admitted_at = NULL,
        noticed_at = NULL
    WHERE id = ?1 AND id = (SELECT MAX(id) FROM contacts)";

const DELETE_CONTACT: &str = "DELETE FROM contacts WHERE id = ?1";

const RECORD: &str = "INSERT INTO erasures (erased_at, unfinished) VALUES (?1, 1)";

const LATEST: &str = "SELECT MAX(id) FROM erasures";

const UNFINISHED: &str = "SELECT id, erased_at FROM erasures WHERE unfinished = 1";

const FINISH: &str = "UPDATE erasures SET unfinished = 0 WHERE id = ?1";

const IS_RUNNING: &str = "SELECT 1 FROM turns WHERE id = ?1 AND state = 'running'";

/// Every address, for a restored backup.
const ALL_ADDRESSES: &str = "
    SELECT a.value, a.contact_id, c.created_at FROM addresses a JOIN contacts c ON c.id = a.contact_id";

/// A person who was erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erasure {
    /// The number of the erasure. It is unfinished until [`Store::finish_erasure`].
    pub id: i64,
    /// Who it was.
    pub person: Person,
    /// What was deleted.
    pub deleted: Deleted,
    /// The files that their conversations held. Other conversations may hold the same ones.
    pub files: Vec<FileHash>,
}

/// What an erasure deleted from the database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Deleted {
    /// Conversations.
    pub conversations: usize,
    /// Messages in them.
    pub messages: usize,
    /// Rows of the webhook log.
    pub webhooks: usize,
    /// Alerts.
    pub alerts: usize,
}

/// An erasure whose files or whose part of the database's log are still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnfinishedErasure {
    /// Its number.
    pub id: i64,
    /// When the person was erased.
    pub erased_at: Time,
}

impl Store {
    /// Erases a contact, with everything that belongs to them. Keeps a keyed hash of each address, with their STOP or
    /// block. Returns `None` if there is no such contact.
    ///
    /// # Errors
    /// If the database cannot be written, or if the store has no key ([`Store::with_erasure_key`]).
    pub async fn erase_person(&self, contact: i64, now: Time) -> Result<Option<Erasure>, StoreError> {
        self.erase(contact, None, now).await
    }

    /// Erases those people again whom a restored backup has brought back, and keeps what `kept` says of them. `kept`
    /// comes from the database that the backup replaces ([`Store::erased_addresses`]). People who have written only
    /// since they were erased stay. Returns how many were erased.
    ///
    /// # Errors
    /// As [`Store::erase_person`].
    pub async fn erase_again(&self, kept: Vec<ErasedAddress>, now: Time) -> Result<usize, StoreError> {
        let key = self.required_erasure_key()?;
        let due = self
            .write(move |tx| {
                for erased in &kept {
                    erased::remember(tx, erased)?;
                }
                let all = erased::all(tx)?;
                let mut due: Vec<(i64, ErasedAddress)> = Vec::new();
                tx.for_each_row(ALL_ADDRESSES, &[], &mut |row| {
                    let Ok(address) = Address::parse(row.text(0)?) else { return Ok(()) };
                    let (hash, since) = (key.address_hash(&address), Time(row.int(2)?));
                    let erased = all.iter().find(|erased| erased.hash == hash && since <= erased.erased_at);
                    if let Some(erased) = erased {
                        due.push((row.int(1)?, *erased));
                    }
                    Ok(())
                })?;
                Ok(due)
            })
            .await?;
        let mut count = 0;
        for (contact, kept) in due {
            // An earlier address of the same person may have led here already.
            count += usize::from(self.erase(contact, Some(kept), now).await?.is_some());
        }
        Ok(count)
    }

    async fn erase(&self, contact: i64, kept: Option<ErasedAddress>, now: Time) -> Result<Option<Erasure>, StoreError> {
        let key = self.required_erasure_key()?;
        // The log is read before the transaction, for which every other write waits; only what is added meanwhile is
        // read in it.
        let (webhooks, read_to) = self
            .read(move |tx| {
                let traces = Traces::of_contact(tx, contact)?;
                webhooks_after(tx, &traces, 0)
            })
            .await?;
        self.write_without_timeout(move |tx| {
            let Some(person) = person(tx, contact)?.filter(|person| !person.is_empty()) else { return Ok(None) };
            remember_addresses(tx, &key, contact, kept, now)?;
            let traces = Traces::of_contact(tx, contact)?;
            let (later, _) = webhooks_after(tx, &traces, read_to)?;
            let mut deleted = Deleted::default();
            for id in webhooks.iter().chain(&later) {
                deleted.webhooks += usize::try_from(tx.execute(DELETE_WEBHOOK, args![*id])?).unwrap_or(0);
            }
            deleted.alerts = delete_alerts(tx, &traces)?;
            let mut files = Vec::new();
            for id in &traces.conversations {
                deleted.messages += delete_conversation(tx, &key, id, &mut files, now)?;
            }
            deleted.conversations = traces.conversations.len();
            files.sort_unstable();
            files.dedup();
            tx.execute(DELETE_USAGE, args![format!("contact {contact}").as_str()])?;
            tx.execute(DELETE_ADDRESSES, args![contact])?;
            if tx.execute(EMPTY_NEWEST_CONTACT, args![contact])? == 0 {
                tx.execute(DELETE_CONTACT, args![contact])?;
            }
            let id = tx.insert(RECORD, args![now])?;
            Ok(Some(Erasure { id, person, deleted, files }))
        })
        .await
    }

    /// Returns the number of the latest erasure; 0 if there was none.
    pub async fn latest_erasure(&self) -> Result<i64, StoreError> {
        self.read(|tx| Ok(tx.fetch_optional(LATEST, &[], |row| row.int_or_null(0))?.flatten().unwrap_or_default()))
            .await
    }

    /// Returns the erasures that are not finished.
    pub async fn unfinished_erasures(&self) -> Result<Vec<UnfinishedErasure>, StoreError> {
        self.read(|tx| {
            tx.fetch_all(UNFINISHED, &[], |row| Ok(UnfinishedErasure { id: row.int(0)?, erased_at: Time(row.int(1)?) }))
        })
        .await
    }

    /// Records that nothing is left to do for an erasure.
    pub async fn finish_erasure(&self, id: i64) -> Result<(), StoreError> {
        self.write(move |tx| tx.execute(FINISH, args![id]).map(drop)).await
    }

    /// Returns whether a turn is being answered.
    pub async fn is_turn_running(&self, turn: TurnId) -> Result<bool, StoreError> {
        self.read(move |tx| Ok(tx.fetch_optional(IS_RUNNING, args![turn], |_| Ok(()))?.is_some())).await
    }

    fn required_erasure_key(&self) -> Result<ErasureKey, StoreError> {
        let missing = || StoreError::Refused("the key for what is kept of erased persons is not loaded".into());
        self.erasure_key.clone().ok_or_else(missing)
    }
}

fn webhooks_after(tx: &mut dyn Tx, traces: &Traces, after: i64) -> Result<(Vec<i64>, i64), StoreError> {
    let (mut found, mut read_to) = (Vec::new(), after);
    loop {
        let (page, next) = webhook_page(tx, traces, read_to, |row| row.int(0))?;
        found.extend(page);
        match next {
            Some(next) => read_to = next,
            None => return Ok((found, read_to)),
        }
    }
}

/// Keeps a hash of each address. `kept` is what was known of the person when they were erased the first time.
fn remember_addresses(
    tx: &mut dyn Tx,
    key: &ErasureKey,
    contact: i64,
    kept: Option<ErasedAddress>,
    now: Time,
) -> Result<(), StoreError> {
    let own = contact_flags(tx, contact)?;
    let (opted_out_at, blocked_at) =
        kept.map_or((own.opted_out_at, own.blocked_at), |kept| (kept.opted_out_at, kept.blocked_at));
    let held = resolve::addresses(tx, contact)?;
    let hashes: Vec<_> = held.iter().map(|held| key.address_hash(&held.address)).collect();
    for hash in &hashes {
        let person = hashes.iter().min().copied().unwrap_or(*hash);
        erased::remember(tx, &ErasedAddress { hash: *hash, person, erased_at: now, opted_out_at, blocked_at })?;
    }
    Ok(())
}

fn delete_alerts(tx: &mut dyn Tx, traces: &Traces) -> Result<usize, StoreError> {
    let theirs = tx.fetch_all(ALERTS, &[], |row| {
        let (cause, subject) = (row.text(0)?.to_owned(), row.text(1)?.to_owned());
        Ok(traces.are_in_alert(&subject, row.text(2)?).then_some((cause, subject)))
    })?;
    let mut count = 0;
    for (cause, subject) in theirs.iter().flatten() {
        tx.execute(DELETE_ALERT_MESSAGES, args![cause.as_str(), subject.as_str()])?;
        count += usize::try_from(tx.execute(DELETE_ALERT, args![cause.as_str(), subject.as_str()])?).unwrap_or(0);
    }
    Ok(count)
}

/// Deletes a conversation with its turns, messages, parts and attachments. Returns how many messages it had.
fn delete_conversation(
    tx: &mut dyn Tx,
    key: &ErasureKey,
    id: &ConversationId,
    files: &mut Vec<FileHash>,
    now: Time,
) -> Result<usize, StoreError> {
    let since = now.0 - REPEATED_WITHIN_MILLIS;
    let latest = tx.fetch_all(LATEST_MESSAGES, args![id, since], |row| {
        Ok((row.text_or_null(0)?.unwrap_or_default().to_owned(), row.text(1)?.to_owned()))
    })?;
    for (channel, message) in &latest {
        erased::remember_message(tx, key, (channel, message), now)?;
    }
    files.extend(tx.fetch_all(FILES, args![id], |row| Ok(FileHash::parse(row.text(0)?)))?.into_iter().flatten());
    let messages = tx.fetch_optional(COUNT_MESSAGES, args![id], |row| row.int(0))?.unwrap_or_default();
    tx.execute(DELETE_CONVERSATION, args![id])?;
    tx.execute(EMPTY_NEWEST_TURN, args![id, Arg::Bytes(&[0; 16])])?;
    Ok(usize::try_from(messages).unwrap_or(0))
}
