//! Failures of calls to the outside, classified by the code that sees them.
//!
//! A channel or a model provider knows what a status or an error code means, so it decides here whether the call may be
//! repeated. The worker obeys that decision without further checks.

use std::fmt;
use std::time::Duration;

/// Why a call to the outside failed. `why` is for operators: it says what happened and, if known, the provider's code.
/// It never holds a credential and is never shown to a contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is certain that nothing was created, and a later attempt may succeed.
    Retry {
        /// The least time to wait, if the provider gave one.
        retry_after: Option<Duration>,
        /// What happened.
        why: String,
        /// How likely a later attempt is to succeed.
        outlook: RetryOutlook,
    },
    /// The call may or may not have taken effect: look it up before another attempt.
    Unknown {
        /// What happened.
        why: String,
    },
    /// It is certain that nothing was created, because the text is too long for the other side: split it and send the
    /// halves.
    TooLong {
        /// What happened.
        why: String,
    },
    /// It is certain that nothing was created, and a repeat would fail in the same way.
    Fail {
        /// What happened.
        why: String,
        /// Who can fix it.
        owner: FaultOwner,
    },
}

/// How likely another attempt is to succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryOutlook {
    /// The failure usually passes by itself.
    Likely,
    /// The other side did not answer in time.
    Timeout,
    /// The other side reports that it is overloaded. This passes sooner if fewer calls run at once.
    Overload,
    /// The failure seldom passes.
    Unlikely {
        /// After this many attempts in all, whatever made the others fail, the failure is permanent.
        attempts: i64,
    },
    /// The failure passes after a long wait, or once the operator acts. The operator must be alerted.
    NeedsOperator,
}

/// Who or what a permanent failure is due to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultOwner {
    /// This one message: it is refused, malformed, or cannot be answered.
    Message,
    /// The contact cannot be reached or has opted out.
    Contact,
    /// Credentials, balance, or settings: every call fails until the operator acts.
    Operator,
}

impl Fault {
    /// Returns a fault that a later attempt may overcome.
    pub fn retry(why: impl Into<String>) -> Fault {
        Fault::Retry { retry_after: None, why: why.into(), outlook: RetryOutlook::Likely }
    }

    /// Returns a permanent fault.
    pub fn fail(owner: FaultOwner, why: impl Into<String>) -> Fault {
        Fault::Fail { why: why.into(), owner }
    }

    /// Returns a fault with an unknown outcome.
    pub fn unknown(why: impl Into<String>) -> Fault {
        Fault::Unknown { why: why.into() }
    }

    /// Returns what happened, for operators.
    pub fn why(&self) -> &str {
        match self {
            Fault::Retry { why, .. } | Fault::Unknown { why } | Fault::TooLong { why } | Fault::Fail { why, .. } => why,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.why())
    }
}

impl std::error::Error for Fault {}
