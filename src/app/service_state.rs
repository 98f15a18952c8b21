//! The metrics of the app, with its state at this moment.

use std::path::PathBuf;
use std::time::Duration;

use super::App;
use crate::clock::Time;
use crate::metrics::{CircuitState, JobState, QueueState, ServiceState};
use crate::model::TurnState;
use crate::store::{QueueStatistics, ScheduledJob, StoreError};

/// How long the state counts as fresh. More frequent scrapes do not read the database again.
const STATE_LIFETIME: Duration = Duration::from_secs(1);

impl App {
    /// Returns all metrics in the classic text format of Prometheus.
    pub async fn metrics_text(&self) -> String {
        let mut last = self.metrics.last_state.lock().await;
        let now = self.clock.now();
        // A state from the future was read before the clock was set back.
        if let Some((_, state)) = last.as_ref().filter(|(at, _)| *at <= now && now.since(*at) < STATE_LIFETIME) {
            return self.metrics.render(state);
        }
        let state = self.service_state(now).await;
        let text = self.metrics.render(&state);
        *last = Some((now, state));
        text
    }

    /// Returns the name of the model that transcribes voice notes; `None` if nothing does.
    pub fn transcription_model(&self) -> Option<&str> {
        self.config.media.transcription.as_ref().map(|transcription| transcription.model.as_str())
    }

    async fn service_state(&self, now: Time) -> ServiceState {
        let read = self.read_queue_and_jobs().await;
        if let Err(error) = &read {
            tracing::warn!(%error, "cannot read the state of the queue for the metrics");
        }
        let database_is_up = read.is_ok() && self.store.write_error().is_none();
        let (queue, jobs) = read.ok().unzip();
        let (store, folder) = (self.store.clone(), self.config.data.dir.clone());
        // A network drive may take long to answer.
        let disk = tokio::task::spawn_blocking(move || (store.size(), disk_space(folder))).await;
        let (database, disk) = disk.unwrap_or_default();
        ServiceState {
            database_is_up,
            queue: queue.map(|queue| queue_state(&queue, now)),
            database_bytes: database.map(|size| size.data),
            wal_bytes: database.map(|size| size.log),
            disk_available_bytes: disk.map(|disk| disk.available),
            disk_size_bytes: disk.map(|disk| disk.size),
            jobs: jobs.unwrap_or_default().into_iter().map(job_state).collect(),
            circuits: self.circuits(now),
            transcription_model: self.transcription_model().map(str::to_owned),
        }
    }

    async fn read_queue_and_jobs(&self) -> Result<(QueueStatistics, Vec<ScheduledJob>), StoreError> {
        Ok((self.store.queue_statistics().await?, self.store.schedule().await?))
    }

    fn circuits(&self, now: Time) -> Vec<CircuitState> {
        let assistants = self.numbers.iter().flat_map(|number| &number.assistants);
        let states = assistants.map(|assistant| CircuitState {
            name: assistant.provider.name().to_owned(),
            model: assistant.model.clone(),
            is_open: assistant.breaker.rests(now).is_some(),
        });
        states.collect()
    }
}

fn queue_state(queue: &QueueStatistics, now: Time) -> QueueState {
    let age = queue.oldest_created_at.map_or(Duration::ZERO, |created_at| now.since(created_at));
    let count = |state: TurnState, count| (state.as_str(), count);
    QueueState {
        turns: vec![
            count(TurnState::Open, queue.open),
            count(TurnState::Running, queue.running),
            count(TurnState::Retry, queue.retry),
            count(TurnState::Sending, queue.sending),
        ],
        oldest_turn_age_ms: u64::try_from(age.as_millis()).unwrap_or(u64::MAX),
        failed_turns: vec![count(TurnState::Dead, queue.dead), count(TurnState::Expired, queue.expired)],
        unknown_parts: queue.unknown_parts,
        undelivered_parts: queue.undelivered_parts,
    }
}

fn job_state(run: ScheduledJob) -> JobState {
    JobState { job: run.job, last_run_at: run.last_run_at, failed: run.failed }
}

/// The space on a disk, in bytes.
#[derive(Clone, Copy)]
struct DiskSpace {
    available: u64,
    size: u64,
}

fn disk_space(folder: PathBuf) -> Option<DiskSpace> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    Some(DiskSpace {
        available: disk.f_bavail.saturating_mul(disk.f_frsize),
        size: disk.f_blocks.saturating_mul(disk.f_frsize),
    })
}
