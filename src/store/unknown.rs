//! Parts of which nobody knows whether the provider created them: looked for until there is evidence.

use std::time::Duration;

use super::database::{Tx, args};
use super::outcome::Ending;
use super::{SEND_WITHIN, Store, StoreError, outcome, parts};
use crate::clock::Time;
use crate::model::{ContentSid, PartRef, ProviderId, TurnId};

/// When to look, counted from the moment the part became unknown and then from look to look; after the last of them
/// the message is taken as not created.
const LOOKS: [Duration; 5] = [
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(15),
    Duration::from_secs(40),
    Duration::from_secs(90),
];

/// How long one look may take before another worker may look.
const LOOKING: Duration = Duration::from_secs(60);

const DUE: &str = "
    SELECT p.turn_id, p.number, p.body, p.first_tried_at, c.channel, c.our_address, COALESCE(p.posted_to, c.reply_to),
        p.looks_failed, p.error, p.template, CASE WHEN p.file IS NULL THEN 0 ELSE 1 END, c.account,
        COALESCE(p.posted_by, c.account)
    FROM parts p JOIN conversations c ON c.id = p.conversation_id
    WHERE p.state = 'unknown' AND p.due_at <= ?1
    ORDER BY p.due_at LIMIT ?2";

const LEASE: &str = "UPDATE parts SET due_at = ?3 WHERE id = ?1 * 16 + ?2 AND state = 'unknown'";

const STILL: &str = "SELECT absences FROM parts WHERE id = ?1 * 16 + ?2 AND state = 'unknown'";

pub(super) const TAKEN: &str = "SELECT 1 FROM parts WHERE provider_id = ?1 AND provider_id IS NOT NULL";

const ABSENT: &str = "
    UPDATE parts SET absences = absences + 1, looks_failed = 0, due_at = ?3
    WHERE id = ?1 * 16 + ?2 AND state = 'unknown'";

const SINCE: &str = "
    SELECT CASE WHEN p.template IS NULL THEN MIN(p.first_tried_at, c.last_inbound_at) ELSE p.first_tried_at END
    FROM parts p JOIN conversations c ON c.id = p.conversation_id
    WHERE p.id = ?1 * 16 + ?2 AND p.state = 'unknown'";

const BLIND: &str = "
    UPDATE parts SET looks_failed = looks_failed + 1, due_at = ?3, error = ?4
    WHERE id = ?1 * 16 + ?2 AND state = 'unknown'";

/// A part to be looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownClaim {
    /// The part.
    pub part: PartRef,
    /// The channel's name.
    pub channel: String,
    /// The account at the provider that the conversation came through.
    pub account: String,
    /// The account that posted it.
    pub posted_by: String,
    /// Our address.
    pub from: String,
    /// The contact's address.
    pub to: String,
    /// The text as posted.
    pub text: String,
    /// The template that was posted in its place.
    pub template: Option<ContentSid>,
    /// Whether a file went with it.
    pub with_file: bool,
    /// When the first post began.
    pub first_tried_at: Time,
    /// Looks that could not be made since the last that could.
    pub looks_failed: i64,
    /// Why the last of them could not be made; before the first, why it is not known whether it was sent.
    pub why: Option<String>,
}

/// What a look led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Looked {
    /// It was there; the part is sent.
    Found,
    /// Not there; it is looked for again.
    Absent,
    /// Not there in any of the looks: it may be posted again.
    Ready,
    /// Not there in any of the looks, and the operator chose not to post again; or nobody could look for too long.
    Held,
    /// Nobody could look; another look follows.
    Blind,
    /// Settled in the meantime, such as by a status callback.
    Settled,
}

/// When an unknown part is looked for first.
pub const FIRST_LOOK: Duration = LOOKS[0];

impl Store {
    /// Settles a look. `candidates` are messages at the provider that could be the part, oldest first; the first that no
    /// part of ours holds is it. `hold`: do not post again when it is absent to the end.
    pub async fn looked(
        &self,
        part: PartRef,
        candidates: Vec<ProviderId>,
        hold: bool,
        now: Time,
    ) -> Result<Looked, StoreError> {
        let options = self.options;
        self.write(move |tx| {
            let Some(absences) = tx.one(STILL, args![part.turn, part.number], |row| row.int(0))? else {
                return Ok(Looked::Settled);
            };
            for id in &candidates {
                if tx.one(TAKEN, args![id.0.as_str()], |_| Ok(()))?.is_none() {
                    outcome::sent(tx, part, id, now, options)?;
                    return Ok(Looked::Found);
                }
            }
            let next = usize::try_from(absences).ok().and_then(|absences| LOOKS.get(absences + 1));
            match next {
                Some(wait) => {
                    tx.execute(ABSENT, args![part.turn, part.number, now + *wait])?;
                    Ok(Looked::Absent)
                }
                None if hold => {
                    let why = "the provider cannot tell whether it was sent; held, as set by MYNAH_UNKNOWN_SENDS";
                    outcome::unsent(tx, part, Ending::Held, why, now, options)?;
                    Ok(Looked::Held)
                }
                None => {
                    parts::back(tx, part, "ready", now, "not found at the provider in five looks")?;
                    Ok(Looked::Ready)
                }
            }
        })
        .await
    }

    /// A look that could not be made: it is no evidence, so another follows at `due`. Not for ever, since the conversation
    /// waits for it: 23 hours after the contact's last message, or after the first post, the part is held and its turn
    /// ends `expired`. (The contact's messages move the first of the two, and must not keep their own answer waiting. A
    /// template has only the second: it goes out long after they wrote.)
    pub async fn not_looked(&self, part: PartRef, due: Time, why: String, now: Time) -> Result<Looked, StoreError> {
        let options = self.options;
        self.write(move |tx| {
            let since = tx.one(SINCE, args![part.turn, part.number], |row| row.int(0).map(Time))?;
            let Some(since) = since else { return Ok(Looked::Settled) };
            if now >= since + SEND_WITHIN {
                let why = format!("it could not be found out in time whether it was sent; the last look failed: {why}");
                outcome::unsent(tx, part, Ending::HeldTooLate, &why, now, options)?;
                return Ok(Looked::Held);
            }
            tx.execute(BLIND, args![part.turn, part.number, due, why.as_str()])?;
            Ok(Looked::Blind)
        })
        .await
    }
}

/// Claims up to `most` parts that are to be looked for.
pub(super) fn claim_due(tx: &mut dyn Tx, now: Time, most: usize) -> Result<Vec<UnknownClaim>, StoreError> {
    let sql = format!("{DUE} {}", tx.skip_locked());
    let due = tx.all(&sql, args![now, i64::try_from(most).unwrap_or(i64::MAX)], |row| {
        Ok(UnknownClaim {
            part: PartRef { turn: TurnId(row.int(0)?), number: row.int(1)? },
            text: row.text(2)?.to_owned(),
            first_tried_at: Time(row.int(3)?),
            channel: row.text(4)?.to_owned(),
            account: row.text(11)?.to_owned(),
            posted_by: row.text(12)?.to_owned(),
            from: row.text(5)?.to_owned(),
            to: row.text(6)?.to_owned(),
            looks_failed: row.int(7)?,
            why: row.text_or_null(8)?.map(str::to_owned),
            template: row.text_or_null(9)?.and_then(ContentSid::parse),
            with_file: row.int(10)? != 0,
        })
    })?;
    for claim in &due {
        tx.execute(LEASE, args![claim.part.turn, claim.part.number, now + LOOKING])?;
    }
    Ok(due)
}
