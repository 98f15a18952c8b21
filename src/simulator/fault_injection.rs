//! Faults on order, for tests, and counts of what was asked.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::lock;

/// How the stand-in fails one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InjectedFault {
    /// 429 with code 20429; nothing is created.
    TooManyRequests {
        /// Whole seconds for `Retry-After`, where it is sent.
        retry_after: Option<Duration>,
    },
    /// 503 with `Retry-After`; nothing is created.
    Unavailable {
        /// Whole seconds.
        retry_after: Duration,
    },
    /// 500 with code 20500.
    ServerError {
        /// Whether the message is created nevertheless.
        created: bool,
    },
    /// The connection is cut before a byte of an answer.
    Drop {
        /// Whether the message is created nevertheless.
        created: bool,
    },
    /// No answer until the caller gives up.
    Hang {
        /// Whether the message is created nevertheless.
        created: bool,
    },
    /// 400 with this code; nothing is created.
    Refuse {
        /// Twilio's error code, such as 63016.
        code: u32,
    },
    /// 401 with code 20003.
    Unauthorized,
    /// The message is taken, and then `undelivered` with this code.
    Undelivered {
        /// Twilio's error code, such as 63024.
        code: u32,
    },
}

impl InjectedFault {
    /// Whether a message comes into being all the same.
    pub(super) fn creates_message(&self) -> bool {
        matches!(
            self,
            InjectedFault::ServerError { created: true }
                | InjectedFault::Drop { created: true }
                | InjectedFault::Hang { created: true }
                | InjectedFault::Undelivered { .. }
        )
    }
}

/// A call of the API that can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiCall {
    /// `POST Messages.json`.
    Send,
    /// `GET Messages.json` and `GET Messages/{sid}.json`.
    Lookup,
    /// `POST Indicators/Typing.json`.
    Typing,
}

/// The faults that were ordered, first come first served per call.
#[derive(Default)]
pub(super) struct FaultQueue([Mutex<VecDeque<InjectedFault>>; 3]);

impl FaultQueue {
    pub(super) fn push(&self, call: ApiCall, misbehaviour: InjectedFault) {
        lock(&self.0[call as usize]).push_back(misbehaviour);
    }

    pub(super) fn take(&self, call: ApiCall) -> Option<InjectedFault> {
        lock(&self.0[call as usize]).pop_front()
    }
}

macro_rules! counts {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// How often each thing happened since the start.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Counts { $($(#[$doc])* pub $name: u64),* }

        #[derive(Default)]
        pub(super) struct Counters { $(pub(super) $name: AtomicU64),* }

        impl Counters {
            pub(super) fn read(&self) -> Counts {
                Counts { $($name: self.$name.load(Ordering::Relaxed)),* }
            }
        }
    };
}

counts! {
    /// Calls to send a message, with right credentials.
    sends,
    /// Messages created by them.
    created,
    /// Calls that listed messages or looked one up.
    lookups,
    /// Calls to show the typing dots.
    typings,
    /// Calls with wrong credentials.
    unauthorized,
    /// Webhooks posted, repeats included.
    webhooks,
    /// Of these, the ones without a 2xx.
    webhooks_failed,
    /// Status callbacks posted.
    callbacks,
    /// Of these, the ones without a 2xx.
    callbacks_failed,
}

/// Counts one.
pub(super) fn increment(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
