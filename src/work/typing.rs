//! Showing the contact that an answer is being written.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::{CancellationToken, DropGuard};

use crate::channel::Channel;
use crate::fault::Fault;
use crate::model::ProviderId;

/// WhatsApp takes the dots away after 25 s.
const REFRESH_INTERVAL: Duration = Duration::from_secs(20);

/// Shows the dots for as long as what it returns is kept. Nobody waits for the calls: one that fails or is slow must not
/// delay the answer. Nor is one cut short, which would cost its connection.
#[must_use]
pub(super) fn keep_typing(channel: Arc<dyn Channel>, inbound: ProviderId) -> DropGuard {
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    tokio::spawn(async move {
        loop {
            if let Err(fault) = channel.send_typing(&inbound).await {
                tracing::debug!(why = fault.why(), "the typing indicator was not shown");
                if matches!(fault, Fault::Fail { .. }) {
                    return;
                }
            }
            if stopped.run_until_cancelled(tokio::time::sleep(REFRESH_INTERVAL)).await.is_none() {
                return;
            }
        }
    });
    stop.drop_guard()
}
