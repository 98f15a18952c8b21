//! What can go wrong in the store.

/// Why the store did not do it. Nothing of the transaction took effect, except where [`StoreError::Late`] says that
/// this is not known yet.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum StoreError {
    /// It may pass: a full disk, a read-only file, another process that holds the database.
    #[error("the database cannot be written: {0}")]
    Unavailable(String),
    /// The commit took longer than a caller can wait. It may still succeed; a repeat changes nothing then.
    #[error("the database took longer than {0} s to commit")]
    Timeout(u64),
    /// The file is damaged or a write could not be made durable: the process has to end.
    #[error("the database is damaged or its disk fails: {0}")]
    Fatal(String),
    /// A statement or a row is not as this program expects.
    #[error("the database refused a statement: {0}")]
    Refused(String),
    /// The database cannot be opened.
    #[error("{0}")]
    Open(String),
    /// The store has been closed.
    #[error("the database is closed")]
    Closed,
}

impl StoreError {
    /// A column that holds something else.
    pub(in crate::store) fn unexpected(column: usize, wanted: &str) -> StoreError {
        StoreError::Refused(format!("column {column} of a row is not {wanted}"))
    }
}
