//! Taking a message: the fact and its work in one transaction.

use super::database::{Tx, args};
use super::ids::Ids;
use super::{Accepting, Store, StoreError, StoreOptions, WebhookRecord, webhooks};
use crate::clock::Time;
use crate::model::{ConversationId, Inbound, MessageId, Role, TurnId};

const KNOWN: &str = "SELECT id FROM messages WHERE channel = ?1 AND provider_id = ?2 AND provider_id IS NOT NULL";

const CONTACT: &str = "SELECT contact_id FROM addresses WHERE kind = ?1 AND value = ?2";

const NEW_CONTACT: &str = "INSERT INTO contacts (name, created_at) VALUES (?1, ?2)";

const NEW_ADDRESS: &str = "INSERT INTO addresses (kind, value, contact_id, created_at) VALUES (?1, ?2, ?3, ?4)";

const GOING: &str = "
    SELECT id, last_inbound_at FROM conversations
    WHERE contact_id = ?1 AND channel = ?2 AND our_address = ?3 AND is_open = 1";

/// A message that is found late at the provider does not take the answer back to where an older one came from.
const CONTINUE: &str = "
    UPDATE conversations
    SET reply_to = CASE WHEN ?3 >= last_inbound_at THEN ?2 ELSE reply_to END,
        last_inbound_at = MAX(last_inbound_at, ?3), revision = revision + 1
    WHERE id = ?1";

/// Not while something in it still waits for its answer: the answer belongs to it.
const END_IDLE: &str = "
    UPDATE conversations SET ended_at = ?2
    WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM turns t WHERE t.conversation_id = ?1
        AND t.state IN ('open', 'running', 'retry', 'sending'))";

const NEW_CONVERSATION: &str = "
    INSERT INTO conversations (id, contact_id, channel, our_address, reply_to, started_at, last_inbound_at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)";

/// At most two: the open one and the active one.
const LIVE_TURNS: &str = "
    SELECT id, state FROM turns
    WHERE conversation_id = ?1 AND state IN ('open', 'running', 'retry', 'sending')";

const NEW_TURN: &str = "INSERT INTO turns (conversation_id, state, created_at, due_at) VALUES (?1, 'open', ?2, ?3)";

const NEW_MESSAGE: &str = "
    INSERT INTO messages (id, conversation_id, turn_id, role, content, metadata, channel, provider_id, created_at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";

/// What became of an accepted message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// It is stored and a turn will answer it.
    New(TurnId),
    /// It was stored before; nothing changed.
    Known,
}

impl Store {
    /// Stores a contact's message with the contact, the conversation, the turn that will answer it and the log of its
    /// webhook, all in one transaction. The same provider id again changes nothing but the log.
    pub async fn accept(&self, inbound: Inbound, record: Option<WebhookRecord>) -> Result<Accepted, StoreError> {
        let _waits = Accepting::count(&self.accepting);
        let (ids, options) = (self.ids.clone(), self.options);
        // Here and not in the transaction, where everybody would wait for it.
        let metadata = serde_json::to_string(&inbound.metadata).unwrap_or_else(|_| "{}".into());
        self.write(move |tx| accept(tx, &ids, options, &inbound, &metadata, record.as_ref())).await
    }
}

fn accept(
    tx: &mut dyn Tx,
    ids: &Ids,
    options: StoreOptions,
    inbound: &Inbound,
    metadata: &str,
    record: Option<&WebhookRecord>,
) -> Result<Accepted, StoreError> {
    let known =
        tx.one(KNOWN, args![inbound.channel, inbound.provider_id.0.as_str()], |row| row.uuid(0).map(MessageId))?;
    let (message, accepted) = match known {
        Some(message) => (message, Accepted::Known),
        None => {
            let conversation = conversation(tx, ids, options, inbound)?;
            let turn = open_turn(tx, &conversation, inbound.received_at, options)?;
            let message = MessageId(ids.next(inbound.received_at));
            insert_message(
                tx,
                &message,
                &conversation,
                turn,
                &NewMessage {
                    role: Role::User,
                    content: &inbound.text,
                    metadata,
                    provider: Some((inbound.channel, &inbound.provider_id.0)),
                    at: inbound.received_at,
                },
            )?;
            (message, Accepted::New(turn))
        }
    };
    if let Some(record) = record {
        webhooks::insert(tx, record, Some(&message))?;
    }
    Ok(accepted)
}

/// The contact's open conversation on the number written to, with its contact, made where there is none.
fn conversation(
    tx: &mut dyn Tx,
    ids: &Ids,
    options: StoreOptions,
    inbound: &Inbound,
) -> Result<ConversationId, StoreError> {
    let (kind, value, now) = (inbound.from.kind(), inbound.from.as_str(), inbound.received_at);
    let contact = match tx.one(CONTACT, args![kind, value], |row| row.int(0))? {
        Some(contact) => contact,
        None => {
            let contact = tx.insert(NEW_CONTACT, args![inbound.profile_name.as_deref(), now])?;
            tx.execute(NEW_ADDRESS, args![kind, value, contact, now])?;
            contact
        }
    };
    let (ours, reply_to) = (inbound.to.as_str(), inbound.reply_to.as_str());
    let going = tx.one(GOING, args![contact, inbound.channel, ours], |row| {
        Ok((ConversationId(row.uuid(0)?), Time(row.int(1)?)))
    })?;
    if let Some((id, last)) = going {
        let idle = last < now - options.conversation_ttl;
        if !(idle && tx.execute(END_IDLE, args![&id, now])? == 1) {
            tx.execute(CONTINUE, args![&id, reply_to, now])?;
            return Ok(id);
        }
    }
    let id = ConversationId(ids.next(now));
    tx.execute(NEW_CONVERSATION, args![&id, contact, inbound.channel, ours, reply_to, now])?;
    Ok(id)
}

/// The one open turn, which takes everything said until it is claimed. A new one waits while another is active.
fn open_turn(
    tx: &mut dyn Tx,
    conversation: &ConversationId,
    now: Time,
    options: StoreOptions,
) -> Result<TurnId, StoreError> {
    let live = tx.all(LIVE_TURNS, args![conversation], |row| Ok((TurnId(row.int(0)?), row.text(1)? == "open")))?;
    if let Some((turn, _)) = live.iter().find(|(_, open)| *open) {
        return Ok(*turn);
    }
    let due = live.is_empty().then_some(now + options.merge_window);
    Ok(TurnId(tx.insert(NEW_TURN, args![conversation, now, due])?))
}

/// A message about to be stored.
pub(super) struct NewMessage<'a> {
    pub(super) role: Role,
    pub(super) content: &'a str,
    pub(super) metadata: &'a str,
    pub(super) provider: Option<(&'a str, &'a str)>,
    pub(super) at: Time,
}

pub(super) fn insert_message(
    tx: &mut dyn Tx,
    id: &MessageId,
    conversation: &ConversationId,
    turn: TurnId,
    message: &NewMessage<'_>,
) -> Result<(), StoreError> {
    let (channel, provider_id) = message.provider.unzip();
    tx.execute(
        NEW_MESSAGE,
        args![
            id,
            conversation,
            turn,
            message.role.as_str(),
            message.content,
            message.metadata,
            channel,
            provider_id,
            message.at,
        ],
    )?;
    Ok(())
}
