//! Errors of the store.

/// Why the store did not run a transaction. Nothing of the transaction took effect, except that after
/// [`StoreError::Timeout`] it may still be committed.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum StoreError {
    /// May pass by itself: a full disk, a read-only file, another process that holds the database.
    #[error("the database cannot be written: {0}")]
    Unavailable(String),
    /// The commit took longer than a caller can wait. It may still succeed; repeating the call then changes nothing.
    #[error("the database took longer than {0} s to commit")]
    Timeout(u64),
    /// The file is damaged, or a write could not be made durable: the process must end.
    #[error("the database is damaged or its disk is failing: {0}")]
    Fatal(String),
    /// A statement failed, or a row is not what this program expects.
    #[error("a database statement failed: {0}")]
    Refused(String),
    /// The database cannot be opened.
    #[error("{0}")]
    Open(String),
    /// The store has been closed.
    #[error("the database is closed")]
    Closed,
}

impl StoreError {
    /// Returns the error for a column that does not hold what was wanted.
    pub(in crate::store) fn unexpected(column: usize, wanted: &str) -> StoreError {
        StoreError::Refused(format!("column {column} of a row is not {wanted}"))
    }
}
