//! Tests of the compiled program, as its operator meets it: started, stopped, killed, started again.
//!
//! Twilio and the model are stand-ins inside the test ([`world`]); the program is a process of its own ([`server`]). To
//! add a test: a function in the file of its subject, in four lines or so: a [`world::World`], a [`server::Server`],
//! messages, and what came of them ([`tally`]). Nothing sleeps for a fixed time: what is awaited is asked for.

mod tally;
mod wait;

mod schedule;
mod server;
mod world;

mod alerts;
mod beside;
mod chat;
mod damage;
mod demo;
mod desk;
mod durable;
#[cfg(feature = "failpoints")]
mod failpoints;
mod full_disk;
#[cfg(feature = "failpoints")]
mod kills;
mod numbers;
mod outage;
mod private;
mod reading;
mod settings;
mod short_ids;
mod statuses;
mod stopping;
mod talk;
mod unconfigured;
