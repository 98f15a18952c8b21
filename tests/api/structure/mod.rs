//! Rules of the source itself: which file may import which, where SQL stands, and whose settings are read.

mod floors;
mod imports;
mod own_settings;
mod sql;
