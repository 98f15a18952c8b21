//! The app from the inside: the real app on a temporary folder, wiremock in the place of Twilio and of the model, and a
//! clock that stands still until the test moves it ([`setup::test_app`]).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod admin;
mod answering;
mod inbound;
mod limits;
mod numbers;
mod people;
mod sending;
mod server;
mod setup;
mod structure;
mod worker;
