//! Metrics for Prometheus: counters and histograms that are updated as mynah works, and gauges that are read when
//! somebody asks.
//!
//! Each [`Metrics`] has a registry of its own, so that the apps of a test process do not mix. The names follow the
//! conventions of Prometheus: base units, `_total` for counters. No label contains anything about a contact, and the
//! number of label values is bounded. To add a metric, add it to the file of its subject, and a line in
//! `docs/monitoring.md`.

mod label_limit;
mod messages;
mod model_calls;
mod process;
mod register;
mod sends;
mod service_state;
mod turns;
mod webhooks;

use prometheus::{IntCounter, Registry, TextEncoder};

use self::process::ProcessGauges;
use self::service_state::StateGauges;
use crate::clock::Time;

pub use self::messages::{MessageMetrics, MessageOutcome, MessageSource};
pub use self::model_calls::{ModelCall, ModelCallMetrics, TRANSCRIPTION};
pub use self::sends::{DeliveryMetrics, SendMetrics};
pub use self::service_state::{CircuitState, JobState, QueueState, ServiceState};
pub use self::turns::{ReplyKind, TurnMetrics};
pub use self::webhooks::{RejectCause, WebhookKind, WebhookMetrics};

/// The content type of [`Metrics::render`]: the classic text format. Every version of Prometheus reads it.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The metrics of one process. Updating one takes well below a microsecond.
pub struct Metrics {
    registry: Registry,
    /// Webhooks that were acknowledged or rejected.
    pub webhooks: WebhookMetrics,
    /// Messages from contacts.
    pub messages: MessageMetrics,
    /// How long contacts wait for replies.
    pub turns: TurnMetrics,
    /// Calls to language models.
    pub model_calls: ModelCallMetrics,
    /// Messages that were posted to the provider.
    pub sends: SendMetrics,
    /// What the provider reported about them later.
    pub deliveries: DeliveryMetrics,
    /// Context windows that were in the cache.
    pub cache_hits: IntCounter,
    /// Context windows that were read from the database.
    pub cache_misses: IntCounter,
    state: StateGauges,
    process: ProcessGauges,
    /// The latest state of the service, and when it was read. The lock also makes scrapes run one after the other.
    pub last_state: tokio::sync::Mutex<Option<(Time, ServiceState)>>,
}

impl Default for Metrics {
    fn default() -> Metrics {
        let registry = Registry::new();
        let lookups = register::counters(
            &registry,
            "mynah_cache_lookups_total",
            "Context windows of conversations that were looked up in the cache.",
            &["result"],
        );
        let build = register::gauges(&registry, "mynah_build_info", "The version of mynah; always 1.", &["version"]);
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1.0);
        Metrics {
            webhooks: WebhookMetrics::register(&registry),
            messages: MessageMetrics::register(&registry),
            turns: TurnMetrics::register(&registry),
            model_calls: ModelCallMetrics::register(&registry),
            sends: SendMetrics::register(&registry),
            deliveries: DeliveryMetrics::register(&registry),
            cache_hits: lookups.with_label_values(&["hit"]),
            cache_misses: lookups.with_label_values(&["miss"]),
            state: StateGauges::register(&registry),
            process: ProcessGauges::register(&registry),
            last_state: tokio::sync::Mutex::default(),
            registry,
        }
    }
}

impl Metrics {
    /// Returns all metrics in the classic text format. The gauges show `state` and this process. Only one call at a
    /// time may run, because the gauges are set first.
    pub fn render(&self, state: &ServiceState) -> String {
        self.state.set(state, |circuit| self.model_calls.announce(&circuit.name, circuit.model.as_deref()));
        if let Some(model) = &state.transcription_model {
            self.model_calls.announce(TRANSCRIPTION, Some(model));
        }
        self.process.update();
        // This fails only for a family without a metric, and the registry returns none.
        TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
