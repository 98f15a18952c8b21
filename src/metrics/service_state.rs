//! The state of the service at a scrape, as gauges.

use prometheus::{GaugeVec, Registry};

use super::register;
use crate::clock::Time;

/// What the gauges show. `None` means that it cannot be read at the moment; the gauge is then absent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServiceState {
    /// Whether the database can be read and written.
    pub database_is_up: bool,
    /// The queue.
    pub queue: Option<QueueState>,
    /// The size of the database without its log, in bytes.
    pub database_bytes: Option<u64>,
    /// The size of the database's write-ahead log, in bytes.
    pub wal_bytes: Option<u64>,
    /// The bytes that mynah may still write to the disk of the data folder.
    pub disk_available_bytes: Option<u64>,
    /// The size of that disk, in bytes.
    pub disk_size_bytes: Option<u64>,
    /// The regular jobs that ever ran.
    pub jobs: Vec<JobState>,
    /// The configured models that answer.
    pub circuits: Vec<CircuitState>,
    /// The model that transcribes voice notes.
    pub transcription_model: Option<String>,
}

/// The queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueState {
    /// Turns that are not finished, by the name of their state.
    pub turns: Vec<(&'static str, i64)>,
    /// The age of the oldest of them in milliseconds; 0 if there is none.
    pub oldest_turn_age_ms: u64,
    /// Turns that ended without an answer and are still kept, by the name of their state.
    pub failed_turns: Vec<(&'static str, i64)>,
    /// Messages of which nobody knows whether they were sent.
    pub unknown_parts: i64,
    /// Messages that the provider accepted and did not deliver, as long as they are kept.
    pub undelivered_parts: i64,
}

/// The last run of a regular job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobState {
    /// Its name, as `mynah schedule` prints it.
    pub job: String,
    /// When it began.
    pub last_run_at: Time,
    /// Whether it failed.
    pub failed: bool,
}

/// The circuit breaker of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CircuitState {
    /// The provider's name, such as `openai gpt-5-mini`.
    pub name: String,
    /// The configured model.
    pub model: Option<String>,
    /// Whether the model is not asked at the moment, because it kept failing.
    pub is_open: bool,
}

/// The gauges.
pub(super) struct StateGauges {
    database_up: GaugeVec,
    queue_turns: GaugeVec,
    oldest_turn_age: GaugeVec,
    failed_turns: GaugeVec,
    unknown_parts: GaugeVec,
    undelivered_parts: GaugeVec,
    database_size: GaugeVec,
    wal_size: GaugeVec,
    disk_available: GaugeVec,
    disk_size: GaugeVec,
    job_last_run: GaugeVec,
    job_failed: GaugeVec,
    circuit_open: GaugeVec,
}

impl StateGauges {
    pub(super) fn register(registry: &Registry) -> StateGauges {
        let gauge = |name, help| register::gauges(registry, name, help, &[]);
        let gauges = |name, help, labels: &[&str]| register::gauges(registry, name, help, labels);
        StateGauges {
            database_up: gauge("mynah_database_up", "Whether the database can be read and written."),
            queue_turns: gauges("mynah_queue_turns", "Turns that are not finished, by state.", &["state"]),
            oldest_turn_age: gauge(
                "mynah_queue_oldest_turn_age_seconds",
                "Age of the oldest turn that is not finished; 0 if there is none.",
            ),
            failed_turns: gauges(
                "mynah_failed_turns",
                "Turns that ended without an answer, by state, for as long as their conversations are kept.",
                &["state"],
            ),
            unknown_parts: gauge(
                "mynah_unknown_parts",
                "Messages of which it is not known whether the provider accepted them.",
            ),
            undelivered_parts: gauge(
                "mynah_undelivered_parts",
                "Messages that the provider accepted and did not deliver, for as long as their conversations are kept.",
            ),
            database_size: gauge("mynah_database_size_bytes", "Size of the database without its write-ahead log."),
            wal_size: gauge("mynah_database_wal_size_bytes", "Size of the database's write-ahead log."),
            disk_available: gauge(
                "mynah_disk_available_bytes",
                "Space that is left for mynah on the disk of the data folder.",
            ),
            disk_size: gauge("mynah_disk_size_bytes", "Size of the disk of the data folder."),
            job_last_run: gauges(
                "mynah_job_last_run_timestamp_seconds",
                "When a regular job last ran, in seconds since 1970.",
                &["job_name"],
            ),
            // A label `job` would collide with the one that Prometheus adds at a scrape.
            job_failed: gauges(
                "mynah_job_last_run_failed",
                "Whether a regular job failed when it last ran.",
                &["job_name"],
            ),
            circuit_open: gauges(
                "mynah_ai_circuit_open",
                "Whether a language model is not asked at the moment, because it kept failing.",
                &["provider", "model"],
            ),
        }
    }

    /// Sets all gauges. `labels` returns the labels of a model, as the counters of model calls have them.
    pub(super) fn set(&self, state: &ServiceState, labels: impl Fn(&CircuitState) -> (String, String)) {
        let queue = state.queue.as_ref();
        set(&self.database_up, Some(f64::from(u8::from(state.database_is_up))));
        set_each(&self.queue_turns, queue.map_or(&[], |queue| &queue.turns));
        set(&self.oldest_turn_age, queue.map(|queue| as_float(queue.oldest_turn_age_ms) / 1000.0));
        set_each(&self.failed_turns, queue.map_or(&[], |queue| &queue.failed_turns));
        set(&self.unknown_parts, queue.map(|queue| as_float(queue.unknown_parts.unsigned_abs())));
        set(&self.undelivered_parts, queue.map(|queue| as_float(queue.undelivered_parts.unsigned_abs())));
        set(&self.database_size, state.database_bytes.map(as_float));
        set(&self.wal_size, state.wal_bytes.map(as_float));
        set(&self.disk_available, state.disk_available_bytes.map(as_float));
        set(&self.disk_size, state.disk_size_bytes.map(as_float));
        self.job_last_run.reset();
        self.job_failed.reset();
        for JobState { job, last_run_at, failed } in &state.jobs {
            let seconds = as_float(last_run_at.millis().unsigned_abs()) / 1000.0;
            self.job_last_run.with_label_values(&[job]).set(seconds);
            self.job_failed.with_label_values(&[job]).set(f64::from(u8::from(*failed)));
        }
        self.circuit_open.reset();
        for circuit in &state.circuits {
            let (provider, model) = labels(circuit);
            let gauge = self.circuit_open.with_label_values(&[provider, model]);
            // Models beyond the limit share a label. It is 1 if one of them is not asked.
            gauge.set(gauge.get().max(f64::from(u8::from(circuit.is_open))));
        }
    }
}

fn set(gauge: &GaugeVec, value: Option<f64>) {
    gauge.reset();
    if let Some(value) = value {
        gauge.with_label_values::<&str>(&[]).set(value);
    }
}

fn set_each(gauges: &GaugeVec, values: &[(&'static str, i64)]) {
    gauges.reset();
    for (label, value) in values {
        gauges.with_label_values(&[label]).set(as_float(value.unsigned_abs()));
    }
}

/// Returns the number as Prometheus stores it: exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "Prometheus has only floating-point numbers")]
fn as_float(number: u64) -> f64 {
    number as f64
}
