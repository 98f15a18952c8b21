//! Who may do what on the admin page.

/// The role of an account, from the least to the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AdminRole {
    /// May look at everything and change nothing.
    Viewer,
    /// May also write to contacts and deal with their conversations and messages.
    Operator,
    /// May also change settings, secrets and accounts.
    Owner,
}

impl AdminRole {
    /// All roles, from the least to the most.
    pub const ALL: [AdminRole; 3] = [AdminRole::Viewer, AdminRole::Operator, AdminRole::Owner];

    /// Returns the stored name.
    pub const fn as_str(self) -> &'static str {
        match self {
            AdminRole::Viewer => "viewer",
            AdminRole::Operator => "operator",
            AdminRole::Owner => "owner",
        }
    }

    /// Reads the stored name.
    pub fn parse(text: &str) -> Option<AdminRole> {
        AdminRole::ALL.into_iter().find(|role| role.as_str() == text)
    }
}
