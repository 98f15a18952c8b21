//! Delivery statuses that the provider reports for messages that were sent. A message that was not delivered marks its
//! turn until a later status says that it was delivered.

use crate::clock::Time;
use crate::model::{DeliveryStatus, PartRef, StatusUpdate, TurnId};
use crate::store::database::{Store, StoreError, StoreOptions, Tx, args};
use crate::store::inbound::webhook_log;
use crate::store::inbound::webhook_log::WebhookRecord;
use crate::store::queue::settle;

const BY_ID: &str = "SELECT turn_id, number FROM parts WHERE provider_id = ?1 AND provider_id IS NOT NULL";

const POSTING_ACCOUNT: &str = "
    SELECT COALESCE(p.posted_by, c.account) FROM parts p JOIN conversations c ON c.id = p.conversation_id WHERE p.id = ?1 * 16 + ?2";

const UNSETTLED: &str = "
    SELECT 1 FROM parts WHERE id = ?1 * 16 + ?2 AND provider_id IS NULL
    AND state IN ('sending', 'unknown', 'ready', 'held')";

/// The status moves forward only, because callbacks repeat and overtake each other.
const ADVANCE_STATUS: &str = "
    UPDATE parts SET status = ?3, status_rank = ?4, status_at = ?5,
        error_code = COALESCE(?6, error_code), error = COALESCE(?7, error)
    WHERE id = ?1 * 16 + ?2 AND status_rank < ?4 AND provider_id = ?8";

/// The result of a status callback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusOutcome {
    /// The message is not ours, and the callback carries no reference that says otherwise; or another account sent it.
    NotOurs,
    /// The callback carries our reference, but that part no longer exists, or has another provider id.
    PartGone,
    /// The message is ours, and the status is known already or older than the known one.
    NothingNew,
    /// The message is ours; the status is recorded, and nothing waited for it.
    Recorded,
    /// The message is ours, and the next part or turn that waited for it is scheduled now.
    NextIsScheduled,
}

impl Store {
    /// Applies a status callback. If the callback carries our reference, this ties an unsettled part to its provider
    /// id. It moves the part's delivery status forward, and once the part is on its way, the next part is due. A
    /// callback about a message that is not ours is logged as refused.
    pub async fn apply_status(
        &self,
        update: StatusUpdate,
        record: Option<WebhookRecord>,
        now: Time,
    ) -> Result<StatusOutcome, StoreError> {
        self.apply_status_from(None, update, record, now).await
    }

    /// Like [`Store::apply_status`], for a callback from this account. A message that another account sent does not
    /// count as its own.
    pub async fn apply_status_from(
        &self,
        account: Option<String>,
        update: StatusUpdate,
        record: Option<WebhookRecord>,
        now: Time,
    ) -> Result<StatusOutcome, StoreError> {
        let options = self.options;
        self.write(move |tx| {
            let taken = match &account {
                Some(account) if is_from_other_account(tx, account, &update)? => StatusOutcome::NotOurs,
                _ => apply_update(tx, &update, now, options)?,
            };
            match &record {
                Some(record) if taken == StatusOutcome::NotOurs => {
                    let why = format!("the message {} is not one of ours", update.provider_id.0);
                    webhook_log::insert(tx, &record.to_refused(&why).without_content(), None)?;
                }
                // The message was deleted or erased with its person, whose address the body contains.
                Some(record) if taken == StatusOutcome::PartGone => {
                    webhook_log::insert(tx, &record.without_content(), None)?;
                }
                Some(record) => webhook_log::insert(tx, record, None)?,
                None => {}
            }
            Ok(taken)
        })
        .await
    }
}

/// Returns whether another account sent the message that a callback is about.
fn is_from_other_account(tx: &mut dyn Tx, account: &str, update: &StatusUpdate) -> Result<bool, StoreError> {
    let Some(part) = part_by_provider_id(tx, update)?.or(update.reference) else { return Ok(false) };
    let sent_by =
        tx.fetch_optional(POSTING_ACCOUNT, args![part.turn, part.number], |row| Ok(row.text(0)?.to_owned()))?;
    Ok(sent_by.is_some_and(|sent_by| sent_by != account))
}

fn part_by_provider_id(tx: &mut dyn Tx, update: &StatusUpdate) -> Result<Option<PartRef>, StoreError> {
    let id = update.provider_id.0.as_str();
    tx.fetch_optional(BY_ID, args![id], |row| Ok(PartRef { turn: TurnId(row.int(0)?), number: row.int(1)? }))
}

fn apply_update(
    tx: &mut dyn Tx,
    update: &StatusUpdate,
    now: Time,
    options: StoreOptions,
) -> Result<StatusOutcome, StoreError> {
    let id = update.provider_id.0.as_str();
    let (part, mut new, mut more) = match (part_by_provider_id(tx, update)?, update.reference) {
        (Some(part), _) => (part, false, false),
        (None, Some(part)) => {
            if tx.fetch_optional(UNSETTLED, args![part.turn, part.number], |_| Ok(()))?.is_none() {
                return Ok(StatusOutcome::PartGone);
            }
            (part, true, settle::mark_sent(tx, part, &update.provider_id, now, options)?)
        }
        (None, None) => return Ok(StatusOutcome::NotOurs),
    };
    if let Some(status) = update.status {
        let error = update.error_message.as_deref();
        let moved = tx.execute(
            ADVANCE_STATUS,
            args![part.turn, part.number, status.as_str(), status.rank(), now, update.error_code, error, id],
        )?;
        new |= moved > 0;
        // A part that failed is out of the way too.
        if moved > 0 && status.rank() >= DeliveryStatus::Sent.rank() {
            more |= settle::advance_next_part(tx, part, now)?;
        }
    }
    Ok(match (new, more) {
        (_, true) => StatusOutcome::NextIsScheduled,
        (true, false) => StatusOutcome::Recorded,
        (false, false) => StatusOutcome::NothingNew,
    })
}
