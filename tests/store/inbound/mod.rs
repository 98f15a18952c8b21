//! Messages from contacts: stored once, admitted or refused, found later by catch-up, and what is attached to them.

pub mod admission;
pub mod attachments;
pub mod catch_up;
pub mod receive;
