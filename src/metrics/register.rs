//! Creates metrics and registers them. A name that is not valid or is taken is a bug, which every start would show.

use prometheus::core::Collector;
use prometheus::{GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};

const VALID: &str = "the names of metrics are valid and differ";

fn registered<C: Collector + Clone + 'static>(registry: &Registry, metric: C) -> C {
    registry.register(Box::new(metric.clone())).expect(VALID);
    metric
}

/// Registers counters that differ in these labels.
pub(super) fn counters(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    registered(registry, IntCounterVec::new(Opts::new(name, help), labels).expect(VALID))
}

/// Registers gauges that differ in these labels. Without labels, the gauge is absent until it is set.
pub(super) fn gauges(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> GaugeVec {
    registered(registry, GaugeVec::new(Opts::new(name, help), labels).expect(VALID))
}

/// Registers histograms that differ in these labels. `buckets` are upper bounds in seconds.
pub(super) fn histograms(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
    buckets: &[f64],
) -> HistogramVec {
    let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
    registered(registry, HistogramVec::new(options, labels).expect(VALID))
}

/// Registers one histogram.
pub(super) fn histogram(registry: &Registry, name: &str, help: &str, buckets: &[f64]) -> Histogram {
    let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
    registered(registry, Histogram::with_opts(options).expect(VALID))
}
