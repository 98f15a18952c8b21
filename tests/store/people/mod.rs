//! One person: what is held on them, and what is left after they were erased.

pub mod erase;
