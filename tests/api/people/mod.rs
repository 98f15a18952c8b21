//! Contacts and operators: who is who by phone and user ID, keywords such as STOP, and people who take over.

mod commands;
mod identity;
mod refused_resets;
