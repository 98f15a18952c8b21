//! The thin seam between the store's statements and a database.
//!
//! SQL is written once, in the shared dialect: arguments `?1`, times as integer milliseconds, UUIDs as bytes, JSON as
//! text, `ON CONFLICT`, partial indexes; no `RETURNING`, for which SQLite opens a table of its own at each call. A database runs it inside a [`Tx`] that it opened and commits.

use super::StoreError;

/// One argument of a statement.
#[derive(Clone, Copy, Debug)]
pub enum Arg<'a> {
    /// SQL's NULL.
    Null,
    /// An integer, also for times and flags.
    Int(i64),
    /// Text.
    Text(&'a str),
    /// Bytes, also for UUIDs.
    Bytes(&'a [u8]),
}

impl From<i64> for Arg<'_> {
    fn from(value: i64) -> Self {
        Arg::Int(value)
    }
}

impl<'a> From<&'a str> for Arg<'a> {
    fn from(value: &'a str) -> Self {
        Arg::Text(value)
    }
}

impl<'a, T: Into<Arg<'a>>> From<Option<T>> for Arg<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Arg::Null, Into::into)
    }
}

impl From<crate::clock::Time> for Arg<'_> {
    fn from(value: crate::clock::Time) -> Self {
        Arg::Int(value.millis())
    }
}

impl From<crate::model::TurnId> for Arg<'_> {
    fn from(value: crate::model::TurnId) -> Self {
        Arg::Int(value.0)
    }
}

impl<'a> From<&'a crate::model::ConversationId> for Arg<'a> {
    fn from(value: &'a crate::model::ConversationId) -> Self {
        Arg::Bytes(value.0.as_bytes())
    }
}

impl<'a> From<&'a crate::model::MessageId> for Arg<'a> {
    fn from(value: &'a crate::model::MessageId) -> Self {
        Arg::Bytes(value.0.as_bytes())
    }
}

/// Arguments of a statement, in order.
macro_rules! args {
    ($($value:expr),* $(,)?) => { &[$($crate::store::database::Arg::from($value)),*] };
}
pub(crate) use args;

/// One row of an answer. Columns count from 0.
pub trait Row {
    /// An integer or NULL.
    fn int_or_null(&self, column: usize) -> Result<Option<i64>, StoreError>;
    /// Text or NULL.
    fn text_or_null(&self, column: usize) -> Result<Option<&str>, StoreError>;
    /// Bytes or NULL.
    fn bytes_or_null(&self, column: usize) -> Result<Option<&[u8]>, StoreError>;

    /// An integer.
    fn int(&self, column: usize) -> Result<i64, StoreError> {
        self.int_or_null(column)?.ok_or_else(|| StoreError::unexpected(column, "an integer"))
    }

    /// Text.
    fn text(&self, column: usize) -> Result<&str, StoreError> {
        self.text_or_null(column)?.ok_or_else(|| StoreError::unexpected(column, "text"))
    }

    /// A UUID.
    fn uuid(&self, column: usize) -> Result<uuid::Uuid, StoreError> {
        let bytes = self.bytes_or_null(column)?.unwrap_or_default();
        uuid::Uuid::from_slice(bytes).map_err(|_| StoreError::unexpected(column, "a UUID"))
    }
}

/// An open transaction.
pub trait Tx {
    /// Runs a statement that answers no rows; how many rows it changed.
    fn execute(&mut self, sql: &str, args: &[Arg<'_>]) -> Result<u64, StoreError>;

    /// Runs an `INSERT` of one row into a table that gives it an id of its own; the id.
    fn insert(&mut self, sql: &str, args: &[Arg<'_>]) -> Result<i64, StoreError>;

    /// Runs a statement and hands each row to `each`.
    fn for_each_row(
        &mut self,
        sql: &str,
        args: &[Arg<'_>],
        each: &mut dyn FnMut(&dyn Row) -> Result<(), StoreError>,
    ) -> Result<(), StoreError>;

    /// What a claiming `SELECT` ends with so that claimers do not wait for each other; nothing where there is one
    /// writer only.
    fn skip_locked(&self) -> &'static str;
}

impl dyn Tx + '_ {
    /// The first row, if there is one.
    pub fn fetch_optional<T>(
        &mut self,
        sql: &str,
        args: &[Arg<'_>],
        map: impl Fn(&dyn Row) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let mut found = None;
        self.for_each_row(sql, args, &mut |row| {
            if found.is_none() {
                found = Some(map(row)?);
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// Every row.
    pub fn fetch_all<T>(
        &mut self,
        sql: &str,
        args: &[Arg<'_>],
        map: impl Fn(&dyn Row) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut found = Vec::new();
        self.for_each_row(sql, args, &mut |row| {
            found.push(map(row)?);
            Ok(())
        })?;
        Ok(found)
    }
}

/// Work to be done inside a transaction.
pub trait Job: Send {
    /// Whether it must be on the disk before `finish` is called. What need not be survives the death of the process all
    /// the same, and a power cut undoes it only together with all that was committed after it.
    fn needs_flush(&self) -> bool;
    /// Does it. It is done again where its transaction was undone because of a neighbour.
    fn run(&mut self, tx: &mut dyn Tx) -> Result<(), StoreError>;
    /// Tells whoever waits: after the commit, or with the reason why there is none.
    fn finish(self: Box<Self>, outcome: Result<(), StoreError>);
}

/// Something that runs transactions.
pub trait Database: Send + Sync {
    /// Queues a job that writes. Its `finish` is called after the commit, and after the flush where it is durable.
    fn write(&self, job: Box<dyn Job>);
    /// Runs a job that only reads.
    fn read(&self, job: Box<dyn Job>);
    /// Why the database cannot write at the moment; `None` while it can.
    fn write_error(&self) -> Option<String>;
}
