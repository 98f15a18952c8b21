//! Webhooks that were acknowledged or rejected.

use std::time::Duration;

use prometheus::{Histogram, IntCounter, Registry};

use super::register;

/// Twilio waits 15 s for an answer.
const ACK_BUCKETS: [f64; 13] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// What a webhook is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebhookKind {
    /// A message from a contact.
    Message,
    /// The delivery status of one of our messages.
    Status,
}

/// Why a webhook was not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RejectCause {
    /// The signature is missing or wrong.
    Signature,
    /// The client sent too many webhooks without a valid signature.
    RateLimit,
    /// No account is configured, so nobody can sign.
    NotConfigured,
    /// It cannot be parsed.
    Malformed,
    /// The body is too large.
    TooLarge,
    /// The body is incomplete.
    Incomplete,
    /// The body did not arrive in time.
    Timeout,
    /// It is about a message that is not ours.
    NotOurs,
    /// The database could not store it.
    Database,
}

impl WebhookKind {
    const ALL: [WebhookKind; 2] = [WebhookKind::Message, WebhookKind::Status];

    const fn as_str(self) -> &'static str {
        match self {
            WebhookKind::Message => "message",
            WebhookKind::Status => "status",
        }
    }
}

impl RejectCause {
    const ALL: [RejectCause; 9] = [
        RejectCause::Signature,
        RejectCause::RateLimit,
        RejectCause::NotConfigured,
        RejectCause::Malformed,
        RejectCause::TooLarge,
        RejectCause::Incomplete,
        RejectCause::Timeout,
        RejectCause::NotOurs,
        RejectCause::Database,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            RejectCause::Signature => "signature",
            RejectCause::RateLimit => "rate_limit",
            RejectCause::NotConfigured => "not_configured",
            RejectCause::Malformed => "malformed",
            RejectCause::TooLarge => "too_large",
            RejectCause::Incomplete => "incomplete",
            RejectCause::Timeout => "timeout",
            RejectCause::NotOurs => "not_ours",
            RejectCause::Database => "database",
        }
    }
}

/// Counts webhooks.
pub struct WebhookMetrics {
    acks: [IntCounter; WebhookKind::ALL.len()],
    ack_seconds: [Histogram; WebhookKind::ALL.len()],
    rejects: [IntCounter; RejectCause::ALL.len()],
}

impl WebhookMetrics {
    pub(super) fn register(registry: &Registry) -> WebhookMetrics {
        let acks = register::counters(
            registry,
            "mynah_webhook_acks_total",
            "Webhooks that were stored and then acknowledged.",
            &["event"],
        );
        let seconds = register::histograms(
            registry,
            "mynah_webhook_ack_duration_seconds",
            "Time from the header of a webhook to its acknowledgment, with the commit to the disk.",
            &["event"],
            &ACK_BUCKETS,
        );
        let rejects = register::counters(
            registry,
            "mynah_webhook_rejects_total",
            "Webhooks that were not acknowledged, by cause.",
            &["cause"],
        );
        WebhookMetrics {
            acks: WebhookKind::ALL.map(|kind| acks.with_label_values(&[kind.as_str()])),
            ack_seconds: WebhookKind::ALL.map(|kind| seconds.with_label_values(&[kind.as_str()])),
            rejects: RejectCause::ALL.map(|cause| rejects.with_label_values(&[cause.as_str()])),
        }
    }

    /// Records an acknowledgment, `after` the header arrived.
    pub fn record_ack(&self, kind: WebhookKind, after: Duration) {
        self.acks[kind as usize].inc();
        self.ack_seconds[kind as usize].observe(after.as_secs_f64());
    }

    /// Records a webhook that was not acknowledged.
    pub fn record_reject(&self, cause: RejectCause) {
        self.rejects[cause as usize].inc();
    }
}
