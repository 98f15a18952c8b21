//! Messages that were posted to the provider, and what it reported about them later.

use std::time::Duration;

use prometheus::{Histogram, IntCounterVec, Registry};

use super::label_limit::{LabelLimit, OTHER};
use super::register;
use crate::fault::{Fault, RetryOutlook};

const SEND_BUCKETS: [f64; 10] = [0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0];

/// The most error codes of the provider that get a label of their own. mynah knows fewer.
const MAX_CODES: usize = 100;

/// The label value if there is no code.
const NO_CODE: &str = "none";

/// The provider's error codes as label values.
struct CodeLabels(LabelLimit<i64>);

impl CodeLabels {
    fn label(&self, code: Option<i64>) -> String {
        match code {
            None => NO_CODE.to_owned(),
            Some(code) if self.0.admits(code) => code.to_string(),
            Some(_) => OTHER.to_owned(),
        }
    }
}

/// Counts posts.
pub struct SendMetrics {
    sends: IntCounterVec,
    seconds: Histogram,
    codes: CodeLabels,
}

impl SendMetrics {
    pub(super) fn register(registry: &Registry) -> SendMetrics {
        let sends = register::counters(
            registry,
            "mynah_sends_total",
            "Attempts to post a message to the provider, by outcome and the provider's error code.",
            &["outcome", "code"],
        );
        for outcome in ["sent", "retry", "overload", "unknown", "too_long", "failed"] {
            sends.with_label_values(&[outcome, NO_CODE]);
        }
        let seconds = register::histogram(
            registry,
            "mynah_send_duration_seconds",
            "Duration of the provider's calls that post a message.",
            &SEND_BUCKETS,
        );
        SendMetrics { sends, seconds, codes: CodeLabels(LabelLimit::new(MAX_CODES)) }
    }

    /// Records a post. `failure` holds why it failed, and the provider's code if it gave one.
    pub fn record(&self, failure: Option<(&Fault, Option<i64>)>, took: Duration) {
        let outcome = match failure {
            None => "sent",
            Some((Fault::Retry { outlook: RetryOutlook::Overload, .. }, _)) => "overload",
            Some((Fault::Retry { .. }, _)) => "retry",
            Some((Fault::Unknown { .. }, _)) => "unknown",
            Some((Fault::TooLong { .. }, _)) => "too_long",
            Some((Fault::Fail { .. }, _)) => "failed",
        };
        let code = self.codes.label(failure.and_then(|(_, code)| code));
        self.sends.with_label_values(&[outcome, &code]).inc();
        self.seconds.observe(took.as_secs_f64());
    }
}

/// Counts what the provider reported about posted messages.
pub struct DeliveryMetrics {
    statuses: IntCounterVec,
    codes: CodeLabels,
}

impl DeliveryMetrics {
    pub(super) fn register(registry: &Registry) -> DeliveryMetrics {
        let statuses = register::counters(
            registry,
            "mynah_delivery_statuses_total",
            "Delivery statuses that the provider reported for posted messages, with the error code of a failure.",
            &["status", "code"],
        );
        DeliveryMetrics { statuses, codes: CodeLabels(LabelLimit::new(MAX_CODES)) }
    }

    /// Records a status that was news. `status` is one of the few names of our own.
    pub fn record(&self, status: &'static str, code: Option<i64>) {
        self.statuses.with_label_values(&[status, &self.codes.label(code)]).inc();
    }
}
