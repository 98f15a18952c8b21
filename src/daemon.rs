//! The running appliance: web, worker and schedule together, from recovery to the last piece of work.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use axum::Router;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::app::App;
use crate::{web, work};

/// From the stop to the end, whatever still runs.
const DRAIN: Duration = Duration::from_secs(30);

/// The database is damaged or its disk fails. Nothing was touched; restarting does not help.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Damaged(pub String);

/// Takes over what the last process left, then serves until `stop`, then drains for up to 30 s. `extra` are routes beside
/// the appliance's own.
pub async fn run(app: Arc<App>, listener: TcpListener, extra: Router, stop: CancellationToken) -> Result<()> {
    let recovered = app.store.recover(app.clock.now(), app.config.work.sorry.clone()).await?;
    if recovered != Default::default() {
        info!(
            turns = recovered.turns,
            dead = recovered.dead,
            unknown_parts = recovered.unknown,
            "took over the work of a process that ended early"
        );
    }
    if app.assistant.is_none() {
        warn!(
            "no model is configured: messages are accepted and wait (MYNAH_AI_PROVIDER, OPENAI_API_KEY, ANTHROPIC_API_KEY)"
        );
    }
    if app.channels.is_empty() {
        warn!("Twilio is not configured: every webhook is refused (TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN)");
    } else if app.config.server.public_url.is_none() {
        warn!("MYNAH_PUBLIC_URL is not set: no signature can be checked, so every webhook is refused");
    }
    let address = listener.local_addr()?;
    info!(%address, "serving");
    let routes = web::routes(Arc::clone(&app), extra);
    let web = tokio::spawn(web::serve(listener, routes, stop.clone()));
    let worker = tokio::spawn(work::Worker::new(Arc::clone(&app)).run(stop.clone()));
    let damaged = tokio::select! {
        () = stop.cancelled() => None,
        why = app.store.failed() => Some(why),
    };
    if let Some(why) = damaged {
        bail!(Damaged(why));
    }
    info!("stopping: no new requests, finishing what is in progress");
    let drained = tokio::time::timeout(DRAIN, async {
        web.await?;
        worker.await
    })
    .await;
    match drained {
        Ok(Ok(())) => info!("stopped"),
        Ok(Err(error)) => bail!("a task ended in a panic: {error}"),
        Err(_) => warn!("stopped with work in progress; the next start takes it over"),
    }
    Ok(())
}

/// A token that is cancelled by SIGTERM and SIGINT.
pub fn stop_on_signal() -> Result<CancellationToken> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stop = CancellationToken::new();
    let told = stop.clone();
    tokio::spawn(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        told.cancel();
    });
    Ok(stop)
}
