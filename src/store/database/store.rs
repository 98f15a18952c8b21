//! The store: a database, opened, and the two ways to run a transaction on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot, watch};

use super::by_number::ByNumber;
use super::error::StoreError;
use super::ids::Ids;
use super::seam::{Database, Job, Tx};
use crate::model::{Budgets, ContentSid, Spent};

/// How long a caller waits for a commit. Twilio gives up after 15 s; a 503 in time is better than no answer.
pub(in crate::store) const PATIENCE: Duration = Duration::from_secs(8);

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
    pub(in crate::store) database: Arc<dyn Database>,
    pub(in crate::store) ids: Arc<Ids>,
    pub(in crate::store) options: StoreOptions,
    pub(in crate::store) templates: ByNumber<Option<ContentSid>>,
    pub(in crate::store) posting: ByNumber<String>,
    pub(in crate::store) patience: Duration,
    pub(in crate::store) reads: Arc<Semaphore>,
    pub(in crate::store) accepting: Arc<AtomicUsize>,
    pub(in crate::store) fatal: watch::Receiver<Option<String>>,
}

impl Store {
    /// A store over a database that runs so many reads at once. `fatal` tells why the database has to be given up.
    pub(in crate::store) fn over(
        database: Arc<dyn Database>,
        reads: usize,
        fatal: watch::Receiver<Option<String>>,
        options: StoreOptions,
    ) -> Store {
        Store {
            database,
            ids: Arc::new(Ids::default()),
            templates: options.reopen_template.into(),
            posting: ByNumber::new(|account, _| account.to_owned()),
            options,
            patience: PATIENCE,
            reads: Arc::new(Semaphore::new(reads)),
            accepting: Arc::default(),
            fatal,
        }
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
    pub(in crate::store) async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
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
    pub(in crate::store) async fn write_for_good<T, F>(&self, work: F) -> Result<T, StoreError>
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
    pub(in crate::store) async fn write_unflushed<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&mut dyn Tx) -> Result<T, StoreError> + Send + 'static,
    {
        let (job, answer) = Asked::boxed(work, false);
        self.database.write(job);
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Runs `work` in a transaction that only reads.
    pub(in crate::store) async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
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
