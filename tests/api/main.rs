//! The house from the inside: the real app on a temporary folder, wiremock in the place of Twilio and of the model, and a
//! clock that stands still until the test moves it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod answers;
mod attachments;
mod bombs;
mod budgets;
mod commands;
mod crowding;
mod fallbacks;
mod floors;
mod health;
mod house;
mod identity;
mod limits;
mod lists;
mod machines;
mod media;
mod memory;
mod missed;
mod numbers;
mod own_account;
mod own_words;
mod panics;
mod proxies;
mod refusals;
mod resets;
mod schedule;
mod sending;
mod sockets;
mod statuses;
mod supervision;
mod templates;
mod typing;
mod waiting;
mod window;
