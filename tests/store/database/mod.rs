//! What holds for every write: many at once, each answered after its commit.

pub mod concurrent_writes;
