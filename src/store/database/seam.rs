//! A thin layer between the store's statements and a database.
//!
//! SQL is written once, in a dialect that databases share: arguments `?1`, times as integer milliseconds, UUIDs as
//! bytes, JSON as text, `ON CONFLICT`, partial indexes. There is no `RETURNING`, because SQLite opens a temporary table
//! for it at each call. A database runs the statements inside a [`Tx`] that it opens and commits.

use super::StoreError;

/// One argument of a statement.
#[derive(Clone, Copy, Debug)]
pub enum Arg<'a> {
    /// NULL.
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

/// One row of a result. Columns are counted from 0.
pub trait Row {
    /// Returns an integer or NULL.
    fn int_or_null(&self, column: usize) -> Result<Option<i64>, StoreError>;
    /// Returns text or NULL.
    fn text_or_null(&self, column: usize) -> Result<Option<&str>, StoreError>;
    /// Returns bytes or NULL.
    fn bytes_or_null(&self, column: usize) -> Result<Option<&[u8]>, StoreError>;

    /// Returns an integer.
    fn int(&self, column: usize) -> Result<i64, StoreError> {
        self.int_or_null(column)?.ok_or_else(|| StoreError::unexpected(column, "an integer"))
    }

    /// Returns text.
    fn text(&self, column: usize) -> Result<&str, StoreError> {
        self.text_or_null(column)?.ok_or_else(|| StoreError::unexpected(column, "text"))
    }

    /// Returns a UUID.
    fn uuid(&self, column: usize) -> Result<uuid::Uuid, StoreError> {
        let bytes = self.bytes_or_null(column)?.unwrap_or_default();
        uuid::Uuid::from_slice(bytes).map_err(|_| StoreError::unexpected(column, "a UUID"))
    }
}

/// An open transaction.
pub trait Tx {
    /// Runs a statement that returns no rows. Returns how many rows it changed.
    fn execute(&mut self, sql: &str, args: &[Arg<'_>]) -> Result<u64, StoreError>;

    /// Runs an `INSERT` of one row into a table that assigns an id to it. Returns that id.
    fn insert(&mut self, sql: &str, args: &[Arg<'_>]) -> Result<i64, StoreError>;

    /// Runs a statement and passes each row to `each`.
    fn for_each_row(
        &mut self,
        sql: &str,
        args: &[Arg<'_>],
        each: &mut dyn FnMut(&dyn Row) -> Result<(), StoreError>,
    ) -> Result<(), StoreError>;

    /// Returns the clause that ends a claiming `SELECT`, so that workers that claim do not wait for each other. It is
    /// empty where there is only one writer.
    fn skip_locked(&self) -> &'static str;
}

impl dyn Tx + '_ {
    /// Returns the first row, if there is one.
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

    /// Returns all rows.
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

/// Work to run inside a transaction.
pub trait Job: Send {
    /// Whether the work must be on the disk before `finish` is called. Work without a flush still survives the death of
    /// the process. A power cut undoes it only together with everything that was committed after it.
    fn needs_flush(&self) -> bool;
    /// Runs the work. It runs again if its transaction was undone because of another job in the same commit.
    fn run(&mut self, tx: &mut dyn Tx) -> Result<(), StoreError>;
    /// Reports the outcome to the caller: after the commit, or with the reason why there was none.
    fn finish(self: Box<Self>, outcome: Result<(), StoreError>);
}

/// How much space a database takes, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DatabaseSize {
    /// The data, without the log.
    pub data: u64,
    /// The write-ahead log.
    pub log: u64,
}

/// A database that runs transactions.
pub trait Database: Send + Sync {
    /// Queues a job that writes. Its `finish` is called after the commit, and after the flush if the job needs one.
    fn write(&self, job: Box<dyn Job>);
    /// Runs a job that only reads.
    fn read(&self, job: Box<dyn Job>);
    /// Returns why the database cannot write at the moment; `None` while it can.
    fn write_error(&self) -> Option<String>;
    /// Empties the log of recent changes, in which older versions of rows stand. Returns `false` if others used it for too
    /// long.
    fn empty_log(&self) -> Result<bool, StoreError>;
    /// Writes all rows into new pages, so that no byte of a deleted row is left. Everybody who writes waits meanwhile.
    fn rewrite(&self) -> Result<(), StoreError>;
    /// Returns how much space the database takes; `None` if that is not known.
    fn size(&self) -> Option<DatabaseSize>;
}
