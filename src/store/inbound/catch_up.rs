//! Messages whose webhook never came: how far the provider's list was read for them, and which of their commands were
//! superseded since.

use std::collections::HashSet;

use crate::clock::Time;
use crate::model::Command;
use crate::store::database::{Store, StoreError, Tx, args};

const CATCH_UP_PROGRESS: &str = "SELECT began_at, caught_up_at FROM catch_ups WHERE list = ?1";

/// The time may also move backward: a clock that was wrong for a while must not leave a time behind that never comes.
const SET_CAUGHT_UP: &str = "
    INSERT INTO catch_ups (list, began_at, caught_up_at) VALUES (?1, ?2, ?2)
    ON CONFLICT (list) DO UPDATE SET caught_up_at = excluded.caught_up_at,
        began_at = MIN(began_at, excluded.caught_up_at)";

const OUR_ADDRESSES: &str = "SELECT address FROM our_addresses WHERE channel = ?1 AND account = ?2";

/// Used only for a missed STOP, which is rare, because it reads the messages of all the contact's conversations.
const OPTED_IN_SINCE: &str = "
    SELECT 1 FROM conversations c JOIN messages m ON m.conversation_id = c.id
    WHERE c.contact_id = ?1 AND m.word = 'opt_in' AND m.created_at > ?2 LIMIT 1";

/// How far a list has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CatchUpProgress {
    /// When the list was first read. Older messages were never ours to answer.
    pub began_at: Time,
    /// When the list was last read to its end, with every missed message stored.
    pub caught_up_at: Time,
}

impl Store {
    /// Returns how far the named list has been read; `None` if it never was.
    pub async fn catch_up_progress(&self, list: impl Into<String>) -> Result<Option<CatchUpProgress>, StoreError> {
        let list = list.into();
        self.read(move |tx| {
            tx.fetch_optional(CATCH_UP_PROGRESS, args![list.as_str()], |row| {
                Ok(CatchUpProgress { began_at: Time(row.int(0)?), caught_up_at: Time(row.int(1)?) })
            })
        })
        .await
    }

    /// Records that every message that was missed in the list until then is stored. Not flushed, as the messages are
    /// not either: mynah finds again what a power cut undoes.
    pub async fn record_caught_up(&self, list: impl Into<String>, until: Time) -> Result<(), StoreError> {
        let list = list.into();
        self.write_unflushed(move |tx| tx.execute(SET_CAUGHT_UP, args![list.as_str(), until]).map(drop)).await
    }

    /// Returns our addresses to which contacts have written through the account, as they were received.
    pub async fn our_addresses(&self, channel: &'static str, account: String) -> Result<HashSet<String>, StoreError> {
        self.read(move |tx| {
            let addresses =
                tx.fetch_all(OUR_ADDRESSES, args![channel, account.as_str()], |row| Ok(row.text(0)?.to_owned()))?;
            Ok(addresses.into_iter().collect())
        })
        .await
    }
}

/// Returns why a missed STOP or START of that time no longer counts: the contact has sent the other one since.
pub(in crate::store) fn superseded_reason(
    tx: &mut dyn Tx,
    command: Command,
    said: Time,
    contact: i64,
    opted_out: Option<Time>,
) -> Result<Option<&'static str>, StoreError> {
    Ok(match command {
        Command::OptIn if opted_out.is_some_and(|at| at > said) => {
            Some("the webhook was missed, and the contact has opted out since")
        }
        Command::OptOut => {
            let since = tx.fetch_optional(OPTED_IN_SINCE, args![contact, said], |_| Ok(()))?;
            since.map(|()| "the webhook was missed, and the contact has opted in since")
        }
        _ => None,
    })
}
