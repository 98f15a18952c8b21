//! Posts a part to the provider. The part is `sending` on the disk before this begins.

use std::borrow::Cow;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use tracing::{debug, error, info, warn};

use super::{alerts, backoff, retry_while_unavailable};
use crate::app::App;
use crate::fault::{Fault, FaultOwner, RetryOutlook};
use crate::model::Outgoing;
use crate::store::{FIRST_LOOKUP_DELAY, PartClaim, PartSentOutcome, PartSplitOutcome, StoreError};
use crate::text;

const FIRST_WAIT: Duration = Duration::from_millis(500);

const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// Posts a claimed part and records the outcome.
pub(super) async fn deliver(app: &App, claim: &PartClaim) -> Result<(), StoreError> {
    let part = claim.outgoing.reference;
    if app.clock.now() >= claim.deadline {
        // The next claim ends the turn, or goes on with it if the contact has written in the meantime.
        let why = "its deadline passed before it could be sent".to_owned();
        retry_while_unavailable(|| app.store.retry_part(part, claim.token, app.clock.now(), why.clone())).await?;
        app.wake.notify_one();
        return Ok(());
    }
    let outcome = match app.channel(&claim.channel, &claim.account, &claim.outgoing.from) {
        Some(channel) => {
            crate::failpoint::hit("before-connect");
            crate::failpoint::hit_soon("request-written");
            let outgoing = with_media_url(app, claim);
            // A panic is a bug in mynah. Nobody knows what was sent before it.
            match outgoing {
                Ok(outgoing) => {
                    let began = Instant::now();
                    let sent = AssertUnwindSafe(channel.send(&outgoing)).catch_unwind().await;
                    let sent =
                        sent.unwrap_or_else(|_| Err(Fault::unknown("the channel panicked while sending").into()));
                    let failure = sent.as_ref().err();
                    app.metrics.sends.record(failure.map(|error| (&error.fault, error.code)), began.elapsed());
                    sent
                }
                Err(fault) => Err(fault.into()),
            }
        }
        None => Err(Fault::retry(format!("the channel {} is not configured", claim.channel)).into()),
    };
    let now = app.clock.now();
    let claim_held = match outcome.map_err(|error| fail_if_attempts_used(error.fault, claim.attempt)) {
        Ok(id) => {
            crate::failpoint::hit("before-sent");
            let sent = retry_while_unavailable(|| app.store.mark_part_sent(part, claim.token, id.clone(), now)).await?;
            crate::failpoint::hit("after-sent");
            alerts::record_recovery(app, "sending", sending_subject(app, claim)).await;
            debug!(%part, %id, attempt = claim.attempt, "the provider accepted the part");
            if sent == PartSentOutcome::ProviderIdInUse {
                error!(%part, %id, "the provider returned the id of another part's message; looking the part up");
            }
            if sent != PartSentOutcome::NothingFollows {
                app.wake.notify_one();
            }
            sent != PartSentOutcome::StaleClaim
        }
        Err(Fault::Retry { retry_after: after, why, outlook }) => {
            let due = now + backoff::wait(claim.attempt, FIRST_WAIT, LONGEST_WAIT, after);
            if outlook == RetryOutlook::NeedsOperator {
                error!(
                    %part, attempt = claim.attempt, why, %due,
                    "the part was not sent; retrying later, but the operator may have to act"
                );
                alerts::record(app, "sending", sending_subject(app, claim), why.clone()).await;
            } else {
                warn!(%part, attempt = claim.attempt, why, "the part was not sent; retrying later");
            }
            let held = retry_while_unavailable(|| app.store.retry_part(part, claim.token, due, why.clone())).await?;
            app.wake.notify_one();
            held
        }
        Err(Fault::Unknown { why }) => {
            warn!(%part, why, "it is unknown whether the part was sent; looking it up");
            let held = retry_while_unavailable(|| {
                app.store.mark_part_unknown(part, claim.token, now + FIRST_LOOKUP_DELAY, why.clone())
            })
            .await?;
            app.wake.notify_one();
            held
        }
        Err(Fault::TooLong { why }) => {
            let halved = match text::split_in_half(&claim.outgoing.text) {
                Some(halves) => {
                    retry_while_unavailable(|| {
                        app.store.split_part(part, claim.token, halves.clone(), why.clone(), now)
                    })
                    .await?
                }
                None if retry_while_unavailable(|| app.store.fail_part(part, claim.token, why.clone(), now))
                    .await? =>
                {
                    PartSplitOutcome::Failed
                }
                None => PartSplitOutcome::StaleClaim,
            };
            match halved {
                PartSplitOutcome::Split => info!(%part, why, "the part is too long; sending it in two halves"),
                PartSplitOutcome::Failed => {
                    warn!(%part, why, "the part is too long and cannot be split further; it was not sent");
                }
                PartSplitOutcome::StaleClaim => {}
            }
            app.wake.notify_one();
            halved != PartSplitOutcome::StaleClaim
        }
        Err(Fault::Fail { why, owner }) => {
            if owner == FaultOwner::Operator {
                error!(%part, why, "the part was not sent; the operator must act");
                alerts::record(app, "sending", sending_subject(app, claim), why.clone()).await;
            } else {
                warn!(%part, why, "the part was not sent");
            }
            let held = retry_while_unavailable(|| app.store.fail_part(part, claim.token, why.clone(), now)).await?;
            app.wake.notify_one();
            held
        }
    };
    if !claim_held {
        info!(%part, "the part was settled by another worker or a status callback");
    }
    Ok(())
}

/// Returns the outgoing message, with the link at which the provider fetches its file.
fn with_media_url<'a>(app: &App, claim: &'a PartClaim) -> Result<Cow<'a, Outgoing>, Fault> {
    if claim.file.is_none() {
        return Ok(Cow::Borrowed(&claim.outgoing));
    }
    let links = app.media_links.as_ref();
    let url = links.and_then(|links| links.url(claim.outgoing.reference, app.clock.now()));
    let missing = "the provider cannot fetch the file, because MYNAH_PUBLIC_URL is not set";
    let url = url.ok_or_else(|| Fault::fail(FaultOwner::Operator, missing))?;
    Ok(Cow::Owned(Outgoing { media_url: Some(url), ..claim.outgoing.clone() }))
}

/// Turns a fault that rarely passes into a permanent one, once its attempts are used up.
fn fail_if_attempts_used(fault: Fault, attempt: i64) -> Fault {
    match fault {
        Fault::Retry { why, outlook: RetryOutlook::Unlikely { attempts }, .. } if attempt >= attempts => {
            Fault::fail(FaultOwner::Message, format!("{why}; given up after {attempt} attempts"))
        }
        fault => fault,
    }
}

/// The subject of the alert that a number cannot send: the number's name; empty if there is only one.
fn sending_subject<'a>(app: &'a App, claim: &PartClaim) -> &'a str {
    app.name_if_several(app.number(&claim.account, &claim.outgoing.from)).unwrap_or_default()
}
