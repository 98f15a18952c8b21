//! Shows the contact the typing indicator while an answer is being written.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::Instrument;

use crate::channel::Channel;
use crate::fault::Fault;
use crate::model::ProviderId;

/// WhatsApp removes the typing indicator after 25 s.
const REFRESH_INTERVAL: Duration = Duration::from_secs(20);

/// Shows the typing indicator until the returned guard is dropped. Nothing waits for the calls: a call that fails or is
/// slow must not delay the answer. A running call is not canceled, because that would cost its connection.
#[must_use]
pub(super) fn keep_typing(channel: Arc<dyn Channel>, inbound: ProviderId) -> DropGuard {
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let typing = async move {
        loop {
            if let Err(fault) = channel.send_typing(&inbound).await {
                tracing::debug!(why = fault.why(), "cannot show the typing indicator");
                if matches!(fault, Fault::Fail { .. }) {
                    return;
                }
            }
            if stopped.run_until_cancelled(tokio::time::sleep(REFRESH_INTERVAL)).await.is_none() {
                return;
            }
        }
    };
    tokio::spawn(typing.in_current_span());
    stop.drop_guard()
}
