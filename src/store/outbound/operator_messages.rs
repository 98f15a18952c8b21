//! What an operator writes, or mynah writes for an operator: a turn of its own, sent without a model.

use super::drafts::OperatorMetadata;
use crate::clock::Time;
use crate::model::{ConversationId, Media, MessageId, Role, TurnId};
use crate::store::conversations::listing::find;
use crate::store::conversations::messages::{NewMessage, insert_message};
use crate::store::database::ids::IdGenerator;
use crate::store::database::{Store, StoreError, StoreOptions, Tx, args};
use crate::store::operations::files;
use crate::store::queue::handover::{LIVE, SET_MODE, alert_person_answers, take_over};
use crate::store::queue::limits::SEND_WITHIN;

/// The turn may hold a command from the contact. The operator's message goes first, and the command moves to the next
/// turn at the claim.
const MAKE_OPERATOR_TURN: &str = "
    UPDATE turns SET command = 'operator', due_at = ?2, not_before = NULL WHERE id = ?1";

const OPERATOR_TURN: &str = "
    INSERT INTO turns (conversation_id, state, live, created_at, due_at, command)
    VALUES (?1, 'open', 1, ?2, ?3, 'operator')";

/// The result of queuing an operator's message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperatorMessageOutcome {
    /// The message will be sent.
    Queued(TurnId),
    /// There is no such conversation.
    NoConversation,
    /// The contact opted out or is blocked.
    OptedOutOrBlocked,
    /// The contact last wrote too long ago for free text.
    TooLate,
}

/// One message of ours: its text in the history, and its metadata.
pub(in crate::store) struct OutboundMessage<'a> {
    pub(in crate::store) content: &'a str,
    pub(in crate::store) metadata: &'a str,
}

impl Store {
    /// Hands the conversation to a person. Turns that wait are skipped, and left to that person. If `contact_notice` is
    /// set, mynah sends it to the contact if it may, and alerts the owner; otherwise both learn of the handover in
    /// another way. Returns `false` if the conversation is not open.
    pub async fn take_over(
        &self,
        id: ConversationId,
        until: Option<Time>,
        why: String,
        contact_notice: Option<String>,
        now: Time,
    ) -> Result<bool, StoreError> {
        let (ids, options) = (self.ids.clone(), self.options);
        self.write(move |tx| {
            if let Some(text) = &contact_notice {
                alert_person_answers(tx, &id, &why, now)?;
                let line = OutboundMessage { content: text, metadata: "{}" };
                if let OperatorMessageOutcome::Queued(_) =
                    take_over_and_queue(tx, &ids, &id, (Role::Assistant, &[line]), until, now, options)?
                {
                    tx.execute(SET_MODE, args![&id, "human", until, why.as_str()])?;
                    return Ok(true);
                }
            }
            take_over(tx, &id, until, &why, now, options)
        })
        .await
    }

    /// Sends an operator's message, and hands the conversation to a person. The message waits for what is being sent.
    pub async fn send_operator_message(
        &self,
        id: ConversationId,
        text: String,
        until: Option<Time>,
        now: Time,
    ) -> Result<OperatorMessageOutcome, StoreError> {
        let (ids, options) = (self.ids.clone(), self.options);
        self.write(move |tx| {
            let line = OutboundMessage { content: &text, metadata: "{}" };
            take_over_and_queue(tx, &ids, &id, (Role::Operator, &[line]), until, now, options)
        })
        .await
    }

    /// Sends an operator's message with a file that is in the media folder already. The text is shown below the file,
    /// or sent before it if the provider would drop it there. The text may be empty.
    pub async fn send_operator_file(
        &self,
        id: ConversationId,
        text: String,
        file: Media,
        until: Option<Time>,
        now: Time,
    ) -> Result<OperatorMessageOutcome, StoreError> {
        let (ids, options) = (self.ids.clone(), self.options);
        self.write(move |tx| {
            let shown = file.shows_caption(&text);
            let (before, caption) = if shown { ("", text.as_str()) } else { (text.as_str(), "") };
            let history_text =
                if caption.is_empty() { file.history_text() } else { format!("{caption}\n{}", file.history_text()) };
            let enclosed = OperatorMetadata::file(&file, caption).json();
            let before = (!before.is_empty()).then_some(OutboundMessage { content: before, metadata: "{}" });
            let lines: Vec<_> =
                before.into_iter().chain([OutboundMessage { content: &history_text, metadata: &enclosed }]).collect();
            let result = take_over_and_queue(tx, &ids, &id, (Role::Operator, &lines), until, now, options)?;
            if let OperatorMessageOutcome::Queued(_) = result {
                files::add_file(tx, &id, &file, now)?;
            }
            Ok(result)
        })
        .await
    }
}

fn take_over_and_queue(
    tx: &mut dyn Tx,
    ids: &IdGenerator,
    id: &ConversationId,
    (role, lines): (Role, &[OutboundMessage<'_>]),
    until: Option<Time>,
    now: Time,
    options: StoreOptions,
) -> Result<OperatorMessageOutcome, StoreError> {
    let Some(found) = find(tx, id)?.filter(|found| found.ended_at.is_none()) else {
        return Ok(OperatorMessageOutcome::NoConversation);
    };
    if found.blocked || found.opted_out {
        return Ok(OperatorMessageOutcome::OptedOutOrBlocked);
    }
    if found.last_inbound_at + SEND_WITHIN <= now {
        return Ok(OperatorMessageOutcome::TooLate);
    }
    if role == Role::Operator {
        alert_person_answers(tx, id, "an operator wrote", now)?;
    }
    take_over(tx, id, until, "an operator wrote", now, options)?;
    queue_operator_turn(tx, ids, id, role, lines, now).map(OperatorMessageOutcome::Queued)
}

/// Queues messages of our own. They wait for what is being sent, and go before what waits.
pub(in crate::store) fn queue_operator_turn(
    tx: &mut dyn Tx,
    ids: &IdGenerator,
    id: &ConversationId,
    role: Role,
    lines: &[OutboundMessage<'_>],
    now: Time,
) -> Result<TurnId, StoreError> {
    let live = tx.fetch_all(LIVE, args![id], |row| Ok((TurnId(row.int(0)?), row.text(1)? == "open")))?;
    let due = live.iter().all(|(_, open)| *open).then_some(now);
    let turn = match live.iter().find(|(_, open)| *open) {
        Some((turn, _)) => {
            tx.execute(MAKE_OPERATOR_TURN, args![*turn, due])?;
            *turn
        }
        None => TurnId(tx.insert(OPERATOR_TURN, args![id, now, due])?),
    };
    for OutboundMessage { content, metadata } in lines {
        let said = NewMessage { role, content, metadata, provider: None, at: now, request: None };
        insert_message(tx, &MessageId(ids.next(now)), id, turn, &said)?;
    }
    Ok(turn)
}
