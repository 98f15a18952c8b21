//! Looking for a part of which nobody knows whether it was sent.

use std::time::Duration;

use tracing::{info, warn};

use crate::app::App;
use crate::channel::Lookup;
use crate::config::UnknownSends;
use crate::store::{Looked, StoreError, UnknownClaim};

/// A look that could not be made is made again after this.
const AGAIN: Duration = Duration::from_secs(5);

/// Claim in hand: asks the provider and settles what it says.
pub(super) async fn look(app: &App, claim: UnknownClaim) -> Result<(), StoreError> {
    let part = claim.part;
    let lookup = Lookup { from: claim.from, to: claim.to, text: claim.text, not_before: claim.first_tried_at };
    let found = match app.channel(&claim.channel) {
        Some(channel) => channel.find_sent(&lookup).await.map_err(|fault| fault.why().to_owned()),
        None => Err(format!("the channel {} is not configured", claim.channel)),
    };
    let now = app.clock.now();
    match found {
        Ok(candidates) => {
            let hold = app.config.work.unknown_sends == UnknownSends::Hold;
            match app.store.looked(part, candidates, hold, now).await? {
                Looked::Found => info!(%part, "it had been sent"),
                Looked::Absent => info!(%part, "not there yet; looking again"),
                Looked::Ready => warn!(%part, "not there in five looks; sending it again"),
                Looked::Held => warn!(%part, "not there in five looks; held for the operator"),
                Looked::Settled => info!(%part, "settled in the meantime"),
            }
        }
        Err(why) => {
            warn!(%part, why, "the provider could not be asked");
            app.store.not_looked(part, now + AGAIN).await?;
        }
    }
    app.wake.notify_one();
    Ok(())
}
