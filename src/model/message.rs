//! Messages of a conversation.

use std::fmt;

use uuid::Uuid;

/// The id of a message: a UUIDv7.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId(pub Uuid);

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Who wrote a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The contact.
    User,
    /// The model.
    Assistant,
    /// A person of the business.
    Operator,
}

impl Role {
    /// Returns the stored name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::Operator => "operator",
        }
    }

    /// Reads the stored name.
    pub fn parse(text: &str) -> Option<Role> {
        [Role::User, Role::Assistant, Role::Operator].into_iter().find(|role| role.as_str() == text)
    }
}
