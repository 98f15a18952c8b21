//! Messages whose webhook never came: how far the provider's list has been read for them, and what has overtaken them.

use std::collections::HashSet;

use crate::clock::Time;
use crate::model::Command;
use crate::store::database::Store;
use crate::store::database::StoreError;
use crate::store::database::Tx;
use crate::store::database::args;

const CATCH_UP_PROGRESS: &str = "SELECT began_at, caught_up_at FROM catch_ups WHERE list = ?1";

/// Also backwards: a clock that was wrong for a while must not leave a time behind that never comes.
const SET_CAUGHT_UP: &str = "
    INSERT INTO catch_ups (list, began_at, caught_up_at) VALUES (?1, ?2, ?2)
    ON CONFLICT (list) DO UPDATE SET caught_up_at = excluded.caught_up_at,
        began_at = MIN(began_at, excluded.caught_up_at)";

const OUR_ADDRESSES: &str = "SELECT address FROM our_addresses WHERE channel = ?1 AND account = ?2";

/// Only of a STOP that was missed, which is rare: it reads what was said in all the contact's conversations.
const OPTED_IN_SINCE: &str = "
    SELECT 1 FROM conversations c JOIN messages m ON m.conversation_id = c.id
    WHERE c.contact_id = ?1 AND m.word = 'opt_in' AND m.created_at > ?2 LIMIT 1";

/// How far a list has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CatchUpProgress {
    /// When it was first read: what is older was never ours to answer.
    pub began_at: Time,
    /// When it was last read to its end and all that had been missed was stored.
    pub caught_up_at: Time,
}

impl Store {
    /// How far the list of that name has been read; `None` if it never was.
    pub async fn catch_up_progress(&self, list: impl Into<String>) -> Result<Option<CatchUpProgress>, StoreError> {
        let list = list.into();
        self.read(move |tx| {
            tx.fetch_optional(CATCH_UP_PROGRESS, args![list.as_str()], |row| {
                Ok(CatchUpProgress { began_at: Time(row.int(0)?), caught_up_at: Time(row.int(1)?) })
            })
        })
        .await
    }

    /// All of that list that had been missed until then is stored. Not flushed, as what was found is not: what a power cut takes back is
    /// found again.
    pub async fn record_caught_up(&self, list: impl Into<String>, until: Time) -> Result<(), StoreError> {
        let list = list.into();
        self.write_unflushed(move |tx| tx.execute(SET_CAUGHT_UP, args![list.as_str(), until]).map(drop)).await
    }

    /// Our addresses to which contacts have written through that account, as they were received.
    pub async fn our_addresses(&self, channel: &'static str, account: String) -> Result<HashSet<String>, StoreError> {
        self.read(move |tx| {
            let addresses =
                tx.fetch_all(OUR_ADDRESSES, args![channel, account.as_str()], |row| Ok(row.text(0)?.to_owned()))?;
            Ok(addresses.into_iter().collect())
        })
        .await
    }
}

/// Why a STOP or START of that time, which was missed, counts no more: the contact has written the other one since.
pub(in crate::store) fn superseded_reason(
    tx: &mut dyn Tx,
    command: Command,
    said: Time,
    contact: i64,
    opted_out: Option<Time>,
) -> Result<Option<&'static str>, StoreError> {
    Ok(match command {
        Command::OptIn if opted_out.is_some_and(|at| at > said) => {
            Some("it was missed, and the contact has opted out since")
        }
        Command::OptOut => {
            let since = tx.fetch_optional(OPTED_IN_SINCE, args![contact, said], |_| Ok(()))?;
            since.map(|()| "it was missed, and the contact has opted in since")
        }
        _ => None,
    })
}
