//! Our sender as the provider knows it: whether it is in service, and which address it calls with messages.

/// What the provider's records say about our sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SenderRecord {
    /// The provider has a record of it.
    Registered(RegisteredSender),
    /// The provider has no record of it, so it neither receives nor sends anything.
    Unknown {
        /// What was looked for and not found.
        found: String,
        /// What to do about it.
        remedy: String,
    },
    /// The provider's API shows no record of such a sender. A person sets the address in the provider's console.
    NotShown {
        /// Why there is no record.
        found: String,
        /// Where to set the address, and to what.
        remedy: String,
    },
}

/// A sender with a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisteredSender {
    /// Whether it can receive and send.
    pub online: bool,
    /// The provider's word for its state, with the provider's reasons if it is not online.
    pub state: String,
    /// The address that the provider calls with messages, exactly as it is set there; `None` if none is set.
    pub webhook: Option<String>,
    /// How that address compares with ours.
    pub webhook_match: WebhookMatch,
}

/// How the address that the provider calls compares with ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebhookMatch {
    /// It is ours, with everything that is recommended.
    Ours,
    /// It is ours, but lacks what this sentence says.
    Incomplete(String),
    /// It is another address.
    Elsewhere,
    /// The provider calls no address.
    NotSet,
    /// Our public address is not configured, so there is nothing to compare with.
    NothingToCompare,
}

/// The result of setting the address that the provider calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebhookChange {
    /// The provider had our address already. Nothing was changed.
    Unchanged {
        /// The address.
        address: String,
    },
    /// The provider calls our address from now on.
    Set {
        /// The address that was set.
        address: String,
        /// The address that was set before, if any.
        before: Option<String>,
    },
    /// The provider calls another address, and nothing was changed, because the caller did not allow to overwrite it.
    CallsElsewhere {
        /// That address.
        current: String,
    },
    /// The provider's API cannot do it. Nothing was changed.
    NotPossible {
        /// Why.
        found: String,
        /// How a person does it.
        remedy: String,
    },
}
