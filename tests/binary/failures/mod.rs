//! What goes wrong around the program: kills at any point, a full disk, a damaged database, an outage. Nothing may be
//! lost or said twice.

mod damaged_database;
#[cfg(feature = "failpoints")]
mod failpoints;
mod flush_before_acknowledgement;
mod full_disk;
#[cfg(feature = "failpoints")]
mod kills;
mod outage;
