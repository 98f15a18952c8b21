//! What went wrong outside, judged by whoever saw it.
//!
//! A channel or a provider knows what a status or an error code means, so it decides here whether the call may be
//! repeated. The worker obeys and asks nothing more.

use std::fmt;
use std::time::Duration;

/// Why a call to the outside did not give what was asked. `why` is for operators: it says what happened and, where it
/// is known, the provider's code; it never holds a credential and is never shown to a contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Positively nothing was created, and a later try may succeed.
    Retry {
        /// The least time to wait, where the provider named one.
        retry_after: Option<Duration>,
        /// What happened.
        why: String,
        /// What may be hoped of the later try.
        outlook: RetryOutlook,
    },
    /// It may or may not have taken effect: look it up before another try.
    Unknown {
        /// What happened.
        why: String,
    },
    /// Positively nothing was created because the text is too long for the other side: split it and send the halves.
    TooLong {
        /// What happened.
        why: String,
    },
    /// Positively nothing was created, and a repeat would fail alike.
    Fail {
        /// What happened.
        why: String,
        /// Who can mend it.
        owner: FaultOwner,
    },
}

/// What may be hoped of another try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryOutlook {
    /// What failed mostly passes by itself.
    Likely,
    /// The other side did not answer in time.
    Timeout,
    /// The other side has too much to do, and says so: it passes sooner where fewer ask at once.
    Overload,
    /// It seldom passes.
    Unlikely {
        /// After so many attempts in all, whatever the others failed of, the failure is permanent.
        attempts: i64,
    },
    /// It passes after a long wait, or once the operator acts, who has to know.
    NeedsOperator,
}

/// Whose doing a permanent failure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultOwner {
    /// This one message: refused, malformed, unanswerable.
    Message,
    /// The contact cannot be reached or has opted out.
    Contact,
    /// Credentials, balance, settings: everything fails until the operator acts.
    Operator,
}

impl Fault {
    /// A failure that a later try may overcome.
    pub fn retry(why: impl Into<String>) -> Fault {
        Fault::Retry { retry_after: None, why: why.into(), outlook: RetryOutlook::Likely }
    }

    /// A permanent failure.
    pub fn fail(owner: FaultOwner, why: impl Into<String>) -> Fault {
        Fault::Fail { why: why.into(), owner }
    }

    /// An outcome that is not known.
    pub fn unknown(why: impl Into<String>) -> Fault {
        Fault::Unknown { why: why.into() }
    }

    /// What happened, for operators.
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
