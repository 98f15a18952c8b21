//! The worker: turns that wait or expire, panics that cost one piece of work alone, and the regular jobs.

mod backups;
mod panics;
mod restored_backup;
mod schedule;
mod supervision;
mod waiting_turns;
