//! Probes: signed requests that `mynah check` sends to the public address as Twilio would, and that a running `serve`
//! recognizes, does not store, and answers with what arrived. So `check` can say what a proxy changed on the way.
//!
//! A probe is recognized by a header with a MAC of this installation ([`pass`]), not by its address or its signature,
//! because these are what a proxy may change. Whoever has no such pass learns nothing: their request is treated like any
//! other. One thing is told to whoever can sign as the provider does: the id of the installation, so that `check` can
//! say that another mynah answers.

mod answer;
mod comparison;
mod pass;
mod report;
mod request;
mod sending;

pub(super) use self::answer::answer_probe;
pub use self::answer::answer_probes;
pub(super) use self::comparison::{Change, changes};
pub(super) use self::report::ProbeReport;
pub(super) use self::request::ProbeRequest;
pub(super) use self::sending::{CLAIMED_CLIENT, OtherAnswer, ProbeSender, Reply, Unsent};
