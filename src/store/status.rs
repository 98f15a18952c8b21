//! News from the provider of messages that were sent.

use super::database::args;
use super::{Store, StoreError, WebhookRecord, outcome, webhooks};
use crate::clock::Time;
use crate::model::{DeliveryStatus, PartRef, StatusUpdate, TurnId};

const BY_ID: &str = "SELECT turn_id, number FROM parts WHERE provider_id = ?1 AND provider_id IS NOT NULL";

const UNSETTLED: &str = "
    SELECT 1 FROM parts WHERE id = ?1 * 16 + ?2 AND provider_id IS NULL
    AND state IN ('sending', 'unknown', 'ready', 'held')";

/// Only upwards: callbacks repeat and overtake each other.
const MOVE_ON: &str = "
    UPDATE parts SET status = ?3, status_rank = ?4, status_at = ?5,
        error_code = COALESCE(?6, error_code), error = COALESCE(?7, error)
    WHERE id = ?1 * 16 + ?2 AND status_rank < ?4 AND provider_id = ?8";

/// What a status callback was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusTaken {
    /// No message of ours.
    Foreign,
    /// A message of ours, and nothing waited for it.
    Noted,
    /// A message of ours; the next part, or the next turn, waits for its time now.
    More,
}

impl Store {
    /// Takes a status callback: it ties an unsettled part to its provider id if it bears our reference, and moves the
    /// part's delivery status on. Once the part is on its way the next one is due.
    pub async fn status(
        &self,
        update: StatusUpdate,
        record: Option<WebhookRecord>,
        now: Time,
    ) -> Result<StatusTaken, StoreError> {
        let options = self.options;
        self.write(move |tx| {
            if let Some(record) = &record {
                webhooks::insert(tx, record, None)?;
            }
            let id = update.provider_id.0.as_str();
            let known =
                tx.one(BY_ID, args![id], |row| Ok(PartRef { turn: TurnId(row.int(0)?), number: row.int(1)? }))?;
            let (part, mut more) = match (known, update.reference) {
                (Some(part), _) => (part, false),
                (None, Some(part)) => {
                    if tx.one(UNSETTLED, args![part.turn, part.number], |_| Ok(()))?.is_none() {
                        return Ok(StatusTaken::Foreign);
                    }
                    (part, outcome::sent(tx, part, &update.provider_id, now, options)?)
                }
                (None, None) => return Ok(StatusTaken::Foreign),
            };
            if let Some(status) = update.status {
                let error = update.error_message.as_deref();
                let moved = tx.execute(
                    MOVE_ON,
                    args![part.turn, part.number, status.as_str(), status.rank(), now, update.error_code, error, id],
                )?;
                // One that failed is out of the way too.
                if moved > 0 && status.rank() >= DeliveryStatus::Sent.rank() {
                    more |= outcome::handed_on(tx, part, now)?;
                }
            }
            Ok(if more { StatusTaken::More } else { StatusTaken::Noted })
        })
        .await
    }
}
