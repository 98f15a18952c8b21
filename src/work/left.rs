//! Reading what contacts attached to messages that the assistant does not answer: a person wants to see it, and the assistant to
//! know of it when it returns.

use std::time::Duration;

use futures_util::future::join_all;

use super::attachments::{Of, outcome};
use crate::app::App;
use crate::store::{Left, Outcome, StoreError};

/// How often that is looked for.
pub(super) const EVERY: Duration = Duration::from_secs(10);

/// So much of it is read in one go.
const MOST: i64 = 8;

/// Reads some of it; how many.
pub async fn read(app: &App) -> Result<usize, StoreError> {
    let left = app.store.left(MOST).await?;
    let read = join_all(left.iter().map(|one| async move {
        let outcome = one_of(app, one).await;
        app.store.left_read(one, outcome, app.clock.now()).await
    }));
    read.await.into_iter().collect::<Result<Vec<_>, _>>().map(|read| read.len())
}

async fn one_of(app: &App, left: &Left) -> Outcome {
    let number = app.number(&left.account, &left.ours);
    let of = Of {
        turn: left.turn,
        number,
        reservation: None,
        // What was given up may have been so for a budget.
        hears: !left.given_up,
    };
    match app.channel(&left.channel, &left.account, &left.ours) {
        Some(channel) => outcome(app, &of, channel, 0, &left.attached).await,
        None => Outcome {
            message: left.attached.message,
            number: left.attached.number,
            words: left.attached.attachment.mark.clone(),
            file: None,
            shown: None,
            error: Some("the account that it came through is not configured any more".to_owned()),
        },
    }
}
