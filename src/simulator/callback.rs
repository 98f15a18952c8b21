//! Delivers accepted messages: moves each one from status to status and posts a status callback for each.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::fault_injection::increment;
use super::{Simulator, Status, lock};

/// A message being delivered.
pub(super) struct SimulatedDelivery {
    pub(super) sid: String,
    /// The contact, without the channel's prefix.
    pub(super) contact: String,
    /// The `StatusCallback` exactly as the caller gave it, because that text is signed.
    pub(super) callback: Option<String>,
    pub(super) service: Option<String>,
    /// The error with which the message becomes `undelivered`.
    pub(super) error: Option<u32>,
}

impl Simulator {
    /// Delivers the message in the background.
    pub(super) fn spawn_delivery(&self, delivery: SimulatedDelivery) {
        let simulator = self.clone();
        self.inner.tasks.spawn(async move {
            let closed = simulator.inner.shutdown.clone();
            closed.run_until_cancelled(simulator.run_delivery(delivery)).await;
        });
    }

    async fn run_delivery(&self, delivery: SimulatedDelivery) {
        let steps: &[Status] = match (delivery.service.is_some(), delivery.error.is_some()) {
            (false, false) => &[Status::Sent, Status::Delivered, Status::Read],
            (false, true) => &[Status::Sent, Status::Undelivered],
            (true, false) => &[Status::Queued, Status::Sent, Status::Delivered, Status::Read],
            (true, true) => &[Status::Queued, Status::Sent, Status::Undelivered],
        };
        for &status in steps {
            if self.inner.config.status_delay > Duration::ZERO {
                tokio::time::sleep(self.inner.config.status_delay).await;
            }
            self.advance_status(&delivery, status);
            if let Some(callback) = &delivery.callback
                && !self.inner.callbacks_muted.load(Ordering::Relaxed)
            {
                increment(&self.inner.counts.callbacks);
                let result = self.post_signed(callback, &self.callback_params(&delivery, status)).await;
                if !matches!(result, Ok(200..300)) {
                    increment(&self.inner.counts.callbacks_failed);
                    tracing::debug!(sid = delivery.sid, status = status.as_str(), ?result, "status callback refused");
                }
            }
        }
    }

    fn advance_status(&self, delivery: &SimulatedDelivery, status: Status) {
        let now = self.now();
        if let Some(message) = lock(&self.inner.message_log).get_mut(&delivery.sid) {
            message.status = status;
            message.updated = now;
            if status == Status::Sent {
                message.sent = Some(now);
            }
            if status == Status::Undelivered {
                message.error = delivery.error;
            }
        }
        let problem = delivery.error.filter(|_| status == Status::Undelivered);
        let problem = problem.map(|code| format!("Not delivered: error {code}."));
        let change = lock(&self.inner.phones).set_status(&delivery.contact, &delivery.sid, status, problem);
        self.publish(change);
    }

    /// Returns the parameters of a status callback for a WhatsApp message (as captured from Twilio).
    fn callback_params(&self, delivery: &SimulatedDelivery, status: Status) -> Vec<(String, String)> {
        let shown = delivery.contact.len().saturating_sub(4);
        // Only in this parameter, Twilio replaces the last four digits by XXXX.
        let masked = format!("{}XXXX", delivery.contact.get(..shown).unwrap_or_default());
        let mut params = vec![
            ("ChannelPrefix", "whatsapp".to_owned()),
            ("ApiVersion", "2010-04-01".to_owned()),
            ("MessageStatus", status.as_str().to_owned()),
            ("SmsSid", delivery.sid.clone()),
            ("SmsStatus", status.as_str().to_owned()),
            ("ChannelInstallSid", self.inner.install_sid.clone()),
            ("To", format!("whatsapp:{}", delivery.contact)),
            ("From", self.our_address()),
            ("MessageSid", delivery.sid.clone()),
            ("AccountSid", self.inner.config.account_sid.clone()),
            ("ChannelToAddress", masked),
            ("StructuredMessage", "false".to_owned()),
        ];
        match status {
            Status::Delivered => params.push(("EventType", "DELIVERED".to_owned())),
            Status::Read => params.push(("EventType", "READ".to_owned())),
            _ => {}
        }
        if let Some(code) = delivery.error.filter(|_| status == Status::Undelivered) {
            params.push(("ErrorCode", code.to_string()));
            params.push(("ChannelStatusMessage", format!("simulated failure {code}")));
        }
        if let Some(service) = &delivery.service {
            params.push(("MessagingServiceSid", service.clone()));
        }
        params.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}
