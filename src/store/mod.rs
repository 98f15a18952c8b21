//! The store: the only place with SQL.
//!
//! One file per noun, each with its statements as constants beside the functions that map their rows. Every public
//! method is one transaction: it either happened and is durable, or it did not happen. To add a noun: a file with an
//! `impl Store`, a migration, and its promises in `tests/store`. Statements are `const NAME: &str`, so that `plans.rs`
//! finds them and proves that they need no full scan.

mod addresses;
mod alerts;
mod aside;
mod attachments;
mod blocking;
mod budget;
mod by_number;
mod claims;
mod contacts;
mod conversations;
mod crowding;
pub(crate) mod database;
mod drafts;
mod ending;
mod error;
mod files;
mod handover;
mod ids;
mod jobs;
mod left;
mod limits;
mod lock;
mod lookup_claims;
mod merge;
mod messages;
mod missed;
mod notices;
mod operator_messages;
mod outcome;
mod part_claims;
mod parts;
#[cfg(test)]
mod plans;
mod prune;
mod quoted;
mod receive;
mod reception;
mod recovery;
mod reopen;
mod repeats;
mod reply;
mod request;
mod reservations;
mod restrictions;
mod schedule;
mod sealed;
mod settings;
mod short_ids;
mod silence;
mod sqlite;
mod status;
#[cfg(test)]
mod tests;
mod transcript;
mod turns;
mod unknown;
mod webhooks;
mod window;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot, watch};

pub use self::addresses::AddressRow;
pub use self::alerts::Alert;
pub use self::attachments::{Attached, Outcome, Picture};
pub use self::by_number::ByNumber;
pub use self::claims::Claims;
pub use self::conversations::ConversationRow;
pub use self::drafts::Draft;
pub use self::error::StoreError;
pub use self::jobs::{Backlog, JobRow, Revived};
pub use self::left::Left;
pub use self::limits::{PARTS_OF_A_TEXT, SEND_WITHIN};
pub use self::lock::{FolderLock, LockError};
pub use self::lookup_claims::{FIRST_LOOK, UnknownClaim};
pub use self::missed::CaughtUp;
pub use self::operator_messages::Spoken;
pub use self::part_claims::PartClaim;
pub use self::parts::{PartHalved, PartSent};
pub use self::reception::{Accepted, Missed, Received, Reception, Stranger};
pub use self::recovery::Recovered;
pub use self::reply::{HandOver, Replied, Reply};
pub use self::request::Request;
pub use self::reservations::Reservation;
pub use self::schedule::ScheduledJob;
pub use self::settings::stored_settings;
pub use self::status::StatusTaken;
pub use self::transcript::{AttachmentRow, Said, Undelivered};
pub use self::turns::TurnClaim;
pub use self::unknown::Looked;
pub use self::webhooks::WebhookRecord;
pub use self::window::{WindowLine, whole_exchanges};

use self::database::{Database, Job, Tx};
use self::ids::Ids;
use crate::model::{Budgets, ContentSid, Spent};

/// How long a caller waits for a commit. Twilio gives up after 15 s; a 503 in time is better than no answer.
const PATIENCE: Duration = Duration::from_secs(8);

/// Reads at once: as many as there are connections, so that no thread waits for one.
const READS: usize = sqlite::READERS as usize;

/// What the store needs to know of the configuration.
#[derive(Clone, Copy, Debug)]
pub struct StoreOptions {
    /// How long a new turn waits for more of a burst.
    pub merge_window: Duration,
    /// The idle time after which a contact's next message begins a new conversation.
    pub conversation_ttl: Duration,
    /// What the model may cost.
    pub budgets: Budgets,
    /// What a call is reserved with until it is known what it took.
    pub reserve: Spent,
    /// What is sent in place of an answer that came too late for free text; see [`Store::reopening`].
    pub reopen_template: Option<ContentSid>,
}

impl StoreOptions {
    /// Without a budget.
    pub const fn new(merge_window: Duration, conversation_ttl: Duration) -> StoreOptions {
        let reserve = Spent { calls: 1, tokens: 0, micros: 0 };
        StoreOptions { merge_window, conversation_ttl, budgets: Budgets::NONE, reserve, reopen_template: None }
    }
}

/// The database, opened.
#[derive(Clone)]
pub struct Store {
    database: Arc<dyn Database>,
    ids: Arc<Ids>,
    options: StoreOptions,
    templates: ByNumber<Option<ContentSid>>,
    posting: ByNumber<String>,
    patience: Duration,
    reads: Arc<Semaphore>,
    accepting: Arc<AtomicUsize>,
    fatal: watch::Receiver<Option<String>>,
}

impl Store {
    /// Opens the SQLite file at `path`, which is made where it does not exist, and migrates it.
    pub fn open(path: &Path, options: StoreOptions) -> Result<Store, StoreError> {
        let (tell, fatal) = watch::channel(None);
        let database = sqlite::Sqlite::open(path, Arc::new(move |why| drop(tell.send(Some(why)))))?;
        Ok(Store {
            database: Arc::new(database),
            ids: Arc::new(Ids::default()),
            templates: options.reopen_template.into(),
            posting: ByNumber::new(|account, _| account.to_owned()),
            options,
            patience: PATIENCE,
            reads: Arc::new(Semaphore::new(READS)),
            accepting: Arc::default(),
            fatal,
        })
    }

    /// The same where each of our numbers has a template of its own that opens a conversation again, or none.
    #[must_use]
    pub fn reopening(self, templates: ByNumber<Option<ContentSid>>) -> Store {
        Store { templates, ..self }
    }

    /// The same where a number may have been moved to another account than its conversations came through: the one by which it
    /// posts now.
    #[must_use]
    pub fn posting(self, posting: ByNumber<String>) -> Store {
        Store { posting, ..self }
    }

    /// Why nothing can be written at the moment; `None` while all is well.
    pub fn trouble(&self) -> Option<String> {
        self.database.trouble()
    }

    /// How many webhooks wait for their commit at this moment: the measure of a flood.
    pub fn accepting(&self) -> usize {
        self.accepting.load(Ordering::Relaxed)
    }

    /// Waits until the file is found damaged or the disk fails; the reason. The process has to end then.
    pub async fn failed(&self) -> String {
        let mut fatal = self.fatal.clone();
        loop {
            let why = fatal.borrow_and_update().clone();
            if let Some(why) = why {
                return why;
            }
            if fatal.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Runs `work` in a transaction; the answer comes after the commit is on the disk, or after [`PATIENCE`]. It runs again
    /// where a neighbour in the same commit failed, so it changes nothing but the transaction.
    async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&mut dyn Tx) -> Result<T, StoreError> + Send + 'static,
    {
        match tokio::time::timeout(self.patience, self.write_for_good(work)).await {
            Ok(answer) => answer,
            Err(_) => Err(StoreError::Late(self.patience.as_secs())),
        }
    }

    /// The same, and waits as long as it takes: for writes that hand out a token. One that was committed after its
    /// caller had gone would leave work in nobody's hands until the next start.
    async fn write_for_good<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&mut dyn Tx) -> Result<T, StoreError> + Send + 'static,
    {
        let (job, answer) = Asked::boxed(work, true);
        self.database.write(job);
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    /// The same without waiting for the disk, for what a power cut may undo because the next start finds it out: a turn
    /// that is claimed again, a part that is looked for. Halves the flushes of a message.
    async fn write_unflushed<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&mut dyn Tx) -> Result<T, StoreError> + Send + 'static,
    {
        let (job, answer) = Asked::boxed(work, false);
        self.database.write(job);
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Runs `work` in a transaction that only reads.
    async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&mut dyn Tx) -> Result<T, StoreError> + Send + 'static,
    {
        let (job, answer) = Asked::boxed(work, false);
        let _place = self.reads.acquire().await.map_err(|_| StoreError::Closed)?;
        let database = Arc::clone(&self.database);
        tokio::task::spawn_blocking(move || database.read(job)).await.map_err(|_| StoreError::Closed)?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }
}

/// A job with somebody who waits for its answer.
struct Asked<T, F> {
    work: F,
    durable: bool,
    value: Option<T>,
    answer: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Asked<T, F>
where
    T: Send + 'static,
    F: Fn(&mut dyn Tx) -> Result<T, StoreError> + Send + 'static,
{
    fn boxed(work: F, durable: bool) -> (Box<dyn Job>, oneshot::Receiver<Result<T, StoreError>>) {
        let (answer, wait) = oneshot::channel();
        (Box::new(Asked { work, durable, value: None, answer }), wait)
    }
}

impl<T, F> Job for Asked<T, F>
where
    T: Send + 'static,
    F: Fn(&mut dyn Tx) -> Result<T, StoreError> + Send + 'static,
{
    fn durable(&self) -> bool {
        self.durable
    }

    fn run(&mut self, tx: &mut dyn Tx) -> Result<(), StoreError> {
        self.value = Some((self.work)(tx)?);
        Ok(())
    }

    fn finish(self: Box<Self>, outcome: Result<(), StoreError>) {
        let Asked { value, answer, .. } = *self;
        // Whoever asked may have stopped waiting; the work is done all the same.
        drop(answer.send(outcome.and_then(|()| value.ok_or(StoreError::Closed))));
    }
}
