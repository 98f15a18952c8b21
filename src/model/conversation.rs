//! Talk with one contact on one of our numbers.

use std::fmt;

use uuid::Uuid;

/// Names a conversation: a UUIDv7, so that ids sort by their beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConversationId(pub Uuid);

impl fmt::Display for ConversationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
