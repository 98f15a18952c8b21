//! What is too much: rates, unknown senders, budgets, backlog, and bots at the other end.

mod backlog_limit;
mod budgets;
mod loop_guard;
mod rates_and_senders;
