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
mod inbound;
mod ledger;
mod markup;
mod misbehaviour;
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

pub use inbound::{Delivered, Unanswered};
pub use misbehaviour::{Call, Counts, Misbehaviour};
pub use phones::{Bubble, Change};
pub use sign::sign;
pub use status::Status;

use crate::clock::{Clock, Time};
use crate::http;
use ledger::Ledger;
use misbehaviour::{Counters, Orders};
use phones::Phones;

/// Changes that a slow subscriber may lag behind before it misses some.
const CHANGES: usize = 1_024;

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
    pub step: Duration,
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
            step: Duration::ZERO,
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
    ledger: Mutex<Ledger>,
    phones: Mutex<Phones>,
    orders: Orders,
    counts: Counters,
    changes: broadcast::Sender<Change>,
    mute: AtomicBool,
    tasks: TaskTracker,
    closed: CancellationToken,
    /// The installed WhatsApp sender, `XE…`.
    install_sid: String,
    /// Names this process's run to a page that outlives it.
    run: String,
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
            ledger: Mutex::default(),
            phones: Mutex::default(),
            orders: Orders::default(),
            counts: Counters::default(),
            changes: broadcast::Sender::new(CHANGES),
            mute: AtomicBool::new(false),
            tasks,
            closed: CancellationToken::new(),
            install_sid: format!("XE{}", hex::encode(random())),
            run: hex::encode(&random()[..4]),
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
        locked(&self.inner.phones).conversation(phone)
    }

    /// Every change on every phone from now on. A receiver that lags 1,024 changes misses the oldest.
    pub fn subscribe(&self) -> broadcast::Receiver<Change> {
        self.inner.changes.subscribe()
    }

    /// The next call to send a message fails like this, after those ordered before.
    pub fn fail_next(&self, misbehaviour: Misbehaviour) {
        self.fail_next_call(Call::Send, misbehaviour);
    }

    /// The next call of that kind fails like this, after those ordered before.
    pub fn fail_next_call(&self, call: Call, misbehaviour: Misbehaviour) {
        self.inner.orders.push(call, misbehaviour);
    }

    /// Whether status callbacks are lost on the way.
    pub fn mute_callbacks(&self, mute: bool) {
        self.inner.mute.store(mute, Ordering::Relaxed);
    }

    /// How often each thing happened.
    pub fn counts(&self) -> Counts {
        self.inner.counts.read()
    }

    /// Waits until every message has travelled its way and every callback was answered.
    pub async fn settled(&self) {
        self.inner.tasks.wait().await;
    }

    /// Ends the open event streams, calls that hang and messages on their way, so that a server can stop.
    pub fn close(&self) {
        self.inner.closed.cancel();
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
        format!("{prefix}{}", hex::encode(random()))
    }

    fn add_bubble(&self, phone: &str, bubble: Bubble) {
        let (added, stopped) = locked(&self.inner.phones).add(phone, bubble);
        self.tell([Some(added), stopped].into_iter().flatten());
    }

    /// Tells the subscribers. Without any, nothing is kept.
    fn tell(&self, changes: impl IntoIterator<Item = Change>) {
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
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sixteen bytes from the system.
fn random() -> [u8; 16] {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the system gives random bytes");
    bytes
}
