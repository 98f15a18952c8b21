//! Backups: one file with the database and the files of the conversations, made beside a running `serve`, and restored into
//! a data folder of which nothing is lost.
//!
//! `archive` is the file format, `create` writes one, `rotation` removes old ones, and `restore` puts one in the place of
//! the data folder's data. The settings and the encrypted secrets are in the database. The age identity and `mynah.toml`,
//! which may hold secrets in clear text, are in no backup.

mod archive;
mod create;
mod encryption;
mod restore;
mod rotation;
mod target;

pub use self::archive::{ArchiveError, Contents, Manifest};
pub use self::create::{BackupOptions, BackupReport, Progress, Stopped, create};
pub use self::restore::{IdentityState, RestoreOptions, RestoreReport, restore};
pub use self::rotation::Rotation;
