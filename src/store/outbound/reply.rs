//! Replies of a worker, each stored with its parts in one transaction.

use super::drafts::Draft;
use crate::clock::Time;
use crate::model::{ConversationId, MessageId, PartRef, Role, TurnId, Usage};
use crate::store::conversations::messages::{NewMessage, insert_message};
use crate::store::database::ids::{IdGenerator, new_claim_token};
use crate::store::database::{Store, StoreError, StoreOptions, Tx, args};
use crate::store::queue::turns::TurnClaim;
use crate::store::queue::{budget_reservations, handover, settle};

const SENDING: &str = "
    UPDATE turns SET state = 'sending', token = NULL, error = ?3,
        model = ?4, input_tokens = ?5, output_tokens = ?6, tokens_estimated = ?7, cost_micros = ?8
    WHERE id = ?1 AND token = ?2 AND state = 'running'";

const BUMP_REVISION: &str = "UPDATE conversations SET revision = revision + 1 WHERE id = ?1";

/// The address that the contact is answered at by now: while the model was asked, their number may have gone to
/// somebody else.
const REVISION_AND_REPLY_TO: &str = "SELECT revision, reply_to FROM conversations WHERE id = ?1";

const INSERT_PART: &str = "
    INSERT INTO parts (id, conversation_id, body, state, due_at, attempts, token, first_tried_at, template, variables, file,
        expires_at, posted_to, posted_by)
    VALUES (?1 * 16 + ?2, ?3, ?4, ?5, NULL, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)";

/// What a worker replies.
#[derive(Clone, Debug)]
pub enum Reply {
    /// The model answered.
    Answer {
        /// Its text as the model gave it, for the history.
        text: String,
        /// The model's name.
        model: String,
        /// The tokens that the answer used.
        usage: Usage,
        /// The cost of the answer, in millionths of a US dollar.
        cost: i64,
        /// Set if a person takes over with this answer.
        hand_over: Option<HandOver>,
    },
    /// A text of our own, written without a model.
    OwnText {
        /// The text.
        text: String,
        /// Set if a person takes over with this text. The text says so, and is not sent if the conversation has ended.
        hand_over: Option<HandOver>,
    },
    /// An operator's messages, which are in the history already.
    Operator,
    /// No answer is available; the turn ends `dead` once the contact has been told.
    Apology {
        /// The reason, for the operator.
        why: String,
    },
}

/// A stored reply whose first part is claimed by the worker that stored it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredReply {
    /// The first part, which is `sending`.
    pub part: PartRef,
    /// The fence token of that part, which proves that the claim is still valid.
    pub token: i64,
    /// The address that the part goes to.
    pub to: String,
    /// What the part holds.
    pub draft: Draft,
    /// The conversation's revision after the reply.
    pub revision: i64,
    /// Whether the alternative was stored, because a person answers.
    pub is_alternative: bool,
}

/// The handover of a conversation to a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandOver {
    /// When the assistant takes the conversation back; `None` means never.
    pub until: Option<Time>,
    /// The reason, for the operator.
    pub why: String,
    /// What the contact is told about it after the reply. Nothing if the conversation ended meanwhile, because then
    /// nobody takes over.
    pub contact_notice: Option<String>,
}

impl Store {
    /// Stores the reply and its parts, and moves the turn to `sending`. The first part is stored as `sending` already,
    /// so that the worker that wrote it may post it at once: it is on the disk before the first byte goes out. Returns
    /// `None` if the claim was stale, or if the reply only says that a person takes over and the conversation ended
    /// meanwhile. `parts` may be empty only if a handover tells the contact something.
    pub async fn reply(
        &self,
        claim: &TurnClaim,
        reply: Reply,
        parts: Vec<String>,
        now: Time,
    ) -> Result<Option<StoredReply>, StoreError> {
        let parts = parts.into_iter().map(Draft::from).collect();
        self.reply_unless_human(claim, reply, parts, None, now).await
    }

    /// Like [`Store::reply`], for a turn that goes on although a person took over while the model was asked. `instead`
    /// is sent then.
    pub async fn reply_unless_human(
        &self,
        claim: &TurnClaim,
        reply: Reply,
        parts: Vec<Draft>,
        instead: Option<(Reply, Vec<Draft>)>,
        now: Time,
    ) -> Result<Option<StoredReply>, StoreError> {
        let (turn, conversation, held, ids) = (claim.turn, claim.conversation, claim.token, self.ids.clone());
        let (reservation, options, posted_by) =
            (claim.reservation.clone(), self.options, self.posting_accounts.get(&claim.account, &claim.from));
        self.write_without_timeout(move |tx| {
            budget_reservations::settle(tx, options, turn, reservation.as_ref())?;
            let instead = match &instead {
                Some(instead) if handover::is_in_human_mode(tx, &conversation, now)? => Some(instead),
                _ => None,
            };
            let (said, parts) = instead.map_or((&reply, &parts), |(reply, parts)| (reply, parts));
            if !start_sending(tx, (turn, held), said)? {
                return Ok(None);
            }
            let mut replied =
                insert_reply(tx, &ids, (turn, &conversation, &posted_by), said, parts.clone(), now, options)?;
            if let Some(replied) = &mut replied {
                replied.is_alternative = instead.is_some();
            }
            Ok(replied)
        })
        .await
    }
}

/// Moves the turn to `sending`. Returns `false` if the claim was stale.
fn start_sending(tx: &mut dyn Tx, (turn, held): (TurnId, i64), reply: &Reply) -> Result<bool, StoreError> {
    let (error, model, usage, cost) = match reply {
        Reply::Answer { model, usage, cost, .. } => (None, Some(model.as_str()), Some(usage), Some(*cost)),
        Reply::OwnText { .. } | Reply::Operator => (None, None, None, None),
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
    Ok(moved == 1)
}

/// Stores the reply in the history and as parts.
fn insert_reply(
    tx: &mut dyn Tx,
    ids: &IdGenerator,
    (turn, conversation, by): (TurnId, &ConversationId, &str),
    reply: &Reply,
    mut parts: Vec<Draft>,
    now: Time,
    options: StoreOptions,
) -> Result<Option<StoredReply>, StoreError> {
    let mut notice_sent = None;
    if let Reply::OwnText { hand_over: Some(HandOver { until, why, contact_notice: tell }), .. }
    | Reply::Answer { hand_over: Some(HandOver { until, why, contact_notice: tell }), .. } = reply
    {
        if handover::take_over(tx, conversation, *until, why, now, options)? {
            parts.extend(tell.clone().map(Draft::from));
            notice_sent = tell.as_deref();
        } else if matches!(reply, Reply::OwnText { .. }) {
            // The parts say that a person takes over, which nobody does now.
            parts.clear();
        }
        handover::alert_person_wanted(tx, conversation, why, now)?;
    }
    if parts.is_empty() {
        let why = "a person was wanted, but the conversation had ended";
        settle::skip(tx, turn, conversation, why, now, options)?;
        return Ok(None);
    }
    if let Reply::Answer { text, .. } | Reply::OwnText { text, .. } = reply {
        let said: Vec<&str> =
            [text.as_str()].into_iter().chain(notice_sent).filter(|text| !text.trim().is_empty()).collect();
        if !said.is_empty() {
            let content = &said.join("\n\n");
            let message =
                NewMessage { role: Role::Assistant, content, metadata: "{}", provider: None, at: now, request: None };
            insert_message(tx, &MessageId(ids.next(now)), conversation, turn, &message)?;
            tx.execute(BUMP_REVISION, args![conversation])?;
        }
    }
    let known = tx
        .fetch_optional(REVISION_AND_REPLY_TO, args![conversation], |row| Ok((row.int(0)?, row.text(1)?.to_owned())))?;
    let (revision, to) = known.ok_or_else(|| StoreError::unexpected(0, "the conversation of a turn"))?;
    let token = new_claim_token();
    for (number, part) in (1_i64..).zip(&parts) {
        let first = number == 1;
        let (template, file) = (part.template.as_ref(), part.file.map(|file| file.to_string()));
        let variables = template.and_then(|template| template.variables.json());
        tx.execute(
            INSERT_PART,
            args![
                turn,
                number,
                conversation,
                part.text.as_str(),
                if first { "sending" } else { "ready" },
                i64::from(first),
                first.then_some(token),
                first.then_some(now),
                template.map(|template| template.sid.as_str()),
                variables.as_deref(),
                file.as_deref(),
                part.expires_at,
                first.then_some(to.as_str()),
                first.then_some(by),
            ],
        )?;
    }
    Ok(Some(StoredReply {
        part: PartRef { turn, number: 1 },
        token,
        to,
        draft: parts.swap_remove(0),
        revision,
        is_alternative: false,
    }))
}
