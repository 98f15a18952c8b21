//! Merges two contacts that turn out to be one person. The messages of both stay, and an opt-out or block of either
//! stays in force.

use tracing::info;

use super::restrictions::{cancel_if_newly_forbidden, contact_flags};
use crate::clock::Time;
use crate::model::ConversationId;
use crate::store::database::{StoreError, Tx, args};
use crate::store::operations::budget;

const OPEN: &str = "
    SELECT id, channel, our_address, last_inbound_at, mode, mode_until FROM conversations
    WHERE contact_id = ?1 AND is_open = 1";

/// Turns that wait in it are still answered: ending a conversation does not end its turns.
const END: &str = "UPDATE conversations SET ended_at = ?2, revision = revision + 1 WHERE id = ?1";

const SET_HUMAN: &str = "
    UPDATE conversations SET mode = 'human', mode_until = ?2, revision = revision + 1,
        mode_why = (SELECT o.mode_why FROM conversations o WHERE o.id = ?3)
    WHERE id = ?1";

const CONVERSATIONS: &str = "UPDATE conversations SET contact_id = ?2 WHERE contact_id = ?1";

const ADDRESSES: &str = "UPDATE addresses SET contact_id = ?2 WHERE contact_id = ?1";

/// Keeps the earlier of two times, or the only one. `noticed_at` keeps the later one.
const MERGE_CONTACT_ROWS: &str = "
    UPDATE contacts SET name = COALESCE(contacts.name, o.name), created_at = MIN(contacts.created_at, o.created_at),
        opted_out_at = MIN(COALESCE(contacts.opted_out_at, o.opted_out_at), COALESCE(o.opted_out_at, contacts.opted_out_at)),
        blocked_at = MIN(COALESCE(contacts.blocked_at, o.blocked_at), COALESCE(o.blocked_at, contacts.blocked_at)),
        admitted_at = COALESCE(contacts.admitted_at, o.admitted_at),
        noticed_at = MAX(COALESCE(contacts.noticed_at, o.noticed_at), COALESCE(o.noticed_at, contacts.noticed_at))
    FROM contacts o WHERE contacts.id = ?2 AND o.id = ?1";

const DELETE_CONTACT: &str = "DELETE FROM contacts WHERE id = ?1";

struct OpenConversation {
    id: ConversationId,
    our_number: (String, String),
    last_inbound_at: Time,
    /// `None` if no person answers it. Otherwise until when, where the inner `None` means without an end.
    human_until: Option<Option<i64>>,
}

/// Merges two contacts and returns the id of the one that is kept. The younger one with the greater id is kept, because
/// the greatest id of all would be assigned again once its row is gone.
pub(in crate::store) fn merge(tx: &mut dyn Tx, one: i64, other: i64, now: Time) -> Result<i64, StoreError> {
    let (gone, kept) = (one.min(other), one.max(other));
    info!(gone, kept, "merged two contacts that are one person");
    let (of_gone, of_kept) = (contact_flags(tx, gone)?, contact_flags(tx, kept)?);
    cancel_if_newly_forbidden(tx, gone, of_kept, now)?;
    cancel_if_newly_forbidden(tx, kept, of_gone, now)?;
    let others = open_conversations(tx, kept, now)?;
    for mine in open_conversations(tx, gone, now)? {
        if let Some(other) = others.iter().find(|other| other.our_number == mine.our_number) {
            end_older_conversation(tx, &mine, other, now)?;
        }
    }
    tx.execute(CONVERSATIONS, args![gone, kept])?;
    tx.execute(ADDRESSES, args![gone, kept])?;
    tx.execute(MERGE_CONTACT_ROWS, args![gone, kept])?;
    budget::merge_daily_charges(tx, gone, kept, now)?;
    tx.execute(DELETE_CONTACT, args![gone])?;
    Ok(kept)
}

/// Ends one of two open conversations on the same one of our numbers: the one whose latest message is older. If a
/// person answers that conversation, they answer the other one from then on.
fn end_older_conversation(
    tx: &mut dyn Tx,
    one: &OpenConversation,
    other: &OpenConversation,
    now: Time,
) -> Result<(), StoreError> {
    let (ends, stays) =
        if (one.last_inbound_at, one.id) < (other.last_inbound_at, other.id) { (one, other) } else { (other, one) };
    tx.execute(END, args![&ends.id, now])?;
    if let Some(until) = ends.human_until {
        let until = match stays.human_until {
            // `None` means without an end.
            Some(other) => until.zip(other).map(|(until, other)| until.max(other)),
            None => until,
        };
        tx.execute(SET_HUMAN, args![&stays.id, until, &ends.id])?;
    }
    Ok(())
}

fn open_conversations(tx: &mut dyn Tx, contact: i64, now: Time) -> Result<Vec<OpenConversation>, StoreError> {
    tx.fetch_all(OPEN, args![contact], |row| {
        let until = row.int_or_null(5)?;
        let human = row.text(4)? == "human" && until.is_none_or(|until| until > now.0);
        Ok(OpenConversation {
            id: ConversationId(row.uuid(0)?),
            our_number: (row.text(1)?.to_owned(), row.text(2)?.to_owned()),
            last_inbound_at: Time(row.int(3)?),
            human_until: human.then_some(until),
        })
    })
}
