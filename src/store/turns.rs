//! Turns: claimed by a worker, finished once.
//!
//! A claim hands out a token. A finishing write names it; one that matches no row came from a stale worker and answers
//! `false`, and its transaction changes nothing.

use super::database::{Row, Tx, args};
use super::ids::{Ids, token};
use super::messages::{NewMessage, insert_message};
use super::{Reservation, SEND_WITHIN, Spent, Store, StoreError, StoreOptions, budget, conversations, outcome};
use crate::clock::Time;
use crate::model::{Command, ConversationId, MessageId, PartRef, Role, TurnId, Usage};

const DUE: &str = "
    SELECT t.id, t.conversation_id, t.attempts, c.channel, c.our_address, c.reply_to, c.last_inbound_at, c.revision,
        t.command, c.mode, c.mode_until, p.opted_out_at, p.blocked_at, c.contact_id
    FROM turns t JOIN conversations c ON c.id = t.conversation_id JOIN contacts p ON p.id = c.contact_id
    WHERE t.state IN ('open', 'retry') AND t.due_at <= ?1
    ORDER BY t.due_at LIMIT ?2";

/// Those that no model has to answer, where there is none.
const DUE_REQUESTS: &str = "
    SELECT t.id, t.conversation_id, t.attempts, c.channel, c.our_address, c.reply_to, c.last_inbound_at, c.revision,
        t.command, c.mode, c.mode_until, p.opted_out_at, p.blocked_at, c.contact_id
    FROM turns t JOIN conversations c ON c.id = t.conversation_id JOIN contacts p ON p.id = c.contact_id
    WHERE t.state IN ('open', 'retry') AND t.command IS NOT NULL AND t.due_at <= ?1
    ORDER BY t.due_at LIMIT ?2";

/// Not beside an active turn of the same conversation, which the index over live turns would not let through either: its
/// refusal would be that of the whole claim.
const CLAIM: &str = "
    UPDATE turns SET state = 'running', attempts = attempts + 1, due_at = NULL, claimed_at = ?2, token = ?3
    WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM turns a WHERE a.conversation_id = turns.conversation_id
        AND a.state IN ('open', 'running', 'retry', 'sending') AND a.state <> 'open' AND a.id <> ?1)";

const PARK: &str = "UPDATE turns SET due_at = NULL WHERE id = ?1";

const RETRY: &str = "
    UPDATE turns SET state = 'retry', due_at = ?3, error = ?4, token = NULL
    WHERE id = ?1 AND token = ?2 AND state = 'running'";

const RELEASE: &str = "
    UPDATE turns SET state = 'retry', due_at = ?3, attempts = attempts - 1, token = NULL
    WHERE id = ?1 AND token = ?2 AND state = 'running'";

const SENDING: &str = "
    UPDATE turns SET state = 'sending', token = NULL, error = ?3,
        model = ?4, input_tokens = ?5, output_tokens = ?6, tokens_estimated = ?7, cost_micros = ?8
    WHERE id = ?1 AND token = ?2 AND state = 'running'";

const HELD: &str = "SELECT 1 FROM turns WHERE id = ?1 AND token = ?2 AND state = 'running'";

const TOUCH: &str = "UPDATE conversations SET revision = revision + 1 WHERE id = ?1";

const REVISION: &str = "SELECT revision FROM conversations WHERE id = ?1";

const NEW_PART: &str = "
    INSERT INTO parts (turn_id, number, conversation_id, body, state, due_at, attempts, token, first_tried_at)
    VALUES (?1, ?2, ?3, ?4, ?5, NULL, ?6, ?7, ?8)";

const OVERDUE: &str = "
    SELECT t.id, t.conversation_id FROM turns t JOIN conversations c ON c.id = t.conversation_id
    WHERE t.state IN ('open', 'retry') AND t.due_at <= ?1 AND c.last_inbound_at <= ?2 LIMIT 256";

const NEXT_DUE: &str = "SELECT MIN(due_at) FROM turns WHERE state IN ('open', 'retry') AND due_at IS NOT NULL";

/// A turn in the hands of a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnClaim {
    /// The turn.
    pub turn: TurnId,
    /// Its conversation.
    pub conversation: ConversationId,
    /// How often it has been claimed, this time included.
    pub attempt: i64,
    /// Proof that the claim is this one.
    pub token: i64,
    /// The channel's name.
    pub channel: String,
    /// Our address.
    pub from: String,
    /// Where the answer goes.
    pub to: String,
    /// After this nothing is sent.
    pub deadline: Time,
    /// The conversation's revision at the claim.
    pub revision: i64,
    /// Who wrote.
    pub contact: i64,
    /// What is asked for that no model answers.
    pub request: Option<Request>,
    /// What is reserved for the call to the model, where a budget is set.
    pub reservation: Option<Reservation>,
    /// The budget that is spent: the model may not be asked.
    pub over_budget: Option<&'static str>,
}

/// What a turn asks for that no model answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// A word of the contact's.
    Command(Command),
    /// The contact sent the pairing code.
    Admitted,
    /// An operator's messages are to be sent.
    Operator,
}

impl Request {
    /// The stored name.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Request::Command(command) => command.as_str(),
            Request::Admitted => "admitted",
            Request::Operator => "operator",
        }
    }

    fn parse(text: &str) -> Option<Request> {
        match text {
            "admitted" => Some(Request::Admitted),
            "operator" => Some(Request::Operator),
            _ => Command::parse(text).map(Request::Command),
        }
    }
}

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
    /// Ends turns that nobody could claim in time as `expired`; how many.
    pub async fn expire_turns(&self, now: Time) -> Result<usize, StoreError> {
        let options = self.options;
        self.write(move |tx| {
            let overdue = tx.all(OVERDUE, args![now, now - SEND_WITHIN], |row| {
                Ok((TurnId(row.int(0)?), ConversationId(row.uuid(1)?)))
            })?;
            for (turn, conversation) in &overdue {
                outcome::too_late(tx, *turn, conversation, now, options)?;
            }
            Ok(overdue.len())
        })
        .await
    }

    /// An attempt failed; another follows at `due`. `false`: the claim was stale.
    pub async fn retry_turn(&self, claim: &TurnClaim, due: Time, why: String) -> Result<bool, StoreError> {
        let (turn, token, reservation, options) = (claim.turn, claim.token, claim.reservation, self.options);
        self.write(move |tx| {
            let held = tx.execute(RETRY, args![turn, token, due, why.as_str()])? == 1;
            if let Some(reservation) = reservation.filter(|_| held) {
                // The call was made, and nobody knows what it took.
                budget::settle(tx, options, reservation, Spent { calls: 1, ..Spent::default() })?;
            }
            Ok(held)
        })
        .await
    }

    /// Gives the turn up: `apology` tells the contact, and it ends `dead` once that is sent. `false`: the claim was stale.
    pub async fn give_up(
        &self,
        claim: &TurnClaim,
        why: String,
        apology: String,
        now: Time,
    ) -> Result<bool, StoreError> {
        let (turn, token, conversation) = (claim.turn, claim.token, claim.conversation);
        self.write(move |tx| {
            let held = tx.one(HELD, args![turn, token], |_| Ok(()))?.is_some();
            if held {
                outcome::apologise(tx, turn, &conversation, &why, &apology, now)?;
            }
            Ok(held)
        })
        .await
    }

    /// Gives a claim back untouched, as on shutdown: the attempt does not count. `false`: the claim was stale.
    pub async fn release_turn(&self, claim: &TurnClaim, now: Time) -> Result<bool, StoreError> {
        let (turn, token, reservation, options) = (claim.turn, claim.token, claim.reservation, self.options);
        self.write(move |tx| {
            let held = tx.execute(RELEASE, args![turn, token, now])? == 1;
            if let Some(reservation) = reservation.filter(|_| held) {
                budget::settle(tx, options, reservation, Spent::default())?;
            }
            Ok(held)
        })
        .await
    }

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
        let (reservation, options) = (claim.reservation, self.options);
        self.write_for_good(move |tx| {
            let replied = store_reply(tx, &ids, (turn, &conversation, held), &reply, &parts, now)?;
            if let Some(reservation) = reservation.filter(|_| replied.is_some()) {
                budget::settle(tx, options, reservation, took(&reply))?;
            }
            Ok(replied)
        })
        .await
    }
}

/// Claims up to `most` turns that are due, the longest waiting first, perhaps only those that no model answers. Those past their deadline end `expired`.
pub(super) fn claim_due(
    tx: &mut dyn Tx,
    now: Time,
    most: usize,
    requests_only: bool,
    options: StoreOptions,
) -> Result<Vec<TurnClaim>, StoreError> {
    let due = if requests_only { DUE_REQUESTS } else { DUE };
    let sql = format!("{due} {}", tx.skip_locked());
    let due = tx.all(&sql, args![now, i64::try_from(most).unwrap_or(i64::MAX)], |row| {
        let claim = claim(row)?;
        let silent = silent(row, claim.request, now)?;
        Ok((claim, silent))
    })?;
    let mut claims = Vec::with_capacity(due.len());
    for (mut claim, silent) in due {
        if let Some(why) = silent {
            outcome::skip(tx, claim.turn, &claim.conversation, why, now, options)?;
            continue;
        }
        if claim.deadline <= now {
            outcome::too_late(tx, claim.turn, &claim.conversation, now, options)?;
            continue;
        }
        claim.token = token();
        if tx.execute(CLAIM, args![claim.turn, now, claim.token])? == 0 {
            // A defect of ours; the end of the other turn wakes this one.
            tracing::error!(turn = claim.turn.0, "a turn was due beside another of its conversation; it waits");
            tx.execute(PARK, args![claim.turn])?;
            continue;
        }
        if claim.request.is_none_or(|request| request == Request::Command(Command::Help)) {
            match budget::reserve(tx, options, claim.contact, now)? {
                Ok(reservation) => claim.reservation = reservation,
                Err(name) => claim.over_budget = Some(name),
            }
        }
        claims.push(claim);
    }
    Ok(claims)
}

/// When the next turn falls due, if any waits for a time.
pub(super) fn next_due(tx: &mut dyn Tx) -> Result<Option<Time>, StoreError> {
    Ok(tx.one(NEXT_DUE, &[], |row| row.int_or_null(0))?.flatten().map(Time))
}

fn claim(row: &dyn Row) -> Result<TurnClaim, StoreError> {
    Ok(TurnClaim {
        turn: TurnId(row.int(0)?),
        conversation: ConversationId(row.uuid(1)?),
        attempt: row.int(2)? + 1,
        token: 0,
        channel: row.text(3)?.to_owned(),
        from: row.text(4)?.to_owned(),
        to: row.text(5)?.to_owned(),
        deadline: Time(row.int(6)?) + SEND_WITHIN,
        revision: row.int(7)?,
        request: row.text_or_null(8)?.and_then(Request::parse),
        contact: row.int(13)?,
        reservation: None,
        over_budget: None,
    })
}

/// Why a turn is not answered after all. What the contact asked of us by a command is confirmed in any case, and an operator
/// is heard unless the contact opted out.
fn silent(row: &dyn Row, request: Option<Request>, now: Time) -> Result<Option<&'static str>, StoreError> {
    let opted_out = row.int_or_null(11)?.is_some();
    if row.int_or_null(12)?.is_some() {
        return Ok(Some("the contact is blocked"));
    }
    if opted_out && request != Some(Request::Command(Command::OptOut)) {
        return Ok(Some("the contact opted out"));
    }
    let human = row.text(9)? == "human" && row.int_or_null(10)?.is_none_or(|until| until > now.0);
    if human && request.is_none() {
        return Ok(Some("a person answers this conversation"));
    }
    Ok(None)
}

/// What the call took that led to a reply. One that led to an apology took what nobody knows; our own words took none.
fn took(reply: &Reply) -> Spent {
    match reply {
        Reply::Answer { usage, cost, .. } => {
            Spent { calls: 1, tokens: i64::from(usage.input_tokens) + i64::from(usage.output_tokens), micros: *cost }
        }
        Reply::Apology { .. } => Spent { calls: 1, ..Spent::default() },
        Reply::Words { .. } | Reply::Operator => Spent::default(),
    }
}

fn store_reply(
    tx: &mut dyn Tx,
    ids: &Ids,
    (turn, conversation, held): (TurnId, &ConversationId, i64),
    reply: &Reply,
    parts: &[String],
    now: Time,
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
    if let Reply::Words { hand_over: Some(HandOver { until, why }), .. } = reply {
        conversations::take_over(tx, conversation, *until, why, now)?;
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
