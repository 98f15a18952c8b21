//! Calls to language models.

use std::time::{Duration, Instant};

use prometheus::core::Collector;
use prometheus::{CounterVec, GaugeVec, HistogramVec, IntCounterVec, Opts, Registry};

use super::label_limit::{LabelLimit, OTHER};
use super::register;
use crate::fault::{Fault, FaultOwner, RetryOutlook};
use crate::model::Usage;

const CALL_BUCKETS: [f64; 12] = [0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 13.0, 20.0, 60.0, 180.0];

/// The most models that get labels of their own. Their names come from the settings, which may change while mynah runs.
const MAX_MODELS: usize = 50;

/// The provider under which transcriptions of voice notes are counted.
pub const TRANSCRIPTION: &str = "transcription";

/// The label value of a model that the server chooses.
const DEFAULT_MODEL: &str = "default";

const OUTCOMES: [&str; 8] = ["ok", "error", "timeout", "overload", "too_long", "refused", "operator", "canceled"];

/// Counts calls, tokens and cost by provider and model.
pub struct ModelCallMetrics {
    calls: IntCounterVec,
    seconds: HistogramVec,
    in_flight: GaugeVec,
    tokens: IntCounterVec,
    cost: CounterVec,
    models: LabelLimit<(String, String)>,
}

impl ModelCallMetrics {
    pub(super) fn register(registry: &Registry) -> ModelCallMetrics {
        const BY_MODEL: [&str; 2] = ["provider", "model"];
        let cost = Opts::new("mynah_ai_cost_dollars_total", "What the answers cost, by the prices in the settings.");
        let cost = CounterVec::new(cost, &BY_MODEL).expect("the name is valid");
        registry.register(Box::new(cost.clone()) as Box<dyn Collector>).expect("the name is not taken");
        ModelCallMetrics {
            calls: register::counters(
                registry,
                "mynah_ai_calls_total",
                "Calls to language models, by outcome.",
                &["provider", "model", "outcome"],
            ),
            seconds: register::histograms(
                registry,
                "mynah_ai_call_duration_seconds",
                "Duration of calls to language models that were not canceled.",
                &BY_MODEL,
                &CALL_BUCKETS,
            ),
            in_flight: register::gauges(
                registry,
                "mynah_ai_calls_in_flight",
                "Calls to language models that run at this moment.",
                &BY_MODEL,
            ),
            tokens: register::counters(
                registry,
                "mynah_ai_tokens_total",
                "Tokens that language models read (input) and wrote (output).",
                &["provider", "model", "kind"],
            ),
            cost,
            models: LabelLimit::new(MAX_MODELS),
        }
    }

    /// Begins a call. `name` is the provider's, such as `openai gpt-5-mini`; `model` is the configured model.
    pub fn begin(&self, name: &str, model: Option<&str>) -> ModelCall<'_> {
        let (provider, model) = self.labels(name, model);
        self.in_flight.with_label_values(&[&provider, &model]).inc();
        ModelCall { metrics: self, provider, model, began: Instant::now(), ended: false }
    }

    /// Makes sure that everything about a configured model is counted from 0, and returns its labels. Otherwise
    /// Prometheus could not see that the first failure is an increase.
    pub(super) fn announce(&self, name: &str, model: Option<&str>) -> (String, String) {
        let (provider, model) = self.labels(name, model);
        for outcome in OUTCOMES {
            self.calls.with_label_values(&[provider.as_str(), &model, outcome]);
        }
        for kind in ["input", "output"] {
            self.tokens.with_label_values(&[provider.as_str(), &model, kind]);
        }
        self.cost.with_label_values(&[&provider, &model]);
        self.seconds.with_label_values(&[&provider, &model]);
        self.in_flight.with_label_values(&[&provider, &model]);
        (provider, model)
    }

    /// Returns the labels of a model.
    fn labels(&self, name: &str, model: Option<&str>) -> (String, String) {
        // The first word is the kind of the provider, of which there are few.
        let provider = name.split(' ').next().unwrap_or_default().to_owned();
        let model = model.unwrap_or(DEFAULT_MODEL).to_owned();
        let labels = (provider, model);
        if self.models.admits(labels.clone()) { labels } else { (labels.0, OTHER.to_owned()) }
    }
}

/// A call in progress. A call that is dropped without an outcome counts as canceled.
pub struct ModelCall<'a> {
    metrics: &'a ModelCallMetrics,
    provider: String,
    model: String,
    began: Instant,
    ended: bool,
}

impl ModelCall<'_> {
    /// Records the tokens and the cost, in millionths of a US dollar.
    pub fn record_usage(&self, usage: Usage, cost_micros: i64) {
        for (kind, tokens) in [("input", usage.input_tokens), ("output", usage.output_tokens)] {
            self.metrics.tokens.with_label_values(&[&self.provider, &self.model, kind]).inc_by(tokens.into());
        }
        let dollars = Duration::from_micros(cost_micros.max(0).unsigned_abs()).as_secs_f64();
        self.metrics.cost.with_label_values(&[&self.provider, &self.model]).inc_by(dollars);
    }

    /// Records the outcome, now that the call has ended.
    pub fn end(&mut self, failure: Option<&Fault>) {
        self.ended = true;
        self.count(match failure {
            None => "ok",
            Some(Fault::Retry { outlook: RetryOutlook::Overload, .. }) => "overload",
            Some(Fault::Retry { outlook: RetryOutlook::Timeout, .. }) => "timeout",
            Some(Fault::Retry { .. } | Fault::Unknown { .. }) => "error",
            Some(Fault::TooLong { .. }) => "too_long",
            Some(Fault::Fail { owner: FaultOwner::Operator, .. }) => "operator",
            Some(Fault::Fail { owner: FaultOwner::Message | FaultOwner::Contact, .. }) => "refused",
        });
        let seconds = self.metrics.seconds.with_label_values(&[&self.provider, &self.model]);
        seconds.observe(self.began.elapsed().as_secs_f64());
    }

    fn count(&self, outcome: &str) {
        self.metrics.calls.with_label_values(&[&self.provider, &self.model, outcome]).inc();
    }
}

impl Drop for ModelCall<'_> {
    fn drop(&mut self) {
        self.metrics.in_flight.with_label_values(&[&self.provider, &self.model]).dec();
        if !self.ended {
            self.count("canceled");
        }
    }
}
