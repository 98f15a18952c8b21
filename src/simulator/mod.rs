//! A small Twilio inside the executable, for the demo, the terminal chat, the admin's test phone and the tests.
//!
//! It stands on the far side of HTTP: it calls the webhook as Twilio does and answers the REST calls as Twilio does.
//! It knows nothing of how its caller works, so what runs against it runs against the real one. Behaviour follows
//! Twilio's documents, also where something friendlier would be easier.
//!
//! To add a REST call: a handler in `api`, a route beside the others. To add a fault: a [`Misbehaviour`] and its answer
//! in `api::answer`. The phone that people look at is `page`; what a phone holds is `phones`.

mod api;
mod callback;
mod fault_injection;
mod inbound;
mod markup;
mod message_log;
mod page;
mod phones;
mod sign;
mod status;
#[cfg(test)]
mod tests;
mod view;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

pub use fault_injection::{ApiCall, Counts, InjectedFault};
pub use inbound::{WebhookAnswer, WebhookUnanswered};
pub use phones::{Bubble, PhoneChange};
pub use sign::sign;
pub use status::Status;

use crate::clock::{Clock, Time};
use crate::http;
use fault_injection::{Counters, FaultQueue};
use message_log::MessageLog;
use phones::Phones;

/// Changes that a slow subscriber may lag behind before it misses some.
const CHANGE_BUFFER: usize = 1_024;

/// What the stand-in stands in for.
#[derive(Clone)]
pub struct SimulatorConfig {
    /// `AC` and 32 hexadecimal digits.
    pub account_sid: String,
    /// The auth token: signs webhooks and opens the API.
    pub auth_token: SecretString,
    /// An API key's SID and secret, which open the API as well.
    pub api_key: Option<(String, SecretString)>,
    /// The business's number, as `+14155238886`.
    pub our_number: String,
    /// The webhook of inbound messages, whole: `http://127.0.0.1:8080/webhooks/twilio`.
    pub webhook_url: Url,
    /// Tells the time of every message.
    pub clock: Arc<dyn Clock>,
    /// The pause before each status of a message that was sent; zero in tests.
    pub status_delay: Duration,
    /// The phone on the web page.
    pub page: PhonePage,
}

impl SimulatorConfig {
    /// A stand-in without an API key, whose messages are read at once.
    pub fn new(
        account_sid: impl Into<String>,
        auth_token: impl Into<SecretString>,
        our_number: impl Into<String>,
        webhook_url: Url,
        clock: Arc<dyn Clock>,
    ) -> SimulatorConfig {
        SimulatorConfig {
            account_sid: account_sid.into(),
            auth_token: auth_token.into(),
            api_key: None,
            our_number: our_number.into(),
            webhook_url,
            clock,
            status_delay: Duration::ZERO,
            page: PhonePage::default(),
        }
    }
}

/// The phone on the web page: who holds it, and whom it writes to.
#[derive(Clone, Debug)]
pub struct PhonePage {
    /// The business's name, such as `Blue Door Bakery`.
    pub title: String,
    /// Who answers, such as `Offline responder: no account, no key`.
    pub responder: String,
    /// Questions offered as buttons while nothing was said.
    pub suggestions: Vec<String>,
    /// The number of the person who holds the phone, as `+12025550142`.
    pub contact: String,
    /// The name that this person shows.
    pub profile: String,
}

/// A shop by the name of `Test phone`, and a number that is reserved for fiction.
impl Default for PhonePage {
    fn default() -> PhonePage {
        PhonePage {
            title: "Test phone".to_owned(),
            responder: String::new(),
            suggestions: Vec::new(),
            contact: "+12025550142".to_owned(),
            profile: "Ana".to_owned(),
        }
    }
}

/// A small Twilio. Clones are the same one.
#[derive(Clone)]
pub struct Simulator {
    inner: Arc<Inner>,
}

struct Inner {
    config: SimulatorConfig,
    client: reqwest::Client,
    message_log: Mutex<MessageLog>,
    phones: Mutex<Phones>,
    fault_queue: FaultQueue,
    counts: Counters,
    changes: broadcast::Sender<PhoneChange>,
    callbacks_muted: AtomicBool,
    tasks: TaskTracker,
    shutdown: CancellationToken,
    /// The installed WhatsApp sender, `XE…`.
    install_sid: String,
    /// Names this process's run to a page that outlives it.
    run_id: String,
}

impl Simulator {
    /// A stand-in that has seen no message.
    pub fn new(config: SimulatorConfig) -> Simulator {
        let tasks = TaskTracker::new();
        // Closed at once, so that `settled` ends whenever the last task has.
        tasks.close();
        // Each call carries a time-out of its own; these only bound what that one misses.
        let client = http::client(Duration::from_secs(16), Duration::from_secs(16), http::AllowedTargets::Any);
        let inner = Inner {
            config,
            client,
            message_log: Mutex::default(),
            phones: Mutex::default(),
            fault_queue: FaultQueue::default(),
            counts: Counters::default(),
            changes: broadcast::Sender::new(CHANGE_BUFFER),
            callbacks_muted: AtomicBool::new(false),
            tasks,
            shutdown: CancellationToken::new(),
            install_sid: format!("XE{}", hex::encode(random_bytes())),
            run_id: hex::encode(&random_bytes()[..4]),
        };
        Simulator { inner: Arc::new(inner) }
    }

    /// The REST API, to be nested under any prefix: sending, listing and looking up messages, and the typing indicator.
    pub fn api(&self) -> Router {
        api::router(self.clone())
    }

    /// The phone as a web page: `/`, `/send`, `/events` and `/assets/…`.
    pub fn page(&self) -> Router {
        page::router(self.clone())
    }

    /// All that was said on a phone, oldest first; the last 500 messages. `phone` is `+15551234567`.
    pub fn conversation(&self, phone: &str) -> Vec<Bubble> {
        lock(&self.inner.phones).conversation(phone)
    }

    /// Every change on every phone from now on. A receiver that lags 1,024 changes misses the oldest.
    pub fn subscribe(&self) -> broadcast::Receiver<PhoneChange> {
        self.inner.changes.subscribe()
    }

    /// The next call to send a message fails like this, after those ordered before.
    pub fn fail_next(&self, misbehaviour: InjectedFault) {
        self.fail_next_call(ApiCall::Send, misbehaviour);
    }

    /// The next call of that kind fails like this, after those ordered before.
    pub fn fail_next_call(&self, call: ApiCall, misbehaviour: InjectedFault) {
        self.inner.fault_queue.push(call, misbehaviour);
    }

    /// Whether status callbacks are lost on the way.
    pub fn mute_callbacks(&self, mute: bool) {
        self.inner.callbacks_muted.store(mute, Ordering::Relaxed);
    }

    /// How often each thing happened.
    pub fn counts(&self) -> Counts {
        self.inner.counts.read()
    }

    /// Waits until every message has travelled its way and every callback was answered.
    pub async fn wait_until_idle(&self) {
        self.inner.tasks.wait().await;
    }

    /// Ends the open event streams, calls that hang and messages on their way, so that a server can stop.
    pub fn close(&self) {
        self.inner.shutdown.cancel();
    }

    fn now(&self) -> Time {
        self.inner.config.clock.now()
    }

    fn auth_token(&self) -> &str {
        self.inner.config.auth_token.expose_secret()
    }

    fn our_address(&self) -> String {
        format!("whatsapp:{}", self.inner.config.our_number)
    }

    fn new_sid(&self, prefix: &str) -> String {
        format!("{prefix}{}", hex::encode(random_bytes()))
    }

    fn add_bubble(&self, phone: &str, bubble: Bubble) {
        let (added, stopped) = lock(&self.inner.phones).add_bubble(phone, bubble);
        self.publish([Some(added), stopped].into_iter().flatten());
    }

    /// Tells the subscribers. Without any, nothing is kept.
    fn publish(&self, changes: impl IntoIterator<Item = PhoneChange>) {
        for change in changes {
            // An error means that nobody listens.
            let _ = self.inner.changes.send(change);
        }
    }
}

/// Names the account only: the configuration holds secrets.
impl fmt::Debug for Simulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulator").field("account_sid", &self.inner.config.account_sid).finish_non_exhaustive()
    }
}

/// The lock; a holder that panicked left nothing half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sixteen bytes from the system.
fn random_bytes() -> [u8; 16] {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the system gives random bytes");
    bytes
}
