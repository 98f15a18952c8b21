//! Reading what contacts attached to messages that the assistant does not answer: a person wants to see it, and the assistant to
//! know of it when it returns.

use std::time::Duration;

use futures_util::future::join_all;

use super::attachments::{ReadContext, read_attachment};
use crate::app::App;
use crate::store::{AttachmentOutcome, StoreError, UnreadAttachment};

/// How often that is looked for.
pub(super) const READ_INTERVAL: Duration = Duration::from_secs(10);

/// So much of it is read in one go.
const BATCH_SIZE: i64 = 8;

/// Reads some of it; how many.
pub async fn read_batch(app: &App) -> Result<usize, StoreError> {
    let unread = app.store.unread_attachments(BATCH_SIZE).await?;
    let read = join_all(unread.iter().map(|one| async move {
        let outcome = read_unread(app, one).await;
        app.store.record_unread_attachment(one, outcome, app.clock.now()).await
    }));
    read.await.into_iter().collect::<Result<Vec<_>, _>>().map(|read| read.len())
}

async fn read_unread(app: &App, unread: &UnreadAttachment) -> AttachmentOutcome {
    let number = app.number(&unread.account, &unread.our_address);
    let of = ReadContext {
        turn: unread.turn,
        number,
        reservation: None,
        // What was given up may have been so for a budget.
        may_transcribe: !unread.turn_failed,
    };
    match app.channel(&unread.channel, &unread.account, &unread.our_address) {
        Some(channel) => read_attachment(app, &of, channel, 0, &unread.attachment).await,
        None => AttachmentOutcome {
            message: unread.attachment.message,
            number: unread.attachment.number,
            text: unread.attachment.attachment.placeholder.clone(),
            file: None,
            model_image: None,
            error: Some("the account that it came through is not configured any more".to_owned()),
        },
    }
}
