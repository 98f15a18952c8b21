//! The durable queue: turns and parts, claimed by a worker and settled once.
//!
//! It may use the rooms below: `conversations`, `contacts`, `operations`, `sqlite`, `database`. To add a kind of work: its claim in
//! `claims`, its end in `settle`, and what a dead process leaves of it in `recovery`.

pub(in crate::store) mod backlog_limit;
pub(in crate::store) mod claims;
pub(in crate::store) mod deferred;
pub(in crate::store) mod handover;
pub(in crate::store) mod jobs;
pub(in crate::store) mod limits;
pub(in crate::store) mod lookup_claims;
pub(in crate::store) mod loop_detection;
pub(in crate::store) mod notices;
pub(in crate::store) mod part_claims;
pub(in crate::store) mod recovery;
pub(in crate::store) mod request;
pub(in crate::store) mod reservations;
pub(in crate::store) mod settle;
pub(in crate::store) mod turns;
