//! The durable queue: turns and parts. A worker claims each one, and it is settled once.
//!
//! Within the store, it imports only `conversations`, `contacts`, `operations`, `sqlite` and `database`. To add a kind
//! of work, add its claim to `claims`, its end to `settle`, and the recovery of what a dead process leaves of it to
//! `recovery`.

pub(in crate::store) mod backlog_limit;
pub(in crate::store) mod budget_reservations;
pub(in crate::store) mod built_in_request;
pub(in crate::store) mod claims;
pub(in crate::store) mod contact_notices;
pub(in crate::store) mod deferred;
pub(in crate::store) mod handover;
pub(in crate::store) mod jobs;
pub(in crate::store) mod limits;
pub(in crate::store) mod loop_detection;
pub(in crate::store) mod part_claims;
pub(in crate::store) mod reconcile_claims;
pub(in crate::store) mod recovery;
pub(in crate::store) mod restored_work;
pub(in crate::store) mod settle;
pub(in crate::store) mod statistics;
pub(in crate::store) mod turns;
