//! Turns: when they are due, claimed, retried, given up, recovered after a crash, and discarded; how repeated texts are
//! counted. [`random_walk`] takes random steps through all of that and checks the invariants after each.

pub mod deadlines;
pub mod jobs;
pub mod loop_detection;
pub mod random_walk;
mod random_walk_invariants;
pub mod recovery;
pub mod turns;
