//! Reading what contacts attached to messages that the assistant does not answer: a person wants to see it, and the assistant to
//! know of it when it returns.

use std::time::Duration;

use futures_util::future::join_all;

use super::attachments::{Of, outcome};
use crate::app::App;
use crate::store::{AttachmentOutcome, StoreError, UnreadAttachment};

/// How often that is looked for.
pub(super) const EVERY: Duration = Duration::from_secs(10);

/// So much of it is read in one go.
const MOST: i64 = 8;

/// Reads some of it; how many.
pub async fn read(app: &App) -> Result<usize, StoreError> {
    let left = app.store.unread_attachments(MOST).await?;
    let read = join_all(left.iter().map(|one| async move {
        let outcome = one_of(app, one).await;
        app.store.record_unread_attachment(one, outcome, app.clock.now()).await
    }));
    read.await.into_iter().collect::<Result<Vec<_>, _>>().map(|read| read.len())
}

async fn one_of(app: &App, left: &UnreadAttachment) -> AttachmentOutcome {
    let number = app.number(&left.account, &left.our_address);
    let of = Of {
        turn: left.turn,
        number,
        reservation: None,
        // What was given up may have been so for a budget.
        hears: !left.turn_failed,
    };
    match app.channel(&left.channel, &left.account, &left.our_address) {
        Some(channel) => outcome(app, &of, channel, 0, &left.attachment).await,
        None => AttachmentOutcome {
            message: left.attachment.message,
            number: left.attachment.number,
            text: left.attachment.attachment.placeholder.clone(),
            file: None,
            model_image: None,
            error: Some("the account that it came through is not configured any more".to_owned()),
        },
    }
}
