//! The worker loop, which claims due work and runs it.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info};

use super::catch_up::CATCH_UP_INTERVAL;
use super::{WorkItem, backups, erasures, perform, schedule, unread_attachments, work_items};
use crate::app::{App, LiveApp};
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
    live: LiveApp,
    /// Slots for all work.
    slots: Slots,
    /// Slots for turns that need a model. There are fewer, so that a model that hangs does not block other work.
    model_slots: Slots,
    tasks: TaskTracker,
    /// Cancels model calls.
    cancel_model_calls: CancellationToken,
}

impl Worker {
    /// Creates a worker. It runs `MYNAH_WORKERS` turns that need a model at once, and a quarter as many further pieces
    /// of work beside them.
    pub fn new(live: impl Into<LiveApp>) -> Worker {
        let live = live.into();
        let workers = live.current().config.work.workers;
        let (slots, model_slots) = (Slots::new(all_slots(workers)), Slots::new(workers));
        Worker { live, slots, model_slots, tasks: TaskTracker::new(), cancel_model_calls: CancellationToken::new() }
    }

    /// Runs until `stop`, then waits for the work in progress.
    pub async fn run(mut self, stop: CancellationToken) {
        let app = self.live.current();
        let mut next_schedule_run = app.clock.now();
        let mut next_catch_up = next_schedule_run + CATCH_UP_INTERVAL;
        let (mut next_attachment_read, mut attachment_reading) = (next_schedule_run, None);
        let (mut next_erasure_check, mut erasure_check) = (next_schedule_run, None);
        let erasures_seen = Arc::new(AtomicI64::new(0));
        let (mut next_backup_check, mut backup) = (next_schedule_run, None);
        let mut catching_up = self.catch_up(app, &stop);
        // If the catch-up is not done by then, it continues in the background.
        drop(tokio::time::timeout(FIRST_CATCH_UP_TIMEOUT, &mut catching_up).await);
        while !stop.is_cancelled() {
            // Everything that this round begins uses one snapshot.
            let app = self.live.current();
            self.slots.resize(all_slots(app.config.work.workers));
            self.model_slots.resize(app.config.work.workers);
            let now = app.clock.now();
            if now >= next_catch_up && catching_up.is_finished() && app.config.work.catch_up_max_age.is_some() {
                next_catch_up = now + CATCH_UP_INTERVAL;
                catching_up = self.catch_up(Arc::clone(&app), &stop);
            }
            if now >= next_attachment_read && attachment_reading.as_ref().is_none_or(JoinHandle::is_finished) {
                next_attachment_read = now + unread_attachments::READ_INTERVAL;
                attachment_reading = Some(self.read_unread_attachments(Arc::clone(&app), &stop));
            }
            if now >= next_erasure_check && erasure_check.as_ref().is_none_or(JoinHandle::is_finished) {
                next_erasure_check = now + erasures::CHECK_INTERVAL;
                erasure_check = Some(self.check_erasures(Arc::clone(&app), Arc::clone(&erasures_seen), &stop));
            }
            if now >= next_backup_check && backup.as_ref().is_none_or(JoinHandle::is_finished) {
                next_backup_check = now + backups::CHECK_INTERVAL;
                backup = Some(self.back_up(Arc::clone(&app), &stop));
            }
            if now >= next_schedule_run {
                next_schedule_run = now + Duration::from_secs(60);
                let app = Arc::clone(&app);
                // In the background, so that the queue does not wait for it.
                self.tasks.spawn(async move {
                    if let Err(error) = schedule::run(&app, false).await {
                        error!(%error, "cannot run the regular jobs");
                    }
                });
            }
            if app.store.write_error().is_some() {
                // Without traffic, nothing else would notice that the database has recovered. The store logs failures.
                drop(app.store.probe_write().await);
            }
            if app.store.uncommitted_webhooks() > WEBHOOK_FLOOD_THRESHOLD {
                tokio::select! { () = tokio::time::sleep(FLOOD_PAUSE) => {}, () = stop.cancelled() => continue }
            }
            let free = self.slots.free().min(MAX_CLAIMED_AT_ONCE);
            if free == 0 {
                tokio::select! {
                    permit = self.slots.semaphore.acquire() => drop(permit),
                    () = stop.cancelled() => {}
                }
                continue;
            }
            let free_model_slots = self.model_slots.free().min(free);
            let claims = match claim(&app, free_model_slots, free).await {
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
            self.spawn_work(&app, claims).await;
            if claimed_all_slots {
                continue;
            }
            let wait = next_due.map_or(POLL, |due| due.since(app.clock.now()).min(POLL));
            tokio::select! {
                () = app.wake.notified() => {}
                () = tokio::time::sleep(wait) => {}
                permit = self.model_slots.semaphore.acquire(), if free_model_slots == 0 => drop(permit),
                () = stop.cancelled() => {}
            }
        }
        self.finish().await;
    }

    /// Catches up with missed messages in the background. A stop or a bug may interrupt it; the next run then starts
    /// over.
    fn catch_up(&self, app: Arc<App>, stop: &CancellationToken) -> JoinHandle<()> {
        let stop = stop.clone();
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
    fn read_unread_attachments(&self, app: Arc<App>, stop: &CancellationToken) -> JoinHandle<()> {
        let stop = stop.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                done = unread_attachments::read_batch(&app) => if let Err(error) = done {
                    error!(%error, "cannot read the attachments of messages that are not answered");
                }
            }
        })
    }

    /// Looks for persons who were erased, in the background.
    fn check_erasures(&self, app: Arc<App>, seen: Arc<AtomicI64>, stop: &CancellationToken) -> JoinHandle<()> {
        let stop = stop.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                done = erasures::check(&app, &seen) => if let Err(error) = done {
                    error!(%error, "cannot finish an erasure; trying again");
                }
            }
        })
    }

    /// Makes a backup if one is due, in the background.
    fn back_up(&self, app: Arc<App>, stop: &CancellationToken) -> JoinHandle<()> {
        let stop = stop.clone();
        self.tasks.spawn(async move {
            if let Err(error) = backups::run_if_due(app, stop).await {
                error!(%error, "cannot record the result of a backup");
            }
        })
    }

    async fn spawn_work(&self, app: &Arc<App>, claims: Claims) {
        for work in work_items(claims) {
            // Claims never exceed the free slots, and only this loop takes them.
            let Ok(slot) = Arc::clone(&self.slots.semaphore).acquire_owned().await else { return };
            // There may be too few model slots: a command is claimed without one, and only later it shows whether a
            // question came with it.
            let place = if may_need_model(&work) {
                Arc::clone(&self.model_slots.semaphore).try_acquire_owned().ok()
            } else {
                None
            };
            let (app, cut) = (Arc::clone(app), self.cancel_model_calls.clone());
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

/// Slots whose number may change while some are taken.
struct Slots {
    semaphore: Arc<Semaphore>,
    size: usize,
    /// How many slots are to be withdrawn as soon as they are given back.
    surplus: usize,
}

impl Slots {
    fn new(size: usize) -> Slots {
        Slots { semaphore: Arc::new(Semaphore::new(size)), size, surplus: 0 }
    }

    fn free(&self) -> usize {
        self.semaphore.available_permits()
    }

    /// Call this in every round: slots that were taken when the number fell are withdrawn when they are free.
    fn resize(&mut self, size: usize) {
        if size > self.size {
            let more = size - self.size;
            let kept = more.min(self.surplus);
            self.surplus -= kept;
            self.semaphore.add_permits(more - kept);
        } else {
            self.surplus += self.size - size;
        }
        self.size = size;
        if self.surplus > 0 {
            self.surplus -= self.semaphore.forget_permits(self.surplus);
        }
    }
}

/// Returns how many slots there are in all if so many turns may call a model at once.
fn all_slots(workers: usize) -> usize {
    workers + workers.div_ceil(4)
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
