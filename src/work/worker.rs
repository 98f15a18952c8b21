//! The loop that claims what is due and hands it out.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info};

use super::catch_up::EVERY;
use super::{Work, left, perform, pieces, schedule};
use crate::app::App;
use crate::store::{BuiltInRequest, Claims, StoreError};

/// Work of other processes, such as a command, is noticed within this.
const POLL: Duration = Duration::from_secs(1);

/// The most to claim at once: enough to share one commit, few enough to spread over workers.
const GROUP: usize = 64;

/// So many webhooks waiting for their commit are a flood. Twilio gives a webhook up after seconds, while an answer has
/// minutes and costs many times the processor time of an acknowledgement, so new work then begins only now and then.
const FLOOD: usize = 8;

/// How long new work stands back in a flood.
const BREATHER: Duration = Duration::from_millis(100);

/// After a failed claim: the database is in trouble.
const TROUBLE: Duration = Duration::from_secs(1);

/// How long work in progress may go on after a stop before model calls are given back to the queue. A post is never cut
/// short: its outcome would be unknown.
const GRACE: Duration = Duration::from_secs(20);

/// How long a start waits for what was missed, which is answered with what waits already. A provider that does not answer
/// holds nobody up for longer.
const CATCHING_UP: Duration = Duration::from_secs(10);

/// Claims and performs until told to stop.
pub struct Worker {
    app: Arc<App>,
    /// For all work.
    slots: Arc<Semaphore>,
    /// For turns that a model has to answer: fewer, so that a model that hangs does not hold up what needs none.
    answering: Arc<Semaphore>,
    tasks: TaskTracker,
    /// Cuts model calls short.
    cut: CancellationToken,
}

impl Worker {
    /// A worker for the app; `MYNAH_WORKERS` turns are answered by a model at once, and a quarter as many more pieces of
    /// work run beside them.
    pub fn new(app: Arc<App>) -> Worker {
        let workers = app.config.work.workers;
        let slots = Arc::new(Semaphore::new(workers + workers.div_ceil(4)));
        let answering = Arc::new(Semaphore::new(workers));
        Worker { app, slots, answering, tasks: TaskTracker::new(), cut: CancellationToken::new() }
    }

    /// Runs until `stop`, then waits for the work in progress.
    pub async fn run(self, stop: CancellationToken) {
        let mut next_look = self.app.clock.now();
        let mut next_catch_up = next_look + EVERY;
        let (mut next_read, mut reading) = (next_look, None);
        let mut catching_up = self.catch_up(&stop);
        // Whether it is done or not, it goes on beside the queue.
        drop(tokio::time::timeout(CATCHING_UP, &mut catching_up).await);
        while !stop.is_cancelled() {
            let now = self.app.clock.now();
            if now >= next_catch_up && catching_up.is_finished() && self.app.config.work.catch_up.is_some() {
                next_catch_up = now + EVERY;
                catching_up = self.catch_up(&stop);
            }
            if now >= next_read && reading.as_ref().is_none_or(JoinHandle::is_finished) {
                next_read = now + left::EVERY;
                reading = Some(self.read_left(&stop));
            }
            if now >= next_look {
                next_look = now + Duration::from_secs(60);
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
            if self.app.store.uncommitted_webhooks() > FLOOD {
                tokio::select! { () = tokio::time::sleep(BREATHER) => {}, () = stop.cancelled() => continue }
            }
            let free = self.slots.available_permits().min(GROUP);
            if free == 0 {
                tokio::select! {
                    permit = self.slots.acquire() => drop(permit),
                    () = stop.cancelled() => {}
                }
                continue;
            }
            let answers = self.answering.available_permits().min(free);
            let claims = match claim(&self.app, answers, free).await {
                Ok(claims) => claims,
                Err(error) => {
                    error!(%error, "the queue cannot be read");
                    tokio::select! { () = tokio::time::sleep(TROUBLE) => {}, () = stop.cancelled() => {} }
                    continue;
                }
            };
            // With as many turns as there are places for, more may be due: those that need no model.
            let full = claims.len() >= free || (answers > 0 && claims.turns.len() >= answers);
            let next_due = claims.next_due;
            self.hand_out(claims).await;
            if full {
                continue;
            }
            let wait = next_due.map_or(POLL, |due| due.since(self.app.clock.now()).min(POLL));
            tokio::select! {
                () = self.app.wake.notified() => {}
                () = tokio::time::sleep(wait) => {}
                permit = self.answering.acquire(), if answers == 0 => drop(permit),
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
    fn read_left(&self, stop: &CancellationToken) -> JoinHandle<()> {
        let (app, stop) = (Arc::clone(&self.app), stop.clone());
        self.tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                done = left::read(&app) => if let Err(error) = done {
                    error!(%error, "what came with messages that are not answered cannot be read");
                }
            }
        })
    }

    async fn hand_out(&self, claims: Claims) {
        for work in pieces(claims) {
            // Claims never exceed the free slots, and only this loop takes them.
            let Ok(slot) = Arc::clone(&self.slots).acquire_owned().await else { return };
            // More may want one than there are: a word is claimed without, and it shows later whether a question came with it.
            let place = if may_ask(&work) { Arc::clone(&self.answering).try_acquire_owned().ok() } else { None };
            let (app, cut) = (Arc::clone(&self.app), self.cut.clone());
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
            self.cut.cancel();
            self.tasks.wait().await;
        }
    }
}

/// Whether a model may have to be asked.
fn may_ask(work: &Work) -> bool {
    matches!(work, Work::Answer(claim) if claim.request.is_none_or(BuiltInRequest::also_answers_question))
}

async fn claim(app: &App, answers: usize, most: usize) -> Result<Claims, StoreError> {
    // Without a model, turns wait unclaimed.
    let turns = if app.has_a_model() { answers } else { 0 };
    let claims = {
        let _shared = app.claiming.read().await;
        app.store.claim(app.clock.now(), turns, most).await?
    };
    for (part, why) in &claims.given_up {
        error!(%part, why, "not sent, and given up");
    }
    Ok(claims)
}

/// Does everything that is due now, and what falls due meanwhile at a clock that stands still; how many pieces. For
/// tests and for commands that run once.
pub async fn drain(app: &Arc<App>) -> Result<usize, StoreError> {
    let mut pieces_done = 0;
    loop {
        let claims = claim(app, GROUP, GROUP).await?;
        if claims.is_empty() {
            return Ok(pieces_done);
        }
        let mut set = JoinSet::new();
        for work in pieces(claims) {
            let app = Arc::clone(app);
            set.spawn(async move { perform(&app, work, true, &CancellationToken::new()).await });
            pieces_done += 1;
        }
        for outcome in set.join_all().await {
            outcome?;
        }
    }
}
