//! The worker loop, which claims due work and runs it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info};

use super::catch_up::CATCH_UP_INTERVAL;
use super::{WorkItem, perform, schedule, unread_attachments, work_items};
use crate::app::App;
use crate::store::{BuiltInRequest, Claims, StoreError};

/// How often the worker looks for work from other processes, such as commands.
const POLL: Duration = Duration::from_secs(1);

/// The most work to claim at once. It shares one commit, but must leave work for other workers.
const MAX_CLAIMED_AT_ONCE: usize = 64;

/// With more webhooks than this waiting for their commit, the worker slows down. Twilio gives a webhook up after
/// seconds, while an answer has minutes and costs many times the processor time of an acknowledgment.
const WEBHOOK_FLOOD_THRESHOLD: usize = 8;

/// How long the worker pauses before each claim in such a flood of webhooks.
const FLOOD_PAUSE: Duration = Duration::from_millis(100);

/// The wait after a failed claim, which means that the database is in trouble.
const CLAIM_RETRY_DELAY: Duration = Duration::from_secs(1);

/// How long work in progress may continue after a stop. Then model calls are canceled and their turns return to the
/// queue. A post is never canceled, because its outcome would be unknown.
const GRACE: Duration = Duration::from_secs(20);

/// How long the worker waits for the first catch-up, so that missed messages are answered together with those that wait
/// already. A provider that does not answer delays the start no longer than this.
const FIRST_CATCH_UP_TIMEOUT: Duration = Duration::from_secs(10);

/// Claims and runs work until it is stopped.
pub struct Worker {
    app: Arc<App>,
    /// Slots for all work.
    slots: Arc<Semaphore>,
    /// Slots for turns that need a model. There are fewer, so that a model that hangs does not block other work.
    model_slots: Arc<Semaphore>,
    tasks: TaskTracker,
    /// Cancels model calls.
    cancel_model_calls: CancellationToken,
}

impl Worker {
    /// Creates a worker. It runs `MYNAH_WORKERS` turns that need a model at once, and a quarter as many further pieces
    /// of work beside them.
    pub fn new(app: Arc<App>) -> Worker {
        let workers = app.config.work.workers;
        let slots = Arc::new(Semaphore::new(workers + workers.div_ceil(4)));
        let model_slots = Arc::new(Semaphore::new(workers));
        Worker { app, slots, model_slots, tasks: TaskTracker::new(), cancel_model_calls: CancellationToken::new() }
    }

    /// Runs until `stop`, then waits for the work in progress.
    pub async fn run(self, stop: CancellationToken) {
        let mut next_schedule_run = self.app.clock.now();
        let mut next_catch_up = next_schedule_run + CATCH_UP_INTERVAL;
        let (mut next_attachment_read, mut attachment_reading) = (next_schedule_run, None);
        let mut catching_up = self.catch_up(&stop);
        // If the catch-up is not done by then, it continues in the background.
        drop(tokio::time::timeout(FIRST_CATCH_UP_TIMEOUT, &mut catching_up).await);
        while !stop.is_cancelled() {
            let now = self.app.clock.now();
            if now >= next_catch_up && catching_up.is_finished() && self.app.config.work.catch_up_max_age.is_some() {
                next_catch_up = now + CATCH_UP_INTERVAL;
                catching_up = self.catch_up(&stop);
            }
            if now >= next_attachment_read && attachment_reading.as_ref().is_none_or(JoinHandle::is_finished) {
                next_attachment_read = now + unread_attachments::READ_INTERVAL;
                attachment_reading = Some(self.read_unread_attachments(&stop));
            }
            if now >= next_schedule_run {
                next_schedule_run = now + Duration::from_secs(60);
                let app = Arc::clone(&self.app);
                // In the background, so that the queue does not wait for it.
                self.tasks.spawn(async move {
                    if let Err(error) = schedule::run(&app, false).await {
                        error!(%error, "cannot run the regular jobs");
                    }
                });
            }
            if self.app.store.write_error().is_some() {
                // Without traffic, nothing else would notice that the database has recovered. The store logs failures.
                drop(self.app.store.probe_write().await);
            }
            if self.app.store.uncommitted_webhooks() > WEBHOOK_FLOOD_THRESHOLD {
                tokio::select! { () = tokio::time::sleep(FLOOD_PAUSE) => {}, () = stop.cancelled() => continue }
            }
            let free = self.slots.available_permits().min(MAX_CLAIMED_AT_ONCE);
            if free == 0 {
                tokio::select! {
                    permit = self.slots.acquire() => drop(permit),
                    () = stop.cancelled() => {}
                }
                continue;
            }
            let free_model_slots = self.model_slots.available_permits().min(free);
            let claims = match claim(&self.app, free_model_slots, free).await {
                Ok(claims) => claims,
                Err(error) => {
                    error!(%error, "cannot claim work from the queue");
                    tokio::select! { () = tokio::time::sleep(CLAIM_RETRY_DELAY) => {}, () = stop.cancelled() => {} }
                    continue;
                }
            };
            // If every model slot got a turn, work that needs no model may still be due.
            let claimed_all_slots =
                claims.len() >= free || (free_model_slots > 0 && claims.turns.len() >= free_model_slots);
            let next_due = claims.next_due;
            self.spawn_work(claims).await;
            if claimed_all_slots {
                continue;
            }
            let wait = next_due.map_or(POLL, |due| due.since(self.app.clock.now()).min(POLL));
            tokio::select! {
                () = self.app.wake.notified() => {}
                () = tokio::time::sleep(wait) => {}
                permit = self.model_slots.acquire(), if free_model_slots == 0 => drop(permit),
                () = stop.cancelled() => {}
            }
        }
        self.finish().await;
    }

    /// Catches up with missed messages in the background. A stop or a bug may interrupt it; the next run then starts
    /// over.
    fn catch_up(&self, stop: &CancellationToken) -> JoinHandle<()> {
        let (app, stop) = (Arc::clone(&self.app), stop.clone());
        self.tasks.spawn(async move {
            if app.channels().next().is_none() {
                return;
            }
            tokio::select! {
                () = stop.cancelled() => {}
                done = schedule::catch_up(&app) => if let Err(error) = done {
                    error!(%error, "cannot record the result of the catch-up");
                }
            }
        })
    }

    /// Reads the attachments of messages that are not answered, in the background.
    fn read_unread_attachments(&self, stop: &CancellationToken) -> JoinHandle<()> {
        let (app, stop) = (Arc::clone(&self.app), stop.clone());
        self.tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                done = unread_attachments::read_batch(&app) => if let Err(error) = done {
                    error!(%error, "cannot read the attachments of messages that are not answered");
                }
            }
        })
    }

    async fn spawn_work(&self, claims: Claims) {
        for work in work_items(claims) {
            // Claims never exceed the free slots, and only this loop takes them.
            let Ok(slot) = Arc::clone(&self.slots).acquire_owned().await else { return };
            // There may be too few model slots: a command is claimed without one, and only later it shows whether a
            // question came with it.
            let place =
                if may_need_model(&work) { Arc::clone(&self.model_slots).try_acquire_owned().ok() } else { None };
            let (app, cut) = (Arc::clone(&self.app), self.cancel_model_calls.clone());
            self.tasks.spawn(async move {
                if let Err(error) = perform(&app, work, place.is_some(), &cut).await {
                    error!(%error, "work can be neither recorded nor requeued; the next start recovers it");
                }
                drop((slot, place));
            });
        }
    }

    async fn finish(self) {
        self.tasks.close();
        if !self.tasks.is_empty() {
            info!(pieces = self.tasks.len(), "waiting for work in progress");
        }
        if tokio::time::timeout(GRACE, self.tasks.wait()).await.is_err() {
            self.cancel_model_calls.cancel();
            self.tasks.wait().await;
        }
    }
}

/// Returns whether the work may need a model.
fn may_need_model(work: &WorkItem) -> bool {
    matches!(work, WorkItem::Answer(claim) if claim.request.is_none_or(BuiltInRequest::also_answers_question))
}

async fn claim(app: &App, model_slots: usize, max_items: usize) -> Result<Claims, StoreError> {
    // If no number has a model, no turns that need one are claimed.
    let turns = if app.has_any_model() { model_slots } else { 0 };
    let claims = {
        let _shared = app.claim_lock.read().await;
        app.store.claim(app.clock.now(), turns, max_items).await?
    };
    for (part, why) in &claims.given_up {
        error!(%part, why, "the part was not sent and is given up");
    }
    Ok(claims)
}

/// Runs all work that is due, and work that becomes due meanwhile. With a clock that stands still, this ends. Returns
/// how many pieces of work it ran. For tests and for commands that run once.
pub async fn run_until_idle(app: &Arc<App>) -> Result<usize, StoreError> {
    let mut pieces_done = 0;
    loop {
        let claims = claim(app, MAX_CLAIMED_AT_ONCE, MAX_CLAIMED_AT_ONCE).await?;
        if claims.is_empty() {
            return Ok(pieces_done);
        }
        let mut set = JoinSet::new();
        for work in work_items(claims) {
            let app = Arc::clone(app);
            set.spawn(async move { perform(&app, work, true, &CancellationToken::new()).await });
            pieces_done += 1;
        }
        for outcome in set.join_all().await {
            outcome?;
        }
    }
}
