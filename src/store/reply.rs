//! Replies: what a worker found to say, stored with its parts in one transaction.

use super::database::{Tx, args};
use super::ids::{Ids, token};
use super::messages::{NewMessage, insert_message};
use super::{Store, StoreError, StoreOptions, TurnClaim, budget, conversations};
use crate::clock::Time;
use crate::model::{ConversationId, MessageId, PartRef, Role, TurnId, Usage};

const SENDING: &str = "
    UPDATE turns SET state = 'sending', token = NULL, error = ?3,
        model = ?4, input_tokens = ?5, output_tokens = ?6, tokens_estimated = ?7, cost_micros = ?8
    WHERE id = ?1 AND token = ?2 AND state = 'running'";

const TOUCH: &str = "UPDATE conversations SET revision = revision + 1 WHERE id = ?1";

const REVISION: &str = "SELECT revision FROM conversations WHERE id = ?1";

const NEW_PART: &str = "
    INSERT INTO parts (id, conversation_id, body, state, due_at, attempts, token, first_tried_at)
    VALUES (?1 * 16 + ?2, ?3, ?4, ?5, NULL, ?6, ?7, ?8)";

/// What a worker found to say.
#[derive(Clone, Debug)]
pub enum Reply {
    /// The model answered.
    Answer {
        /// Its text as it gave it, for the history.
        text: String,
        /// The model's name.
        model: String,
        /// What it took.
        usage: Usage,
        /// What that cost, in millionths of a US dollar.
        cost: i64,
        /// Whether a person takes over with it.
        hand_over: Option<HandOver>,
    },
    /// A text of our own, which the model had no part in.
    Words {
        /// What is said.
        text: String,
        /// Whether a person takes over with it.
        hand_over: Option<HandOver>,
    },
    /// What an operator wrote, which is in the history already.
    Operator,
    /// No answer can be had; the turn ends `dead` once the contact has been told.
    Apology {
        /// Why, for the operator.
        why: String,
    },
}

/// A reply that is stored, and whose first part is in the hands of who stored it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replied {
    /// The first part, which is `sending`.
    pub part: PartRef,
    /// Proof that it is.
    pub token: i64,
    /// The conversation's revision with the reply.
    pub revision: i64,
}

/// That a person takes a conversation over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandOver {
    /// When the assistant takes it back; `None` is never.
    pub until: Option<Time>,
    /// Why, for the operator.
    pub why: String,
}

impl Store {
    /// Stores the reply and its parts and moves the turn to `sending`. The first part leaves `sending` already, so that
    /// the worker that wrote it may post it at once: it is on the disk before the first byte goes out. `None`: the claim
    /// was stale. `parts` is not empty.
    pub async fn reply(
        &self,
        claim: &TurnClaim,
        reply: Reply,
        parts: Vec<String>,
        now: Time,
    ) -> Result<Option<Replied>, StoreError> {
        let (turn, conversation, held, ids) = (claim.turn, claim.conversation, claim.token, self.ids.clone());
        let (reservation, options) = (claim.reservation.clone(), self.options);
        self.write_for_good(move |tx| {
            budget::settle(tx, options, turn, reservation.as_ref())?;
            store_reply(tx, &ids, (turn, &conversation, held), &reply, &parts, now, options)
        })
        .await
    }
}

fn store_reply(
    tx: &mut dyn Tx,
    ids: &Ids,
    (turn, conversation, held): (TurnId, &ConversationId, i64),
    reply: &Reply,
    parts: &[String],
    now: Time,
    options: StoreOptions,
) -> Result<Option<Replied>, StoreError> {
    let (error, model, usage, cost) = match reply {
        Reply::Answer { model, usage, cost, .. } => (None, Some(model.as_str()), Some(usage), Some(*cost)),
        Reply::Words { .. } | Reply::Operator => (None, None, None, None),
        Reply::Apology { why } => (Some(why.as_str()), None, None, None),
    };
    let moved = tx.execute(
        SENDING,
        args![
            turn,
            held,
            error,
            model,
            usage.map(|usage| i64::from(usage.input_tokens)),
            usage.map(|usage| i64::from(usage.output_tokens)),
            usage.map(|usage| i64::from(usage.estimated)),
            cost,
        ],
    )?;
    if moved == 0 {
        return Ok(None);
    }
    if let Reply::Words { hand_over: Some(HandOver { until, why }), .. }
    | Reply::Answer { hand_over: Some(HandOver { until, why }), .. } = reply
    {
        conversations::take_over(tx, conversation, *until, why, now, options)?;
        conversations::call_for_a_person(tx, conversation, why, now)?;
    }
    if let Reply::Answer { text, .. } | Reply::Words { text, .. } = reply {
        let message = NewMessage { role: Role::Assistant, content: text, metadata: "{}", provider: None, at: now };
        insert_message(tx, &MessageId(ids.next(now)), conversation, turn, &message)?;
        tx.execute(TOUCH, args![conversation])?;
    }
    let revision = tx.one(REVISION, args![conversation], |row| row.int(0))?.unwrap_or(0);
    let token = token();
    for (number, body) in (1_i64..).zip(parts) {
        let first = number == 1;
        tx.execute(
            NEW_PART,
            args![
                turn,
                number,
                conversation,
                body.as_str(),
                if first { "sending" } else { "ready" },
                i64::from(first),
                first.then_some(token),
                first.then_some(now),
            ],
        )?;
    }
    Ok(Some(Replied { part: PartRef { turn, number: 1 }, token, revision }))
}
