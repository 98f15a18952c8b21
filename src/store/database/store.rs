//! The opened database, and the ways to run a transaction on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot, watch};

use super::erasure_key::ErasureKey;
use super::error::StoreError;
use super::ids::IdGenerator;
use super::open_alerts::OpenAlerts;
use super::per_number::PerNumber;
use super::seam::{Database, DatabaseSize, Job, Tx};
use crate::model::{Budgets, Charge, ContentSid};

/// How long a caller waits for a commit. Twilio gives up after 15 s, and a 503 in time is better than no answer.
pub(in crate::store) const WRITE_TIMEOUT: Duration = Duration::from_secs(8);

/// The settings that the store needs.
#[derive(Clone, Copy, Debug)]
pub struct StoreOptions {
    /// The merge window: how long a new turn waits for more messages of a burst.
    pub merge_window: Duration,
    /// The idle time after which a contact's next message starts a new conversation.
    pub conversation_ttl: Duration,
    /// The limits on what the model may cost.
    pub budgets: Budgets,
    /// The amount that is reserved for a call until its cost is known.
    pub call_reservation: Charge,
    /// The template that is sent in place of an answer that came too late for free text.
    /// [`Store::with_reopen_templates`] sets one for each number.
    pub reopen_template: Option<ContentSid>,
}

impl StoreOptions {
    /// Creates options without a budget and without a template.
    pub const fn new(merge_window: Duration, conversation_ttl: Duration) -> StoreOptions {
        let call_reservation = Charge { calls: 1, tokens: 0, micros: 0 };
        StoreOptions { merge_window, conversation_ttl, budgets: Budgets::NONE, call_reservation, reopen_template: None }
    }
}

/// The opened database.
#[derive(Clone)]
pub struct Store {
    pub(in crate::store) database: Arc<dyn Database>,
    pub(in crate::store) ids: Arc<IdGenerator>,
    pub(in crate::store) options: StoreOptions,
    pub(in crate::store) reopen_templates: PerNumber<Option<ContentSid>>,
    pub(in crate::store) posting_accounts: PerNumber<String>,
    pub(in crate::store) erasure_key: Option<ErasureKey>,
    pub(in crate::store) write_timeout: Duration,
    pub(in crate::store) read_permits: Arc<Semaphore>,
    pub(in crate::store) uncommitted_webhooks: Arc<AtomicUsize>,
    pub(in crate::store) fatal_errors: watch::Receiver<Option<String>>,
    pub(in crate::store) open_alerts: OpenAlerts,
}

impl Store {
    /// Creates a store over a database that runs `reads` reads at once. `fatal_errors` receives the reason when the
    /// database can no longer be used.
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
            posting_accounts: PerNumber::new(|account, _| account.to_owned()),
            erasure_key: None,
            options,
            write_timeout: WRITE_TIMEOUT,
            read_permits: Arc::new(Semaphore::new(reads)),
            uncommitted_webhooks: Arc::default(),
            fatal_errors,
            open_alerts: OpenAlerts::default(),
        }
    }

    /// Sets other options, for this value and its clones. The database is the same.
    #[must_use]
    pub fn with_options(self, options: StoreOptions) -> Store {
        Store { options, reopen_templates: options.reopen_template.into(), ..self }
    }

    /// Sets the template of each of our numbers that reopens a conversation. A number may have none.
    #[must_use]
    pub fn with_reopen_templates(self, templates: PerNumber<Option<ContentSid>>) -> Store {
        Store { reopen_templates: templates, ..self }
    }

    /// Sets the account by which each number posts now. It differs from the account that a conversation came through if
    /// the number was moved to another account since.
    #[must_use]
    pub fn with_posting_accounts(self, posting: PerNumber<String>) -> Store {
        Store { posting_accounts: posting, ..self }
    }

    /// Sets the key under which erased persons are recognized. Without it nobody can be erased, and a message of an
    /// erased person is one of a new contact.
    #[must_use]
    pub fn with_erasure_key(self, key: ErasureKey) -> Store {
        Store { erasure_key: Some(key), ..self }
    }

    /// Empties the log of recent changes, in which older versions of rows stand. Returns `false` if others used it for
    /// too long.
    pub async fn empty_log(&self) -> Result<bool, StoreError> {
        let database = Arc::clone(&self.database);
        tokio::task::spawn_blocking(move || database.empty_log()).await.map_err(|_| StoreError::Closed)?
    }

    /// Writes all rows into new pages, so that no byte of a deleted row is left in the database. Everybody who writes
    /// waits meanwhile.
    pub async fn rewrite(&self) -> Result<(), StoreError> {
        let database = Arc::clone(&self.database);
        tokio::task::spawn_blocking(move || database.rewrite()).await.map_err(|_| StoreError::Closed)?
    }

    /// Returns why nothing can be written at the moment; `None` while writes work.
    pub fn write_error(&self) -> Option<String> {
        self.database.write_error()
    }

    /// Returns how much space the database takes; `None` if that is not known.
    pub fn size(&self) -> Option<DatabaseSize> {
        self.database.size()
    }

    /// Returns how many webhooks wait for their commit at this moment, which shows whether mynah is flooded.
    pub fn uncommitted_webhooks(&self) -> usize {
        self.uncommitted_webhooks.load(Ordering::Relaxed)
    }

    /// Waits until the file turns out to be damaged or the disk fails, and returns the reason. The process must then
    /// end.
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

    /// Runs `work` in a transaction. Returns after the commit is on the disk, or after [`WRITE_TIMEOUT`]. `work` runs
    /// again if another job in the same commit failed, so it must change nothing but the transaction.
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

    /// Like [`Store::write`], but waits as long as it takes. This is for writes that hand out a token: if such a write
    /// were committed after its caller had given up, nobody would own that work until the next start.
    pub(in crate::store) async fn write_without_timeout<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&mut dyn Tx) -> Result<T, StoreError> + Send + 'static,
    {
        let (job, answer) = AwaitedJob::new_with_receiver(work, true);
        self.database.write(job);
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Like [`Store::write_without_timeout`], but does not wait for the disk. This is for writes that a power cut may
    /// undo, because the next start makes up for them: a turn is claimed again, a part is looked up. It halves the
    /// flushes for each message.
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

/// A job with a caller that waits for its result.
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
        // The caller may have stopped waiting. The work is done anyway.
        drop(answer.send(outcome.and_then(|()| value.ok_or(StoreError::Closed))));
    }
}
