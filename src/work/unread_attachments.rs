//! Reads the attachments of messages that the assistant does not answer. A person may want to see them, and the
//! assistant needs them when it returns.

use std::time::Duration;

use futures_util::future::join_all;
use tracing::Instrument;

use super::attachments::{ReadContext, read_attachment};
use super::turn_span::TurnPlace;
use crate::app::App;
use crate::store::{AttachmentOutcome, StoreError, UnreadAttachment};

/// How often the worker looks for unread attachments.
pub(super) const READ_INTERVAL: Duration = Duration::from_secs(10);

/// How many attachments are read at once.
const BATCH_SIZE: i64 = 8;

/// Reads a batch of unread attachments. Returns how many it read.
pub async fn read_batch(app: &App) -> Result<usize, StoreError> {
    let unread = app.store.unread_attachments(BATCH_SIZE).await?;
    let read = join_all(unread.iter().map(|one| async move {
        let place = TurnPlace {
            turn: one.turn,
            conversation: one.conversation,
            channel: &one.channel,
            account: &one.account,
            our_address: &one.our_address,
        };
        let outcome = read_unread(app, one).instrument(place.span(app)).await;
        app.store.record_unread_attachment(one, outcome, app.clock.now()).await
    }));
    read.await.into_iter().collect::<Result<Vec<_>, _>>().map(|read| read.len())
}

async fn read_unread(app: &App, unread: &UnreadAttachment) -> AttachmentOutcome {
    let number = app.number(&unread.account, &unread.our_address);
    let context = ReadContext {
        number,
        reservation: None,
        // The turn may have failed because a budget is spent.
        may_transcribe: !unread.turn_failed,
    };
    match app.channel(&unread.channel, &unread.account, &unread.our_address) {
        Some(channel) => read_attachment(app, &context, channel, 0, &unread.attachment).await,
        None => AttachmentOutcome {
            message: unread.attachment.message,
            number: unread.attachment.number,
            text: unread.attachment.attachment.placeholder.clone(),
            file: None,
            model_image: None,
            error: Some("the account that received it is no longer configured".to_owned()),
        },
    }
}
