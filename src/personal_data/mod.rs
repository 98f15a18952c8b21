//! What is held on one person: exported as a document with its files, or erased.
//!
//! To export or erase something new, see `store/people`, whose tests list every table and column. The commands over this are
//! `conversations export` and `conversations erase`.

mod document;
mod erase;
mod export;
mod export_folder;
mod search;

pub use self::erase::{ErasureReport, FILE_GRACE, Proof, erase};
pub use self::export::{ExportSummary, write_document};
pub use self::export_folder::{default_folder_name, export_to_folder};
