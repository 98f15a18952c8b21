//! What an operator writes, or has written for them: a turn of its own, sent without a model.

use super::drafts::Enclosed;
use crate::clock::Time;
use crate::model::{ConversationId, Media, MessageId, Role, TurnId};
use crate::store::conversations::listing::one;
use crate::store::conversations::messages::NewMessage;
use crate::store::conversations::messages::insert_message;
use crate::store::database::Store;
use crate::store::database::StoreError;
use crate::store::database::StoreOptions;
use crate::store::database::Tx;
use crate::store::database::args;
use crate::store::database::ids::Ids;
use crate::store::operations::files;
use crate::store::queue::handover::LIVE;
use crate::store::queue::handover::MODE;
use crate::store::queue::handover::announce;
use crate::store::queue::handover::take_over;
use crate::store::queue::limits::SEND_WITHIN;

/// A word of the contact's may wait in it: the operator goes before, and it moves to the turn after that at the claim.
const OPERATOR_FIRST: &str = "
    UPDATE turns SET command = 'operator', due_at = ?2, not_before = NULL WHERE id = ?1";

const OPERATOR_TURN: &str = "
    INSERT INTO turns (conversation_id, state, live, created_at, due_at, command)
    VALUES (?1, 'open', 1, ?2, ?3, 'operator')";

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

/// One message of ours: what the history tells of it, and what else belongs to it.
pub(in crate::store) struct Line<'a> {
    pub(in crate::store) content: &'a str,
    pub(in crate::store) metadata: &'a str,
}

impl Store {
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
    let Some(found) = one(tx, id)?.filter(|found| found.ended_at.is_none()) else {
        return Ok(Spoken::NoConversation);
    };
    if found.blocked || found.opted_out {
        return Ok(Spoken::Silenced);
    }
    if found.last_inbound_at + SEND_WITHIN <= now {
        return Ok(Spoken::TooLate);
    }
    if role == Role::Operator {
        announce(tx, id, "an operator wrote", now)?;
    }
    take_over(tx, id, until, "an operator wrote", now, options)?;
    queue(tx, ids, id, role, lines, now).map(Spoken::Queued)
}

/// Queues what is said of our own accord: it waits for what is being sent, and goes before what waits.
pub(in crate::store) fn queue(
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
