//! Parts that the provider may or may not have created, claimed by a worker that looks them up.

use std::time::Duration;

use crate::clock::Time;
use crate::model::{ContentSid, ConversationId, PartRef, TurnId};
use crate::store::database::{StoreError, Tx, args};

/// The delays between lookups. The first delay starts when the part becomes unknown, each other one at the lookup
/// before it. If the last lookup does not find the message, mynah assumes that it was not created.
pub(in crate::store) const LOOKUP_DELAYS: [Duration; 5] = [
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(15),
    Duration::from_secs(40),
    Duration::from_secs(90),
];

/// The delay before the first lookup of an unknown part.
pub const FIRST_LOOKUP_DELAY: Duration = LOOKUP_DELAYS[0];

/// How long one lookup may take before another worker may repeat it.
const LOOKUP_LEASE: Duration = Duration::from_secs(60);

const DUE: &str = "
    SELECT p.turn_id, p.number, p.body, p.first_tried_at, c.channel, c.our_address, COALESCE(p.posted_to, c.reply_to),
        p.looks_failed, p.error, p.template, CASE WHEN p.file IS NULL THEN 0 ELSE 1 END, c.account,
        COALESCE(p.posted_by, c.account), c.id
    FROM parts p JOIN conversations c ON c.id = p.conversation_id
    WHERE p.state = 'unknown' AND p.due_at <= ?1
    ORDER BY p.due_at LIMIT ?2";

const LEASE: &str = "UPDATE parts SET due_at = ?3 WHERE id = ?1 * 16 + ?2 AND state = 'unknown'";

/// A part to look up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookupClaim {
    /// The part.
    pub part: PartRef,
    /// The conversation.
    pub conversation: ConversationId,
    /// The channel's name.
    pub channel: String,
    /// The account at the provider that the conversation came through.
    pub account: String,
    /// The account that posted the part.
    pub posted_by: String,
    /// Our address.
    pub from: String,
    /// The contact's address.
    pub to: String,
    /// The text as posted.
    pub text: String,
    /// The template that was posted instead of the text.
    pub template: Option<ContentSid>,
    /// Whether a file was posted with the part.
    pub has_file: bool,
    /// When the first attempt to post the part began.
    pub first_tried_at: Time,
    /// Lookups that failed since the last one that worked.
    pub failed_lookups: i64,
    /// Why the last lookup failed; before the first lookup, why it is unknown whether the part was sent.
    pub last_error: Option<String>,
}

/// Claims up to `most` parts that are due for a lookup.
pub(in crate::store) fn claim_due(tx: &mut dyn Tx, now: Time, most: usize) -> Result<Vec<LookupClaim>, StoreError> {
    let sql = format!("{DUE} {}", tx.skip_locked());
    let due = tx.fetch_all(&sql, args![now, i64::try_from(most).unwrap_or(i64::MAX)], |row| {
        Ok(LookupClaim {
            part: PartRef { turn: TurnId(row.int(0)?), number: row.int(1)? },
            conversation: ConversationId(row.uuid(13)?),
            text: row.text(2)?.to_owned(),
            first_tried_at: Time(row.int(3)?),
            channel: row.text(4)?.to_owned(),
            account: row.text(11)?.to_owned(),
            posted_by: row.text(12)?.to_owned(),
            from: row.text(5)?.to_owned(),
            to: row.text(6)?.to_owned(),
            failed_lookups: row.int(7)?,
            last_error: row.text_or_null(8)?.map(str::to_owned),
            template: row.text_or_null(9)?.and_then(ContentSid::parse),
            has_file: row.int(10)? != 0,
        })
    })?;
    for claim in &due {
        tx.execute(LEASE, args![claim.part.turn, claim.part.number, now + LOOKUP_LEASE])?;
    }
    Ok(due)
}
