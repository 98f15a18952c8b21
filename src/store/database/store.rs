//! The store: a database, opened, and the two ways to run a transaction on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot, watch};

use super::by_number::ByNumber;
use super::error::StoreError;
use super::ids::IdGenerator;
use super::seam::{Database, Job, Tx};
use crate::model::{Budgets, Charge, ContentSid};

/// How long a caller waits for a commit. Twilio gives up after 15 s; a 503 in time is better than no answer.
pub(in crate::store) const WRITE_TIMEOUT: Duration = Duration::from_secs(8);

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
    pub call_reservation: Charge,
    /// What is sent in place of an answer that came too late for free text; see [`Store::reopening`].
    pub reopen_template: Option<ContentSid>,
}

impl StoreOptions {
    /// Without a budget.
    pub const fn new(merge_window: Duration, conversation_ttl: Duration) -> StoreOptions {
        let call_reservation = Charge { calls: 1, tokens: 0, micros: 0 };
        StoreOptions { merge_window, conversation_ttl, budgets: Budgets::NONE, call_reservation, reopen_template: None }
    }
}

/// The database, opened.
#[derive(Clone)]
pub struct Store {
    pub(in crate::store) database: Arc<dyn Database>,
    pub(in crate::store) ids: Arc<IdGenerator>,
    pub(in crate::store) options: StoreOptions,
    pub(in crate::store) reopen_templates: ByNumber<Option<ContentSid>>,
    pub(in crate::store) posting_accounts: ByNumber<String>,
    pub(in crate::store) write_timeout: Duration,
    pub(in crate::store) read_permits: Arc<Semaphore>,
    pub(in crate::store) uncommitted_webhooks: Arc<AtomicUsize>,
    pub(in crate::store) fatal_errors: watch::Receiver<Option<String>>,
}

impl Store {
    /// A store over a database that runs so many reads at once. `fatal` tells why the database has to be given up.
    pub(in crate::store) fn over(
        database: Arc<dyn Database>,
        reads: usize,
        fatal_errors: watch::Receiver<Option<String>>,
        options: StoreOptions,
    ) -> Store {
        Store {
            database,
            ids: Arc::new(IdGenerator::default()),
            reopen_templates: options.reopen_template.into(),
            posting_accounts: ByNumber::new(|account, _| account.to_owned()),
            options,
            write_timeout: WRITE_TIMEOUT,
            read_permits: Arc::new(Semaphore::new(reads)),
            uncommitted_webhooks: Arc::default(),
            fatal_errors,
        }
    }

    /// The same where each of our numbers has a template of its own that opens a conversation again, or none.
    #[must_use]
    pub fn with_reopen_templates(self, templates: ByNumber<Option<ContentSid>>) -> Store {
        Store { reopen_templates: templates, ..self }
    }

    /// The same where a number may have been moved to another account than its conversations came through: the one by which it
    /// posts now.
    #[must_use]
    pub fn with_posting_accounts(self, posting: ByNumber<String>) -> Store {
        Store { posting_accounts: posting, ..self }
    }

    /// Why nothing can be written at the moment; `None` while all is well.
    pub fn write_error(&self) -> Option<String> {
        self.database.write_error()
    }

    /// How many webhooks wait for their commit at this moment: the measure of a flood.
    pub fn uncommitted_webhooks(&self) -> usize {
        self.uncommitted_webhooks.load(Ordering::Relaxed)
    }

    /// Waits until the file is found damaged or the disk fails; the reason. The process has to end then.
    pub async fn wait_for_fatal_error(&self) -> String {
        let mut fatal = self.fatal_errors.clone();
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
        match tokio::time::timeout(self.write_timeout, self.write_without_timeout(work)).await {
            Ok(answer) => answer,
            Err(_) => Err(StoreError::Timeout(self.write_timeout.as_secs())),
        }
    }

    /// The same, and waits as long as it takes: for writes that hand out a token. One that was committed after its
    /// caller had gone would leave work in nobody's hands until the next start.
    pub(in crate::store) async fn write_without_timeout<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&mut dyn Tx) -> Result<T, StoreError> + Send + 'static,
    {
        let (job, answer) = AwaitedJob::new_with_receiver(work, true);
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
        let (job, answer) = AwaitedJob::new_with_receiver(work, false);
        self.database.write(job);
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Runs `work` in a transaction that only reads.
    pub(in crate::store) async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&mut dyn Tx) -> Result<T, StoreError> + Send + 'static,
    {
        let (job, answer) = AwaitedJob::new_with_receiver(work, false);
        let _place = self.read_permits.acquire().await.map_err(|_| StoreError::Closed)?;
        let database = Arc::clone(&self.database);
        tokio::task::spawn_blocking(move || database.read(job)).await.map_err(|_| StoreError::Closed)?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }
}

/// A job with somebody who waits for its answer.
struct AwaitedJob<T, F> {
    work: F,
    durable: bool,
    value: Option<T>,
    answer: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> AwaitedJob<T, F>
where
    T: Send + 'static,
    F: Fn(&mut dyn Tx) -> Result<T, StoreError> + Send + 'static,
{
    fn new_with_receiver(work: F, durable: bool) -> (Box<dyn Job>, oneshot::Receiver<Result<T, StoreError>>) {
        let (answer, wait) = oneshot::channel();
        (Box::new(AwaitedJob { work, durable, value: None, answer }), wait)
    }
}

impl<T, F> Job for AwaitedJob<T, F>
where
    T: Send + 'static,
    F: Fn(&mut dyn Tx) -> Result<T, StoreError> + Send + 'static,
{
    fn needs_flush(&self) -> bool {
        self.durable
    }

    fn run(&mut self, tx: &mut dyn Tx) -> Result<(), StoreError> {
        self.value = Some((self.work)(tx)?);
        Ok(())
    }

    fn finish(self: Box<Self>, outcome: Result<(), StoreError>) {
        let AwaitedJob { value, answer, .. } = *self;
        // Whoever asked may have stopped waiting; the work is done all the same.
        drop(answer.send(outcome.and_then(|()| value.ok_or(StoreError::Closed))));
    }
}
