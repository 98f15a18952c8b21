//! Turns: a worker claims each one, and it is finished once.
//!
//! A claim returns a fence token, which the finishing write must name. If no turn has that token any more, the worker
//! was stale: the write returns `false`, and changes nothing but the claim's budget reservation.

use std::time::Duration;

use super::budget_reservations::Reservation;
use super::built_in_request::BuiltInRequest;
use super::deferred::defer_messages;
use super::limits::SEND_WITHIN;
use super::{budget_reservations, handover, settle};
use crate::clock::Time;
use crate::model::{Command, ContentSid, ConversationId, TurnId};
use crate::store::database::ids::new_claim_token;
use crate::store::database::{PerNumber, Row, Store, StoreError, StoreOptions, Tx, args};

const DUE: &str = "
    SELECT t.id, t.conversation_id, t.attempts, c.channel, c.our_address, c.reply_to, c.last_inbound_at, c.revision,
        t.command, c.mode, c.mode_until, p.opted_out_at, p.blocked_at, c.contact_id, t.claimed_at,
        CASE WHEN p.created_at = c.started_at THEN 1 ELSE 0 END, t.expires_at, c.account,
        MAX(c.last_inbound_at, t.created_at, COALESCE(t.not_before, 0)), t.may_be_answered
    FROM turns t JOIN conversations c ON c.id = t.conversation_id JOIN contacts p ON p.id = c.contact_id
    WHERE t.due_at <= ?1
    ORDER BY t.due_at LIMIT ?2";

/// Only turns with a built-in request, for when no turn that needs a model may be claimed.
const DUE_REQUESTS: &str = "
    SELECT t.id, t.conversation_id, t.attempts, c.channel, c.our_address, c.reply_to, c.last_inbound_at, c.revision,
        t.command, c.mode, c.mode_until, p.opted_out_at, p.blocked_at, c.contact_id, t.claimed_at,
        CASE WHEN p.created_at = c.started_at THEN 1 ELSE 0 END, t.expires_at, c.account,
        MAX(c.last_inbound_at, t.created_at, COALESCE(t.not_before, 0)), t.may_be_answered
    FROM turns t JOIN conversations c ON c.id = t.conversation_id JOIN contacts p ON p.id = c.contact_id
    WHERE t.command IS NOT NULL AND t.due_at <= ?1
    ORDER BY t.due_at LIMIT ?2";

/// How long to wait before checking again whether calls in progress have left room in a budget.
const BUDGET_RETRY_DELAY: Duration = Duration::from_secs(2);

/// Does not claim a turn beside an active turn of the same conversation. The index over live turns would refuse that
/// too, but then the whole claim would fail.
const CLAIM: &str = "
    UPDATE turns SET state = 'running', live = 0, attempts = attempts + 1, due_at = NULL, claimed_at = ?2, token = ?3
    WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM turns a WHERE a.conversation_id = turns.conversation_id
        AND a.live = 0 AND a.id <> ?1)";

const PARK: &str = "UPDATE turns SET due_at = NULL WHERE id = ?1";

const RETRY: &str = "
    UPDATE turns SET state = 'retry', due_at = ?3, error = ?4, token = NULL
    WHERE id = ?1 AND token = ?2 AND state = 'running'";

const RELEASE: &str = "
    UPDATE turns SET state = 'retry', due_at = ?3, attempts = attempts - 1, token = NULL
    WHERE id = ?1 AND token = ?2 AND state = 'running'";

const IS_CLAIM_CURRENT: &str = "SELECT 1 FROM turns WHERE id = ?1 AND token = ?2 AND state = 'running'";

const OVERDUE: &str = "
    SELECT t.id, t.conversation_id, t.expires_at, c.account, c.our_address
    FROM turns t JOIN conversations c ON c.id = t.conversation_id
    WHERE t.due_at <= ?1 AND c.last_inbound_at <= ?2 AND COALESCE(t.expires_at, 0) <= ?1 LIMIT 256";

const NEXT_DUE: &str = "SELECT MIN(due_at) FROM turns WHERE due_at IS NOT NULL";

/// A turn that a worker has claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnClaim {
    /// The turn.
    pub turn: TurnId,
    /// Its conversation.
    pub conversation: ConversationId,
    /// How often the turn has been claimed, including this time.
    pub attempt: i64,
    /// Whether nobody claimed the turn before. An attempt that was given back no longer counts in `attempt`, but its
    /// claim still counts here.
    pub is_first_claim: bool,
    /// The fence token, which proves that the claim is still valid.
    pub token: i64,
    /// The channel's name.
    pub channel: String,
    /// The account at the provider that the conversation came through.
    pub account: String,
    /// Our address.
    pub from: String,
    /// The address that the answer goes to.
    pub to: String,
    /// After this time nothing is sent.
    pub deadline: Time,
    /// After this time no free text is sent; only a template may be sent later.
    pub free_text_until: Time,
    /// Since when the contact has been waiting for an answer that mynah could have given. This is the latest of three
    /// times: when the contact last wrote, when that reached mynah, and the earliest time at which the turn could be
    /// answered.
    pub waiting_since: Time,
    /// The conversation's revision at the claim.
    pub revision: i64,
    /// The contact who wrote.
    pub contact: i64,
    /// Whether this conversation is the first with the contact.
    pub is_first_conversation: bool,
    /// The request that is answered without a model.
    pub request: Option<BuiltInRequest>,
    /// Whether a person answers the conversation at the time of the claim.
    pub human_mode: bool,
    /// Whether the turn comes from a restored backup, so that somebody may have answered it since.
    pub may_be_answered: bool,
    /// What is reserved for calls to the model, if a budget is set. Every way to give the claim back settles it, even
    /// if the claim is stale.
    pub reservation: Option<Reservation>,
    /// The budget that is exhausted: the model must not be asked.
    pub exhausted_budget: Option<&'static str>,
}

impl Store {
    /// Ends turns that nobody claimed in time: as `expired`, or with a template instead of the answer. Returns how
    /// many.
    pub async fn expire_overdue_turns(&self, now: Time) -> Result<usize, StoreError> {
        let (options, templates) = (self.options, self.reopen_templates.clone());
        self.write(move |tx| {
            let overdue = tx.fetch_all(OVERDUE, args![now, now - SEND_WITHIN], |row| {
                let ending = OverdueTurn {
                    is_template: row.int_or_null(2)?.is_some(),
                    template_instead: templates.get(row.text(3)?, row.text(4)?),
                };
                Ok((TurnId(row.int(0)?), ConversationId(row.uuid(1)?), ending))
            })?;
            for (turn, conversation, ending) in &overdue {
                ending.end_turn(tx, *turn, conversation, now, options)?;
            }
            Ok(overdue.len())
        })
        .await
    }

    /// Schedules another attempt at `due` after one that failed. Returns `false` if the claim was stale.
    pub async fn retry_turn(&self, claim: &TurnClaim, due: Time, why: String) -> Result<bool, StoreError> {
        let (turn, token, reservation, options) = (claim.turn, claim.token, claim.reservation.clone(), self.options);
        self.write(move |tx| {
            budget_reservations::settle(tx, options, turn, reservation.as_ref())?;
            Ok(tx.execute(RETRY, args![turn, token, due, why.as_str()])? == 1)
        })
        .await
    }

    /// Gives the turn up: `apology` tells the contact, and the turn ends `dead` once that is sent. Returns `false` if
    /// the claim was stale.
    pub async fn give_up_turn(
        &self,
        claim: &TurnClaim,
        why: String,
        apology: String,
        now: Time,
    ) -> Result<bool, StoreError> {
        let (turn, token, conversation) = (claim.turn, claim.token, claim.conversation);
        let (reservation, options) = (claim.reservation.clone(), self.options);
        self.write(move |tx| {
            budget_reservations::settle(tx, options, turn, reservation.as_ref())?;
            let held = tx.fetch_optional(IS_CLAIM_CURRENT, args![turn, token], |_| Ok(()))?.is_some();
            if held {
                settle::give_up_with_apology(tx, turn, &conversation, &why, &apology, now)?;
            }
            Ok(held)
        })
        .await
    }

    /// Leaves the turn unanswered, and its conversation to a person. Returns `false` if the claim was stale.
    pub async fn leave_to_person(
        &self,
        claim: &TurnClaim,
        until: Option<Time>,
        why: String,
        now: Time,
    ) -> Result<bool, StoreError> {
        let (turn, token, conversation) = (claim.turn, claim.token, claim.conversation);
        let (reservation, options) = (claim.reservation.clone(), self.options);
        self.write(move |tx| {
            budget_reservations::settle(tx, options, turn, reservation.as_ref())?;
            if tx.fetch_optional(IS_CLAIM_CURRENT, args![turn, token], |_| Ok(()))?.is_none() {
                return Ok(false);
            }
            if !handover::take_over(tx, &conversation, until, &why, now, options)? {
                // The conversation has ended meanwhile, so there is only this turn to skip.
                settle::skip(tx, turn, &conversation, &why, now, options)?;
            }
            Ok(true)
        })
        .await
    }

    /// Gives a claim back unused, as on shutdown. The attempt does not count. Returns `false` if the claim was stale.
    pub async fn release_turn(&self, claim: &TurnClaim, now: Time) -> Result<bool, StoreError> {
        let (turn, token, reservation, options) = (claim.turn, claim.token, claim.reservation.clone(), self.options);
        self.write(move |tx| {
            budget_reservations::settle(tx, options, turn, reservation.as_ref())?;
            Ok(tx.execute(RELEASE, args![turn, token, now])? == 1)
        })
        .await
    }
}

/// Claims up to `most` turns that are due, the longest waiting first. With `requests_only`, claims only turns with a
/// built-in request. Turns past their deadline end `expired`, or with a template instead of the answer.
pub(in crate::store) fn claim_due(
    tx: &mut dyn Tx,
    now: Time,
    most: usize,
    requests_only: bool,
    options: StoreOptions,
    templates: &PerNumber<Option<ContentSid>>,
) -> Result<Vec<TurnClaim>, StoreError> {
    let due = if requests_only { DUE_REQUESTS } else { DUE };
    let sql = format!("{due} {}", tx.skip_locked());
    let due = tx.fetch_all(&sql, args![now, i64::try_from(most).unwrap_or(i64::MAX)], |row| {
        let claim = claim_from_row(row, now)?;
        let silent = skip_reason(row, &claim)?;
        Ok((claim, silent, row.int_or_null(16)?.is_some()))
    })?;
    let mut claims = Vec::with_capacity(due.len());
    for (mut claim, silent, template) in due {
        if let Some(why) = silent {
            settle::skip(tx, claim.turn, &claim.conversation, why, now, options)?;
            continue;
        }
        if claim.deadline <= now {
            let ending =
                OverdueTurn { is_template: template, template_instead: templates.get(&claim.account, &claim.from) };
            ending.end_turn(tx, claim.turn, &claim.conversation, now, options)?;
            continue;
        }
        claim.token = new_claim_token();
        if tx.execute(CLAIM, args![claim.turn, now, claim.token])? == 0 {
            // This is a bug in mynah. The end of the other turn wakes this one.
            tracing::error!(turn = claim.turn.0, "a turn was due beside an active turn of its conversation; it waits");
            tx.execute(PARK, args![claim.turn])?;
            continue;
        }
        if claim.request == Some(BuiltInRequest::Operator) && defer_messages(tx, claim.turn, &claim.conversation, now)?
        {
            claim.revision += 1;
        }
        if claim.request.is_none_or(BuiltInRequest::also_answers_question) {
            match budget_reservations::reserve(tx, options, (claim.turn, claim.contact, claim.token), now)? {
                Ok(reservation) => claim.reservation = reservation,
                Err(full) if full.is_temporary => {
                    tx.execute(RELEASE, args![claim.turn, claim.token, now + BUDGET_RETRY_DELAY])?;
                    continue;
                }
                Err(full) => claim.exhausted_budget = Some(full.name),
            }
        }
        claims.push(claim);
    }
    Ok(claims)
}

/// How a turn ends whose deadline has passed.
struct OverdueTurn {
    /// Whether the turn holds a template.
    is_template: bool,
    /// The template that may be sent instead of an answer, but not instead of another template.
    template_instead: Option<ContentSid>,
}

impl OverdueTurn {
    fn end_turn(
        &self,
        tx: &mut dyn Tx,
        turn: TurnId,
        conversation: &ConversationId,
        now: Time,
        options: StoreOptions,
    ) -> Result<(), StoreError> {
        if self.is_template {
            settle::expire(tx, turn, conversation, true, now, options)
        } else {
            settle::expire_or_send_template(tx, turn, conversation, self.template_instead, now, options)
        }
    }
}

/// Returns when the next turn is due, if any turn has a due time.
pub(in crate::store) fn next_due(tx: &mut dyn Tx) -> Result<Option<Time>, StoreError> {
    Ok(tx.fetch_optional(NEXT_DUE, &[], |row| row.int_or_null(0))?.flatten().map(Time))
}

fn claim_from_row(row: &dyn Row, now: Time) -> Result<TurnClaim, StoreError> {
    let window_ends = Time(row.int(6)?) + SEND_WITHIN;
    Ok(TurnClaim {
        turn: TurnId(row.int(0)?),
        conversation: ConversationId(row.uuid(1)?),
        attempt: row.int(2)? + 1,
        is_first_claim: row.int_or_null(14)?.is_none(),
        token: 0,
        channel: row.text(3)?.to_owned(),
        account: row.text(17)?.to_owned(),
        from: row.text(4)?.to_owned(),
        to: row.text(5)?.to_owned(),
        deadline: row.int_or_null(16)?.map_or(window_ends, |until| window_ends.max(Time(until))),
        free_text_until: window_ends,
        waiting_since: Time(row.int(18)?),
        revision: row.int(7)?,
        request: row.text_or_null(8)?.and_then(BuiltInRequest::parse),
        contact: row.int(13)?,
        is_first_conversation: row.int(15)? != 0,
        may_be_answered: row.int_or_null(19)?.is_some(),
        human_mode: row.text(9)? == "human" && row.int_or_null(10)?.is_none_or(|until| until > now.0),
        reservation: None,
        exhausted_budget: None,
    })
}

/// Returns why a turn is not answered after all. A blocked contact gets nothing. A contact who opted out gets only the
/// confirmation of that. While a person answers, only built-in requests are answered, which include an operator's
/// messages.
fn skip_reason(row: &dyn Row, claim: &TurnClaim) -> Result<Option<&'static str>, StoreError> {
    let opted_out = row.int_or_null(11)?.is_some();
    if row.int_or_null(12)?.is_some() {
        return Ok(Some("the contact is blocked"));
    }
    if opted_out && claim.request != Some(BuiltInRequest::Command(Command::OptOut)) {
        return Ok(Some("the contact opted out"));
    }
    if claim.human_mode && claim.request.is_none() {
        return Ok(Some("a person answers this conversation"));
    }
    Ok(None)
}
