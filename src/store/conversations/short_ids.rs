//! Finds the conversations that a person means who typed a part of an id.

use crate::model::{ConversationId, ShortId};
use crate::store::database::{Store, StoreError, Tx, args};

const BEGIN: &str = "SELECT id FROM conversations WHERE id BETWEEN ?1 AND ?2 ORDER BY id DESC LIMIT ?3";

const LATEST: &str = "SELECT id FROM conversations WHERE id > ?1 ORDER BY id DESC LIMIT ?2";

/// How many conversations are compared by the end of their id, the latest first: no index covers the ends of ids. For
/// an older conversation, a person types the beginning of its id, or all of it.
const MAX_SCANNED: i64 = 100_000;

impl Store {
    /// Returns up to `most` conversations whose id begins or ends with `short`.
    pub async fn conversations_by_short_id(
        &self,
        short: ShortId,
        most: usize,
    ) -> Result<Vec<ConversationId>, StoreError> {
        self.read(move |tx| find_by_short_id(tx, &short, most)).await
    }
}

/// Returns up to `most` conversations whose id begins or ends with `short`.
pub(in crate::store) fn find_by_short_id(
    tx: &mut dyn Tx,
    short: &ShortId,
    most: usize,
) -> Result<Vec<ConversationId>, StoreError> {
    let (low, high) = short.prefix_range();
    let limit = i64::try_from(most).unwrap_or(i64::MAX);
    let mut found = tx.fetch_all(BEGIN, args![&low, &high, limit], |row| row.uuid(0).map(ConversationId))?;
    let before_all = ConversationId(uuid::Uuid::nil());
    tx.for_each_row(LATEST, args![&before_all, MAX_SCANNED], &mut |row| {
        let id = ConversationId(row.uuid(0)?);
        if found.len() < most && short.is_suffix_of(id) && !found.contains(&id) {
            found.push(id);
        }
        Ok(())
    })?;
    Ok(found)
}
