//! Tests of the compiled program, as its operator meets it: started, stopped, killed, started again.
//!
//! Twilio and the model are stand-ins inside the test ([`setup::test_environment`]); the program is a process of its
//! own ([`setup::server_process`]). To add a test: a function in the file of its subject, in four lines or so: a
//! `TestEnvironment`, a `ServerProcess`, messages, and what came of them ([`setup::answer_tally`]). Nothing sleeps for
//! a fixed time: what is awaited is asked for.

mod commands;
mod failures;
mod operating_guide;
mod serving;
mod setup;
