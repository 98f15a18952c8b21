//! The interface to the database: transactions, rows, ids, errors, the lock, and the [`Store`] itself.
//!
//! It imports no other folder of the store, and every other folder imports it. To add a database, implement `Database`
//! and `Tx` in a folder of its own, like `sqlite`.

mod erasure_key;
mod error;
pub(in crate::store) mod ids;
mod lock;
mod open_alerts;
mod per_number;
mod seam;
mod store;

pub use self::erasure_key::ErasureKey;
pub use self::error::StoreError;
pub use self::lock::{FolderLock, LockError};
pub use self::per_number::PerNumber;
pub use self::seam::DatabaseSize;
pub use self::store::{Store, StoreOptions};

pub(crate) use self::seam::args;
pub(in crate::store) use self::seam::{Arg, Database, Job, Row, Tx};
#[cfg(test)]
pub(in crate::store) use self::store::WRITE_TIMEOUT;
