//! Conversations as an operator sees and steers them.

use super::alerts;
use super::attachments::{AttachmentRow, of_message};
use super::database::{Row, Tx, args};
use super::drafts::Enclosed;
use super::ids::Ids;
use super::messages::{NewMessage, insert_message};
use super::silence::silence;
use super::status::{Undelivered, undelivered};
use super::{Store, StoreError, StoreOptions, files, outcome};
use crate::clock::Time;
use crate::model::{Address, ConversationId, Media, MessageId, Role, TurnId};

/// Newest first, from before a time and id on.
const LIST: &str = "
    SELECT c.id, c.contact_id, p.name, c.reply_to, c.our_address, c.mode, c.mode_until, c.started_at, c.last_inbound_at,
        c.ended_at, p.blocked_at, p.opted_out_at, c.account
    FROM conversations c JOIN contacts p ON p.id = c.contact_id
    WHERE c.id < ?1 ORDER BY c.id DESC LIMIT ?2";

const ONE: &str = "
    SELECT c.id, c.contact_id, p.name, c.reply_to, c.our_address, c.mode, c.mode_until, c.started_at, c.last_inbound_at,
        c.ended_at, p.blocked_at, p.opted_out_at, c.account
    FROM conversations c JOIN contacts p ON p.id = c.contact_id WHERE c.id = ?1";

const SAID: &str = "
    SELECT m.role, m.content, m.created_at, m.turn_id, t.state, t.error, m.id
    FROM messages m JOIN turns t ON t.id = m.turn_id
    WHERE m.conversation_id = ?1 ORDER BY m.turn_id DESC, m.id DESC LIMIT ?2";

const MODE: &str = "
    UPDATE conversations SET mode = ?2, mode_until = ?3, mode_why = ?4, revision = revision + 1
    WHERE id = ?1 AND ended_at IS NULL";

const LIVE: &str = "
    SELECT id, state, command FROM turns
    WHERE conversation_id = ?1 AND live IS NOT NULL";

const SKIP: &str = "
    UPDATE turns SET state = 'skipped', live = NULL, error = ?2, finished_at = ?3, due_at = NULL, token = NULL
    WHERE id = ?1 AND state IN ('open', 'running', 'retry')";

/// A word of the contact's may wait in it: the operator goes before, and it moves to the turn after that at the claim.
const OPERATOR_FIRST: &str = "
    UPDATE turns SET command = 'operator', due_at = ?2, not_before = NULL WHERE id = ?1";

const OPERATOR_TURN: &str = "
    INSERT INTO turns (conversation_id, state, live, created_at, due_at, command)
    VALUES (?1, 'open', 1, ?2, ?3, 'operator')";

const END: &str = "UPDATE conversations SET ended_at = ?2, revision = revision + 1 WHERE id = ?1 AND ended_at IS NULL";

const CONTACT: &str = "SELECT contact_id FROM addresses WHERE kind = ?1 AND value = ?2";

const NEW_CONTACT: &str = "INSERT INTO contacts (name, created_at, blocked_at) VALUES (NULL, ?1, ?1)";

const NEW_ADDRESS: &str = "INSERT INTO addresses (kind, value, contact_id, created_at) VALUES (?1, ?2, ?3, ?4)";

const BLOCK: &str = "UPDATE contacts SET blocked_at = ?2 WHERE id = ?1";

/// A conversation in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConversationRow {
    /// Its id.
    pub id: ConversationId,
    /// The name that the contact shows.
    pub name: Option<String>,
    /// Where answers go.
    pub contact: String,
    /// The account at the provider that it came through.
    pub account: String,
    /// Our address.
    pub ours: String,
    /// Whether a person answers; and until when, if that ends by itself.
    pub human: bool,
    /// When `human` ends by itself.
    pub human_until: Option<Time>,
    /// When it began.
    pub started_at: Time,
    /// When the contact last wrote.
    pub last_inbound_at: Time,
    /// When it ended.
    pub ended_at: Option<Time>,
    /// Whether the contact is blocked.
    pub blocked: bool,
    /// Whether the contact opted out.
    pub opted_out: bool,
}

impl ConversationRow {
    /// With the mode as it is at that time: a person answers until then, though only the next message has it written down.
    #[must_use]
    pub fn at(self, now: Time) -> ConversationRow {
        match self.human_until {
            Some(until) if until <= now => ConversationRow { human: false, human_until: None, ..self },
            _ => self,
        }
    }
}

/// One message of a transcript.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Who said it.
    pub role: Role,
    /// What was said.
    pub content: String,
    /// When.
    pub at: Time,
    /// Its turn, and how that stands.
    pub turn: TurnId,
    /// The turn's state.
    pub state: String,
    /// Why the turn was not answered, if it was not.
    pub error: Option<String>,
    /// The turn's messages that the provider took and did not deliver.
    pub undelivered: Vec<Undelivered>,
    /// What came with it.
    pub attachments: Vec<AttachmentRow>,
}

/// What became of an operator's message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spoken {
    /// It will be sent.
    Queued(TurnId),
    /// There is no such conversation.
    NoConversation,
    /// The contact opted out, or is blocked.
    Silenced,
    /// The contact last wrote too long ago for free text.
    TooLate,
}

impl Store {
    /// Conversations older than `before`, newest first.
    pub async fn conversations(
        &self,
        before: Option<ConversationId>,
        most: i64,
    ) -> Result<Vec<ConversationRow>, StoreError> {
        let before = before.unwrap_or(ConversationId(uuid::Uuid::max()));
        self.read(move |tx| tx.all(LIST, args![&before, most], conversation)).await
    }

    /// One conversation with the last of what was said in it, oldest first.
    pub async fn conversation(
        &self,
        id: ConversationId,
        most: i64,
    ) -> Result<Option<(ConversationRow, Vec<Said>)>, StoreError> {
        self.read(move |tx| {
            let Some(found) = tx.one(ONE, args![&id], conversation)? else { return Ok(None) };
            let mut said = tx.all(SAID, args![&id, most], |row| {
                let message = MessageId(row.uuid(6)?);
                let said = Said {
                    role: Role::parse(row.text(0)?).ok_or_else(|| StoreError::unexpected(0, "a role"))?,
                    content: row.text(1)?.to_owned(),
                    at: Time(row.int(2)?),
                    turn: TurnId(row.int(3)?),
                    state: row.text(4)?.to_owned(),
                    error: row.text_or_null(5)?.map(str::to_owned),
                    undelivered: Vec::new(),
                    attachments: Vec::new(),
                };
                Ok((message, said))
            })?;
            said.reverse();
            for (message, said) in &mut said {
                said.undelivered = undelivered(tx, said.turn)?;
                said.attachments = of_message(tx, &id, message)?;
            }
            Ok(Some((found, said.into_iter().map(|(_, said)| said).collect())))
        })
        .await
    }

    /// A person answers from now on: what was about to be answered is left to them. `tell` is said to the contact, if it
    /// may be, and the owner gets an alert; without it both hear of it otherwise. `false`: no open conversation.
    pub async fn take_over(
        &self,
        id: ConversationId,
        until: Option<Time>,
        why: String,
        tell: Option<String>,
        now: Time,
    ) -> Result<bool, StoreError> {
        let (ids, options) = (self.ids.clone(), self.options);
        self.write(move |tx| {
            if let Some(text) = &tell {
                announce(tx, &id, &why, now)?;
                let line = Line { content: text, metadata: "{}" };
                if let Spoken::Queued(_) = say(tx, &ids, &id, (Role::Assistant, &[line]), until, now, options)? {
                    tx.execute(MODE, args![&id, "human", until, why.as_str()])?;
                    return Ok(true);
                }
            }
            take_over(tx, &id, until, &why, now, options)
        })
        .await
    }

    /// The assistant answers again, from the next message on. `false`: no open conversation.
    pub async fn hand_back(&self, id: ConversationId) -> Result<bool, StoreError> {
        self.write(move |tx| Ok(tx.execute(MODE, args![&id, "auto", None::<i64>, None::<&str>])? == 1)).await
    }

    /// An operator's message: it is sent, and a person answers from now on. It waits for what is being sent.
    pub async fn say(
        &self,
        id: ConversationId,
        text: String,
        until: Option<Time>,
        now: Time,
    ) -> Result<Spoken, StoreError> {
        let (ids, options) = (self.ids.clone(), self.options);
        self.write(move |tx| {
            let line = Line { content: &text, metadata: "{}" };
            say(tx, &ids, &id, (Role::Operator, &[line]), until, now, options)
        })
        .await
    }

    /// An operator's message with a file, which lies in the folder already. The text is shown below it, or where the
    /// provider would drop it sent before it; it may be empty.
    pub async fn say_with_file(
        &self,
        id: ConversationId,
        text: String,
        file: Media,
        until: Option<Time>,
        now: Time,
    ) -> Result<Spoken, StoreError> {
        let (ids, options) = (self.ids.clone(), self.options);
        self.write(move |tx| {
            let shown = file.shows(&text);
            let (before, caption) = if shown { ("", text.as_str()) } else { (text.as_str(), "") };
            let told = if caption.is_empty() { file.told() } else { format!("{caption}\n{}", file.told()) };
            let enclosed = Enclosed::file(&file, caption).json();
            let before = (!before.is_empty()).then_some(Line { content: before, metadata: "{}" });
            let lines: Vec<_> = before.into_iter().chain([Line { content: &told, metadata: &enclosed }]).collect();
            let spoken = say(tx, &ids, &id, (Role::Operator, &lines), until, now, options)?;
            if let Spoken::Queued(_) = spoken {
                files::own(tx, &id, &file, now)?;
            }
            Ok(spoken)
        })
        .await
    }

    /// Ends a conversation; the contact's next message begins a new one. `false`: no open conversation.
    pub async fn end_conversation(&self, id: ConversationId, now: Time) -> Result<bool, StoreError> {
        self.write(move |tx| Ok(tx.execute(END, args![&id, now])? == 1)).await
    }

    /// Nothing is answered or sent to that address any more, or again. The contact is made where there is none.
    pub async fn block(&self, address: Address, blocked: bool, now: Time) -> Result<(), StoreError> {
        self.write(move |tx| {
            let (kind, value) = (address.kind(), address.as_str());
            let contact = match tx.one(CONTACT, args![kind, value], |row| row.int(0))? {
                Some(contact) => contact,
                None => {
                    let contact = tx.insert(NEW_CONTACT, args![now])?;
                    tx.execute(NEW_ADDRESS, args![kind, value, contact, now])?;
                    contact
                }
            };
            tx.execute(BLOCK, args![contact, blocked.then_some(now)])?;
            if blocked {
                silence(tx, contact, "the contact is blocked", now)?;
            }
            Ok(())
        })
        .await
    }
}

/// Hands a conversation to a person, beside what led to it.
pub(super) fn take_over(
    tx: &mut dyn Tx,
    id: &ConversationId,
    until: Option<Time>,
    why: &str,
    now: Time,
    options: StoreOptions,
) -> Result<bool, StoreError> {
    if tx.execute(MODE, args![id, "human", until, why])? == 0 {
        return Ok(false);
    }
    for (turn, command) in live(tx, id)? {
        if command.is_none() {
            tx.execute(SKIP, args![turn, "a person answers this conversation", now])?;
        }
    }
    // A word of the contact's may have waited for what was just ended.
    outcome::wake_next(tx, id, now, options)?;
    Ok(true)
}

/// Whether a person answers a conversation.
pub(super) fn is_human(tx: &mut dyn Tx, id: &ConversationId, now: Time) -> Result<bool, StoreError> {
    let found = tx.one(ONE, args![id], conversation)?;
    Ok(found.is_some_and(|found| found.human && found.human_until.is_none_or(|until| until > now)))
}

/// Records that a person is wanted.
pub(super) fn call_for_a_person(tx: &mut dyn Tx, id: &ConversationId, why: &str, now: Time) -> Result<(), StoreError> {
    alerts::record(tx, "hand_over", &id.to_string(), &format!("a person is wanted: {why}"), now)
}

/// Records that a person answers from now on, where none does yet: the operator may not be the only one to watch.
fn announce(tx: &mut dyn Tx, id: &ConversationId, why: &str, now: Time) -> Result<(), StoreError> {
    let found = tx.one(ONE, args![id], conversation)?;
    let begins = found.is_some_and(|found| found.ended_at.is_none() && !found.at(now).human);
    if begins {
        alerts::record(tx, "hand_over", &id.to_string(), &format!("a person answers: {why}"), now)?;
    }
    Ok(())
}

fn live(tx: &mut dyn Tx, id: &ConversationId) -> Result<Vec<(TurnId, Option<String>)>, StoreError> {
    tx.all(LIVE, args![id], |row| Ok((TurnId(row.int(0)?), row.text_or_null(2)?.map(str::to_owned))))
}

/// One message of ours: what the history tells of it, and what else belongs to it.
pub(super) struct Line<'a> {
    pub(super) content: &'a str,
    pub(super) metadata: &'a str,
}

/// One conversation.
pub(super) fn one(tx: &mut dyn Tx, id: &ConversationId) -> Result<Option<ConversationRow>, StoreError> {
    tx.one(ONE, args![id], conversation)
}

fn say(
    tx: &mut dyn Tx,
    ids: &Ids,
    id: &ConversationId,
    (role, lines): (Role, &[Line<'_>]),
    until: Option<Time>,
    now: Time,
    options: StoreOptions,
) -> Result<Spoken, StoreError> {
    let Some(found) = tx.one(ONE, args![id], conversation)?.filter(|found| found.ended_at.is_none()) else {
        return Ok(Spoken::NoConversation);
    };
    if found.blocked || found.opted_out {
        return Ok(Spoken::Silenced);
    }
    if found.last_inbound_at + super::SEND_WITHIN <= now {
        return Ok(Spoken::TooLate);
    }
    if role == Role::Operator {
        announce(tx, id, "an operator wrote", now)?;
    }
    take_over(tx, id, until, "an operator wrote", now, options)?;
    queue(tx, ids, id, role, lines, now).map(Spoken::Queued)
}

/// Queues what is said of our own accord: it waits for what is being sent, and goes before what waits.
pub(super) fn queue(
    tx: &mut dyn Tx,
    ids: &Ids,
    id: &ConversationId,
    role: Role,
    lines: &[Line<'_>],
    now: Time,
) -> Result<TurnId, StoreError> {
    let live = tx.all(LIVE, args![id], |row| Ok((TurnId(row.int(0)?), row.text(1)? == "open")))?;
    let due = live.iter().all(|(_, open)| *open).then_some(now);
    let turn = match live.iter().find(|(_, open)| *open) {
        Some((turn, _)) => {
            tx.execute(OPERATOR_FIRST, args![*turn, due])?;
            *turn
        }
        None => TurnId(tx.insert(OPERATOR_TURN, args![id, now, due])?),
    };
    for Line { content, metadata } in lines {
        let said = NewMessage { role, content, metadata, provider: None, at: now, word: None };
        insert_message(tx, &MessageId(ids.next(now)), id, turn, &said)?;
    }
    Ok(turn)
}

fn conversation(row: &dyn Row) -> Result<ConversationRow, StoreError> {
    Ok(ConversationRow {
        id: ConversationId(row.uuid(0)?),
        name: row.text_or_null(2)?.map(str::to_owned),
        contact: row.text(3)?.to_owned(),
        ours: row.text(4)?.to_owned(),
        account: row.text(12)?.to_owned(),
        human: row.text(5)? == "human",
        human_until: row.int_or_null(6)?.map(Time),
        started_at: Time(row.int(7)?),
        last_inbound_at: Time(row.int(8)?),
        ended_at: row.int_or_null(9)?.map(Time),
        blocked: row.int_or_null(10)?.is_some(),
        opted_out: row.int_or_null(11)?.is_some(),
    })
}
