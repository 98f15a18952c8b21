//! Parts that may be posted now, claimed by a worker. Only a `ready` part may be posted, and it is `sending` on the
//! disk before the first byte goes out.

use super::limits::SEND_WITHIN;
use super::settle;
use super::settle::Ending;
use crate::clock::Time;
use crate::model::{ContentSid, ConversationId, FileHash, Outgoing, PartRef, Template, TurnId, Variables};
use crate::store::database::ids::new_claim_token;
use crate::store::database::{PerNumber, Row, StoreError, StoreOptions, Tx, args};

/// A part that was claimed more often than this is given up. Its deadline does not end it: each message from the
/// contact moves the deadline, while the contact's next turn waits for this one. With the worker's delays, this many
/// attempts take about four hours if the provider cannot be reached.
const MAX_ATTEMPTS: i64 = 100;

const DUE: &str = "
    SELECT p.turn_id, p.number, p.attempts, p.body, c.channel, c.our_address, c.reply_to, c.last_inbound_at, c.id, p.error,
        CASE WHEN k.blocked_at IS NOT NULL OR (k.opted_out_at IS NOT NULL AND COALESCE(t.command, '') <> 'opt_out')
            THEN 1 ELSE 0 END, p.template, p.variables, p.file, p.expires_at, c.account
    FROM parts p JOIN conversations c ON c.id = p.conversation_id JOIN contacts k ON k.id = c.contact_id
        JOIN turns t ON t.id = p.turn_id
    WHERE p.state = 'ready' AND p.due_at <= ?1
    ORDER BY p.due_at LIMIT ?2";

const ANY_DUE: &str = "
    SELECT 1 FROM parts WHERE state = 'ready' AND due_at <= ?1 LIMIT 1";

const CLAIM: &str = "
    UPDATE parts SET state = 'sending', attempts = attempts + 1, due_at = NULL, token = ?3,
        first_tried_at = COALESCE(first_tried_at, ?4), posted_to = ?5, posted_by = ?6
    WHERE id = ?1 * 16 + ?2 AND state = 'ready'";

const NEXT_DUE: &str = "SELECT MIN(due_at) FROM parts WHERE due_at IS NOT NULL";

/// A part that a worker has claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartClaim {
    /// The fence token, which proves that the claim is still valid.
    pub token: i64,
    /// How often the part has been claimed, including this time.
    pub attempt: i64,
    /// The conversation.
    pub conversation: ConversationId,
    /// The channel's name.
    pub channel: String,
    /// The account at the provider that the conversation came through.
    pub account: String,
    /// After this time the part is not sent.
    pub deadline: Time,
    /// The file to send with the part.
    pub file: Option<FileHash>,
    /// What to post. The worker adds the URL of the file when it posts the part.
    pub outgoing: Outgoing,
}

/// Returns whether any part may be posted now.
pub(in crate::store) fn has_due(tx: &mut dyn Tx, now: Time) -> Result<bool, StoreError> {
    Ok(tx.fetch_optional(ANY_DUE, args![now], |_| Ok(()))?.is_some())
}

/// Claims up to `most` parts that may be posted. A part past its deadline fails, and its turn ends `expired`. A part
/// that was tried too often fails and goes to `given_up` with the reason, and its turn ends `dead`. If the contact
/// opted out or is blocked, the part fails, and its turn ends `skipped`.
pub(in crate::store) fn claim_due(
    tx: &mut dyn Tx,
    now: Time,
    most: usize,
    options: StoreOptions,
    posting_accounts: &PerNumber<String>,
    given_up: &mut Vec<(PartRef, String)>,
) -> Result<Vec<PartClaim>, StoreError> {
    let sql = format!("{DUE} {}", tx.skip_locked());
    let due = tx.fetch_all(&sql, args![now, i64::try_from(most).unwrap_or(i64::MAX)], claim_from_row)?;
    let mut claims = Vec::with_capacity(due.len());
    for (mut claim, error, opted_out_or_blocked) in due {
        let part = claim.outgoing.reference;
        if opted_out_or_blocked {
            let why = "the contact opted out or is blocked";
            settle::end_unsent(tx, part, Ending::OptedOutOrBlocked, why, now, options)?;
            continue;
        }
        if claim.deadline <= now {
            let template = claim.outgoing.template.is_some();
            settle::expire(tx, part.turn, &claim.conversation, template, now, options)?;
            continue;
        }
        if claim.attempt > MAX_ATTEMPTS {
            let last = error.as_deref().unwrap_or("unknown");
            let why = format!("not sent in {MAX_ATTEMPTS} attempts; last error: {last}");
            settle::end_unsent(tx, part, Ending::Failed, &why, now, options)?;
            given_up.push((part, why));
            continue;
        }
        claim.token = new_claim_token();
        let by = posting_accounts.get(&claim.account, &claim.outgoing.from);
        let to = claim.outgoing.to.as_str();
        tx.execute(CLAIM, args![part.turn, part.number, claim.token, now, to, by.as_str()])?;
        claims.push(claim);
    }
    Ok(claims)
}

/// Returns when the next part is due to be posted or looked up.
pub(in crate::store) fn next_due(tx: &mut dyn Tx) -> Result<Option<Time>, StoreError> {
    Ok(tx.fetch_optional(NEXT_DUE, &[], |row| row.int_or_null(0))?.flatten().map(Time))
}

/// Reads the claim, the last error, and whether the contact opted out or is blocked.
fn claim_from_row(row: &dyn Row) -> Result<(PartClaim, Option<String>, bool), StoreError> {
    let variables = row.text_or_null(12)?.and_then(Variables::parse).unwrap_or_default();
    let template = row.text_or_null(11)?.and_then(ContentSid::parse).map(|sid| Template { sid, variables });
    let claim = PartClaim {
        token: 0,
        attempt: row.int(2)? + 1,
        conversation: ConversationId(row.uuid(8)?),
        channel: row.text(4)?.to_owned(),
        // A template, which WhatsApp accepts at any time, has a deadline of its own.
        deadline: row.int_or_null(14)?.map_or(Time(row.int(7)?) + SEND_WITHIN, Time),
        file: row.text_or_null(13)?.and_then(FileHash::parse),
        account: row.text(15)?.to_owned(),
        outgoing: Outgoing {
            from: row.text(5)?.to_owned(),
            to: row.text(6)?.to_owned(),
            text: row.text(3)?.to_owned(),
            template,
            media_url: None,
            reference: PartRef { turn: TurnId(row.int(0)?), number: row.int(1)? },
        },
    };
    Ok((claim, row.text_or_null(9)?.map(str::to_owned), row.int(10)? != 0))
}
