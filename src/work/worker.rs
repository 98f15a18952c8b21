//! The loop that claims what is due and hands it out.

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

/// Work of other processes, such as a command, is noticed within this.
const POLL: Duration = Duration::from_secs(1);

/// The most to claim at once: enough to share one commit, few enough to spread over workers.
const MAX_CLAIMED_AT_ONCE: usize = 64;

/// So many webhooks waiting for their commit are a flood. Twilio gives a webhook up after seconds, while an answer has
/// minutes and costs many times the processor time of an acknowledgement, so new work then begins only now and then.
const WEBHOOK_FLOOD_THRESHOLD: usize = 8;

/// How long new work stands back in a flood.
const FLOOD_PAUSE: Duration = Duration::from_millis(100);

/// After a failed claim: the database is in trouble.
const CLAIM_RETRY_DELAY: Duration = Duration::from_secs(1);

/// How long work in progress may go on after a stop before model calls are given back to the queue. A post is never cut
/// short: its outcome would be unknown.
const GRACE: Duration = Duration::from_secs(20);

/// How long a start waits for what was missed, which is answered with what waits already. A provider that does not answer
/// holds nobody up for longer.
const FIRST_CATCH_UP_TIMEOUT: Duration = Duration::from_secs(10);

/// Claims and performs until told to stop.
pub struct Worker {
    app: Arc<App>,
    /// For all work.
    slots: Arc<Semaphore>,
    /// For turns that a model has to answer: fewer, so that a model that hangs does not hold up what needs none.
    model_slots: Arc<Semaphore>,
    tasks: TaskTracker,
    /// Cuts model calls short.
    cancel_model_calls: CancellationToken,
}

impl Worker {
    /// A worker for the app; `MYNAH_WORKERS` turns are answered by a model at once, and a quarter as many more pieces of
    /// work run beside them.
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
        // Whether it is done or not, it goes on beside the queue.
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
                // Beside the queue, which need not wait for it.
                self.tasks.spawn(async move {
                    if let Err(error) = schedule::run(&app, false).await {
                        error!(%error, "the regular jobs could not be run");
                    }
                });
            }
            if self.app.store.write_error().is_some() {
                // Without traffic nothing else would notice that the trouble has passed. A failure is told by the store.
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
                    error!(%error, "the queue cannot be read");
                    tokio::select! { () = tokio::time::sleep(CLAIM_RETRY_DELAY) => {}, () = stop.cancelled() => {} }
                    continue;
                }
            };
            // With as many turns as there are places for, more may be due: those that need no model.
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

    /// Looks for missed messages, beside the queue. One that is cut off by a stop or a defect is followed by another.
    fn catch_up(&self, stop: &CancellationToken) -> JoinHandle<()> {
        let (app, stop) = (Arc::clone(&self.app), stop.clone());
        self.tasks.spawn(async move {
            if app.channels().next().is_none() {
                return;
            }
            tokio::select! {
                () = stop.cancelled() => {}
                done = schedule::catch_up(&app) => if let Err(error) = done {
                    error!(%error, "it cannot be recorded how the look for missed messages went");
                }
            }
        })
    }

    /// Reads what came with messages that are not answered, beside the queue.
    fn read_unread_attachments(&self, stop: &CancellationToken) -> JoinHandle<()> {
        let (app, stop) = (Arc::clone(&self.app), stop.clone());
        self.tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                done = unread_attachments::read_batch(&app) => if let Err(error) = done {
                    error!(%error, "what came with messages that are not answered cannot be read");
                }
            }
        })
    }

    async fn spawn_work(&self, claims: Claims) {
        for work in work_items(claims) {
            // Claims never exceed the free slots, and only this loop takes them.
            let Ok(slot) = Arc::clone(&self.slots).acquire_owned().await else { return };
            // More may want one than there are: a word is claimed without, and it shows later whether a question came with it.
            let place =
                if may_need_model(&work) { Arc::clone(&self.model_slots).try_acquire_owned().ok() } else { None };
            let (app, cut) = (Arc::clone(&self.app), self.cancel_model_calls.clone());
            self.tasks.spawn(async move {
                if let Err(error) = perform(&app, work, place.is_some(), &cut).await {
                    error!(%error, "a piece of work can be neither recorded nor given back; the next start takes it over");
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

/// Whether a model may have to be asked.
fn may_need_model(work: &WorkItem) -> bool {
    matches!(work, WorkItem::Answer(claim) if claim.request.is_none_or(BuiltInRequest::also_answers_question))
}

async fn claim(app: &App, model_slots: usize, max_items: usize) -> Result<Claims, StoreError> {
    // Without a model, turns wait unclaimed.
    let turns = if app.has_any_model() { model_slots } else { 0 };
    let claims = {
        let _shared = app.claim_lock.read().await;
        app.store.claim(app.clock.now(), turns, max_items).await?
    };
    for (part, why) in &claims.given_up {
        error!(%part, why, "not sent, and given up");
    }
    Ok(claims)
}

/// Does everything that is due now, and what falls due meanwhile at a clock that stands still; how many pieces. For
/// tests and for commands that run once.
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
