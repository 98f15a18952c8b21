//! Implements [`Tx`] on a rusqlite connection.

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, ToSql, ffi};

use crate::store::database::{Arg, Row, StoreError, Tx};

/// A connection inside a transaction that the caller begins and ends.
pub(super) struct SqliteTx<'a> {
    pub(super) connection: &'a Connection,
}

impl ToSql for Arg<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Arg::Null => ValueRef::Null,
            Arg::Int(value) => ValueRef::Integer(*value),
            Arg::Text(value) => ValueRef::Text(value.as_bytes()),
            Arg::Bytes(value) => ValueRef::Blob(value),
        }))
    }
}

impl Tx for SqliteTx<'_> {
    fn execute(&mut self, sql: &str, args: &[Arg<'_>]) -> Result<u64, StoreError> {
        let mut statement = self.connection.prepare_cached(sql).map_err(classify_error)?;
        let changed = statement.execute(rusqlite::params_from_iter(args)).map_err(classify_error)?;
        Ok(changed as u64)
    }

    fn insert(&mut self, sql: &str, args: &[Arg<'_>]) -> Result<i64, StoreError> {
        self.execute(sql, args)?;
        Ok(self.connection.last_insert_rowid())
    }

    fn for_each_row(
        &mut self,
        sql: &str,
        args: &[Arg<'_>],
        each: &mut dyn FnMut(&dyn Row) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut statement = self.connection.prepare_cached(sql).map_err(classify_error)?;
        let mut rows = statement.query(rusqlite::params_from_iter(args)).map_err(classify_error)?;
        while let Some(row) = rows.next().map_err(classify_error)? {
            each(row)?;
        }
        Ok(())
    }

    fn skip_locked(&self) -> &'static str {
        ""
    }
}

impl Row for rusqlite::Row<'_> {
    fn int_or_null(&self, column: usize) -> Result<Option<i64>, StoreError> {
        match self.get_ref(column).map_err(classify_error)? {
            ValueRef::Null => Ok(None),
            ValueRef::Integer(value) => Ok(Some(value)),
            _ => Err(StoreError::unexpected(column, "an integer")),
        }
    }

    fn text_or_null(&self, column: usize) -> Result<Option<&str>, StoreError> {
        self.get_ref(column)
            .map_err(classify_error)?
            .as_str_or_null()
            .map_err(|_| StoreError::unexpected(column, "text"))
    }

    fn bytes_or_null(&self, column: usize) -> Result<Option<&[u8]>, StoreError> {
        self.get_ref(column)
            .map_err(classify_error)?
            .as_blob_or_null()
            .map_err(|_| StoreError::unexpected(column, "bytes"))
    }
}

/// Classifies SQLite's errors by what can be done about them (sqlite.org, result and error codes).
pub(super) fn classify_error(error: rusqlite::Error) -> StoreError {
    let rusqlite::Error::SqliteFailure(failure, _) = &error else {
        return StoreError::Refused(error.to_string());
    };
    let damaged = [
        ffi::SQLITE_IOERR_FSYNC,
        ffi::SQLITE_IOERR_DIR_FSYNC,
        ffi::SQLITE_IOERR_SHORT_READ,
        ffi::SQLITE_IOERR_CORRUPTFS,
        ffi::SQLITE_IOERR_DATA,
    ];
    match failure.code {
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => StoreError::Fatal(error.to_string()),
        _ if damaged.contains(&failure.extended_code) => StoreError::Fatal(error.to_string()),
        ErrorCode::DiskFull
        | ErrorCode::ReadOnly
        | ErrorCode::SystemIoFailure
        | ErrorCode::DatabaseBusy
        | ErrorCode::DatabaseLocked
        | ErrorCode::CannotOpen
        | ErrorCode::OutOfMemory => StoreError::Unavailable(error.to_string()),
        _ => StoreError::Refused(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(code: i32) -> StoreError {
        classify_error(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None))
    }

    #[test]
    fn a_full_disk_passes_and_a_damaged_file_does_not() {
        for code in [ffi::SQLITE_FULL, ffi::SQLITE_READONLY, ffi::SQLITE_IOERR_WRITE, ffi::SQLITE_BUSY] {
            assert!(matches!(failure(code), StoreError::Unavailable(_)), "{code}");
        }
        for code in [ffi::SQLITE_IOERR_FSYNC, ffi::SQLITE_CORRUPT, ffi::SQLITE_NOTADB] {
            assert!(matches!(failure(code), StoreError::Fatal(_)), "{code}");
        }
        assert!(matches!(failure(ffi::SQLITE_CONSTRAINT_UNIQUE), StoreError::Refused(_)));
    }
}
