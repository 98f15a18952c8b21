//! SQLite: every promise run on a database file, and what is SQLite's own.

pub mod database_file;
