//! Contacts and operators: who is who by phone and user ID, keywords such as STOP, and people who take over.

mod erased;
mod identity;
mod keywords;
mod refused_resets;
mod takeover;
