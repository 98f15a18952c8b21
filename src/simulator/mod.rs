//! A small Twilio inside the executable, for the demo, the terminal chat and the tests.
//!
//! It works over HTTP: it calls the webhook and answers REST calls as Twilio does. It knows nothing about its caller,
//! so code that works with the simulator works with Twilio. Its behavior follows Twilio's documentation, even where a
//! more friendly behavior would be easier.
//!
//! To add a REST call, add a handler and a route in `api`. To add a fault, add an [`InjectedFault`] and its response in
//! `api::errors::faulty_response`. `page` is the phone as a web page; `phones` holds the messages of each phone.

mod api;
mod callback;
mod fault_injection;
mod inbound;
mod markup;
mod message_log;
mod page;
mod phones;
mod sender;
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
use sender::Sender;

/// The number of changes that a slow subscriber may lag behind before it misses some.
const CHANGE_BUFFER: usize = 1_024;

/// The account and the phone that the simulator has.
#[derive(Clone)]
pub struct SimulatorConfig {
    /// `AC` and 32 hexadecimal digits.
    pub account_sid: String,
    /// The auth token. It signs webhooks and authorizes API calls.
    pub auth_token: SecretString,
    /// An API key's SID and secret, which authorize API calls too.
    pub api_key: Option<(String, SecretString)>,
    /// The business's number, as `+14155238886`.
    pub our_number: String,
    /// The whole URL of the webhook for inbound messages: `http://127.0.0.1:8080/webhooks/twilio`. The Senders API can
    /// change it.
    pub webhook_url: Url,
    /// The clock for the time of every message.
    pub clock: Arc<dyn Clock>,
    /// The delay before each status of a sent message; zero in tests.
    pub status_delay: Duration,
    /// The phone on the web page.
    pub page: PhonePage,
}

impl SimulatorConfig {
    /// Creates a configuration without an API key, in which sent messages are read at once.
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

/// The phone on the web page: its user, and the business that it writes to.
#[derive(Clone, Debug)]
pub struct PhonePage {
    /// The business's name, such as `Blue Door Bakery`.
    pub title: String,
    /// The model that answers, such as `Offline responder: no account, no key`.
    pub responder: String,
    /// Questions offered as buttons until there is a message.
    pub suggestions: Vec<String>,
    /// The number of the phone's user, as `+12025550142`.
    pub contact: String,
    /// The profile name of the phone's user.
    pub profile: String,
}

/// A business named `Test phone`, and a number that is reserved for fiction.
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

/// A small Twilio. Clones share one state.
#[derive(Clone)]
pub struct Simulator {
    inner: Arc<Inner>,
}

struct Inner {
    config: SimulatorConfig,
    client: reqwest::Client,
    message_log: Mutex<MessageLog>,
    phones: Mutex<Phones>,
    sender: Mutex<Sender>,
    fault_queue: FaultQueue,
    counts: Counters,
    changes: broadcast::Sender<PhoneChange>,
    callbacks_muted: AtomicBool,
    tasks: TaskTracker,
    shutdown: CancellationToken,
    /// The installed WhatsApp sender, `XE…`.
    install_sid: String,
    /// The id of this run of the process, for a page that stays open longer.
    run_id: String,
}

impl Simulator {
    /// Creates a simulator without messages.
    pub fn new(config: SimulatorConfig) -> Simulator {
        let tasks = TaskTracker::new();
        // Close the tracker at once, so that `wait_until_idle` ends when the last task has ended.
        tasks.close();
        // Each call has its own timeout. These only limit what that timeout does not cover.
        let client = http::client(Duration::from_secs(16), Duration::from_secs(16), http::AllowedTargets::Any);
        let sender = Sender::calling(&config.webhook_url);
        let inner = Inner {
            config,
            client,
            message_log: Mutex::default(),
            phones: Mutex::default(),
            sender: Mutex::new(sender),
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

    /// Returns the REST API for nesting under any prefix: sending, listing and looking up messages, the typing
    /// indicator, and the sender.
    pub fn api(&self) -> Router {
        api::router(self.clone())
    }

    /// Returns the phone as a web page: `/`, `/send`, `/events` and `/assets/…`.
    pub fn page(&self) -> Router {
        page::router(self.clone())
    }

    /// Returns the last 500 messages on a phone, oldest first. `phone` is `+15551234567`.
    pub fn conversation(&self, phone: &str) -> Vec<Bubble> {
        lock(&self.inner.phones).conversation(phone)
    }

    /// Subscribes to every later change on every phone. A receiver that lags behind by 1,024 changes misses the oldest.
    pub fn subscribe(&self) -> broadcast::Receiver<PhoneChange> {
        self.inner.changes.subscribe()
    }

    /// Makes the next call that sends a message fail like this, after the faults queued before.
    pub fn fail_next(&self, fault: InjectedFault) {
        self.fail_next_call(ApiCall::Send, fault);
    }

    /// Makes the next call of that kind fail like this, after the faults queued before.
    pub fn fail_next_call(&self, call: ApiCall, fault: InjectedFault) {
        self.inner.fault_queue.push(call, fault);
    }

    /// Sets whether status callbacks get lost.
    pub fn mute_callbacks(&self, mute: bool) {
        self.inner.callbacks_muted.store(mute, Ordering::Relaxed);
    }

    /// Sets the address that the sender calls with messages, or none.
    pub fn set_sender_webhook(&self, url: Option<&str>) {
        lock(&self.inner.sender).set_callback_url(url);
    }

    /// Sets the sender's state, such as `OFFLINE`. With an empty state, the account has no such sender.
    pub fn set_sender_state(&self, state: &str) {
        state.clone_into(&mut lock(&self.inner.sender).state);
    }

    /// Returns the sender's webhook object, as the Senders API shows it.
    pub fn sender_webhook(&self) -> serde_json::Value {
        lock(&self.inner.sender).webhook.clone().into()
    }

    /// Returns how often each thing happened.
    pub fn counts(&self) -> Counts {
        self.inner.counts.read()
    }

    /// Waits until every message has its final status and every callback was answered.
    pub async fn wait_until_idle(&self) {
        self.inner.tasks.wait().await;
    }

    /// Ends the open event streams, hanging calls and running deliveries, so that a server can stop.
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

    /// Notifies the subscribers. Without subscribers, changes are not kept.
    fn publish(&self, changes: impl IntoIterator<Item = PhoneChange>) {
        for change in changes {
            // An error means that there are no subscribers.
            let _ = self.inner.changes.send(change);
        }
    }
}

/// Prints only the account, because the configuration holds secrets.
impl fmt::Debug for Simulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulator").field("account_sid", &self.inner.config.account_sid).finish_non_exhaustive()
    }
}

/// Locks a mutex. A poisoned lock is usable, because a holder that panicked leaves nothing half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns sixteen random bytes from the system.
fn random_bytes() -> [u8; 16] {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the system provides random bytes");
    bytes
}
