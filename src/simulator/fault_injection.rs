//! Injected faults for tests, and counts of calls and webhooks.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::lock;

/// How the simulator fails one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InjectedFault {
    /// 429 with code 20429; nothing is created.
    TooManyRequests {
        /// The whole seconds of `Retry-After`; `None` to send no such header.
        retry_after: Option<Duration>,
    },
    /// 503 with `Retry-After`; nothing is created.
    Unavailable {
        /// The whole seconds of `Retry-After`.
        retry_after: Duration,
    },
    /// 500 with code 20500.
    ServerError {
        /// Whether the message is created nevertheless.
        created: bool,
    },
    /// The connection is cut before the first byte of a response.
    Drop {
        /// Whether the message is created nevertheless.
        created: bool,
    },
    /// There is no response until the caller gives up.
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
    /// The message is accepted and then becomes `undelivered` with this code.
    Undelivered {
        /// Twilio's error code, such as 63024.
        code: u32,
    },
}

impl InjectedFault {
    /// Returns whether the message is created nevertheless.
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

/// An API call that can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiCall {
    /// `POST Messages.json`.
    Send,
    /// `GET Messages.json` and `GET Messages/{sid}.json`.
    Lookup,
    /// `POST Indicators/Typing.json`.
    Typing,
}

/// The queued faults, first in first out for each kind of call.
#[derive(Default)]
pub(super) struct FaultQueue([Mutex<VecDeque<InjectedFault>>; 3]);

impl FaultQueue {
    pub(super) fn push(&self, call: ApiCall, fault: InjectedFault) {
        lock(&self.0[call as usize]).push_back(fault);
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
    /// Calls to send a message, with valid credentials.
    sends,
    /// Messages created by them.
    created,
    /// Calls that listed messages or looked one up.
    lookups,
    /// Calls to show the typing indicator.
    typings,
    /// Calls with invalid credentials.
    unauthorized,
    /// Webhooks posted, including repeats.
    webhooks,
    /// Webhooks that were not answered with a 2xx.
    webhooks_failed,
    /// Status callbacks posted.
    callbacks,
    /// Status callbacks that were not answered with a 2xx.
    callbacks_failed,
}

/// Adds one to a counter.
pub(super) fn increment(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
