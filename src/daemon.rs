//! Runs the web server and the worker with its schedule together, from recovery to the last piece of work.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use axum::Router;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::{JoinError, JoinHandle};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::administration::OWNER;
use crate::app::{App, LiveApp, ReloadOutcome};
use crate::model::AdminRole;
use crate::store::StoreError;
use crate::{password, telemetry, web, work};

/// The most time between the stop and the end of the process, whatever still runs.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);

/// How often the revision of the stored configuration is read.
const CONFIGURATION_POLL: Duration = Duration::from_secs(1);

/// The database is damaged or its disk fails. mynah changed nothing, and restarting does not help.
#[derive(Debug, thiserror::Error)]
#[error(
    "the database is damaged or its disk fails ({0}); restarting does not help: check the disk, then restore a backup"
)]
pub struct DatabaseDamaged(pub String);

/// Recovers the work of the last process, serves until `stop`, then drains for up to 30 s. `extra` are routes that are
/// served in addition to mynah's own.
pub async fn run(
    live: impl Into<LiveApp>,
    listener: TcpListener,
    extra: Router,
    stop: CancellationToken,
) -> Result<()> {
    let live = live.into();
    let app = live.current();
    let recovered = match app.store.recover(app.clock.now(), app.apology_texts()).await {
        Err(StoreError::Fatal(why)) => bail!(DatabaseDamaged(why)),
        recovered => recovered?,
    };
    if recovered != Default::default() {
        info!(
            turns = recovered.retried_turns,
            dead = recovered.dead_turns,
            unknown_parts = recovered.unknown_parts,
            "took over the work of a process that ended early"
        );
    }
    if !app.has_any_model() {
        warn!(
            "no model is configured: mynah accepts messages, and they wait (set MYNAH_AI_PROVIDER, OPENAI_API_KEY or \
             ANTHROPIC_API_KEY)"
        );
    }
    for number in app.numbers.iter().filter(|number| number.channel.is_some() && number.assistants.is_empty()) {
        if let Some(number) = app.name_if_several(number).filter(|_| app.has_any_model()) {
            warn!(number, "no model is configured for this number: mynah accepts messages to it, and they wait");
        }
    }
    if app.channels().next().is_none() {
        warn!("Twilio is not configured: mynah refuses every webhook (set TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN)");
    } else if app.config.server.public_url.is_none() {
        warn!("MYNAH_PUBLIC_URL is not set: mynah can check no signature, so it refuses every webhook");
    }
    let address = listener.local_addr()?;
    prepare_admin_page(&app, address).await?;
    info!(%address, "serving");
    let routes = web::routes(live.clone(), extra);
    // Both tasks stop when the caller says so, or when one of them has ended early.
    let stop_all = stop.child_token();
    let headers = web::SecurityHeaders::of_current(live.clone());
    let web = tokio::spawn(web::serve(listener, routes, headers, stop_all.clone()));
    let worker = tokio::spawn(work::Worker::new(live.clone()).run(stop_all.clone()));
    let alerts = tokio::spawn(work::alerts::run(live.clone(), stop_all.clone()));
    let configuration = tokio::spawn(watch_configuration(live, stop_all.clone()));
    let tasks =
        [("web server", web), ("worker", worker), ("alerts", alerts), ("watch on the configuration", configuration)];
    let store = app.store.clone();
    drop(app);
    tokio::select! {
        outcome = supervise(tasks, stop_all) => outcome,
        why = store.wait_for_fatal_error() => bail!(DatabaseDamaged(why)),
    }
}

/// Sets the first password of the admin page if the configuration names one. Without an account, prints the address at
/// which the first password is set, with a code that only the owner of the machine can read.
async fn prepare_admin_page(app: &App, address: SocketAddr) -> Result<()> {
    if !app.config.admin.enabled || app.store.has_admin_accounts().await? {
        return Ok(());
    }
    let now = app.clock.now();
    if let Some(first) = app.config.admin.first_password.clone() {
        let hash = tokio::task::spawn_blocking(move || password::hash(&first)).await?;
        let hash = hash.context("MYNAH_ADMIN_PASSWORD cannot be used")?;
        app.store.put_admin_account(OWNER, hash, AdminRole::Owner, now).await?;
        info!(account = OWNER, "the first password of the admin page was set (MYNAH_ADMIN_PASSWORD)");
        return Ok(());
    }
    let code = app.setup_code.issue(now).map_err(|error| anyhow!("the system returned no random bytes: {error}"))?;
    let base = app.config.server.public_url.as_ref().map(|url| url.as_str().trim_end_matches('/').to_owned());
    let base = base.unwrap_or_else(|| format!("http://{address}"));
    let page = format!("{base}/admin/set-up?code={code}");
    warn!(page, "the admin page has no password yet; open this address within 30 minutes to set one");
    println!("To set the password of the admin page, open this address within 30 minutes:\n  {page}");
    Ok(())
}

/// Replaces the app when the stored configuration was changed, by this process or another. Without a terminal, SIGHUP has
/// the files read again, too; with one, it means that the terminal was closed, and ends the process as usual.
async fn watch_configuration(live: LiveApp, stop: CancellationToken) {
    if !live.can_change() {
        return stop.cancelled().await;
    }
    let mut hang_up = if std::io::stderr().is_terminal() { None } else { signal(SignalKind::hangup()).ok() };
    loop {
        let outcome = tokio::select! {
            () = tokio::time::sleep(CONFIGURATION_POLL) => live.reload_if_changed().await,
            Some(()) = async { hang_up.as_mut()?.recv().await } => live.reload().await,
            () = stop.cancelled() => return,
        };
        if matches!(outcome, Ok(ReloadOutcome::Replaced { .. }))
            && let Err(error) = telemetry::set_filter(&live.current().config.log.filter)
        {
            warn!("{error}");
        }
        let (app, changed) = (live.current(), !matches!(outcome, Ok(ReloadOutcome::Unchanged)));
        let (store, now) = (&app.store, app.clock.now());
        let told = match outcome {
            Err(error) => {
                error!("{error}");
                store.record_alert("configuration", String::new(), error.to_string(), now).await
            }
            Ok(_) if changed => store.resolve_alert("configuration", "", now).await.map(drop),
            Ok(_) => Ok(()),
        };
        if let Err(error) = told {
            warn!(%error, "cannot store an alert");
        }
    }
}

/// Waits for the stop, and then for the tasks to finish the work that they have begun.
///
/// If only one task ended, the process would look healthy but answer nobody. So if a task ends before the stop, the
/// others are stopped as well, and the process ends with an error. A supervisor such as systemd then starts it again.
async fn supervise<const N: usize>(tasks: [(&'static str, JoinHandle<()>); N], stop: CancellationToken) -> Result<()> {
    let mut tasks: FuturesUnordered<_> =
        tasks.into_iter().map(|(name, task)| async move { (name, task.await) }).collect();
    let ended_early = tokio::select! {
        biased;
        () = stop.cancelled() => None,
        ended = tasks.next() => ended,
    };
    let mut failed = ended_early.map(|(name, outcome)| match panic_to_error(name, outcome) {
        Ok(()) => anyhow!("the {name} ended before it was told to stop"),
        Err(error) => error,
    });
    if let Some(error) = &failed {
        error!(error = format!("{error:#}"), "a task ended early, so the others stop as well");
        stop.cancel();
    }
    info!("stopping: mynah accepts no new requests and finishes the work in progress");
    let drained = tokio::time::timeout(DRAIN_TIMEOUT, async {
        while let Some((name, outcome)) = tasks.next().await {
            if let Err(error) = panic_to_error(name, outcome) {
                failed.get_or_insert(error);
            }
        }
    });
    match drained.await {
        Ok(()) => info!("stopped"),
        Err(_) => warn!("stopped with work in progress; the next start recovers it"),
    }
    failed.map_or(Ok(()), Err)
}

fn panic_to_error(name: &str, outcome: Result<(), JoinError>) -> Result<()> {
    outcome.with_context(|| format!("the {name} panicked"))
}

/// Returns a token that SIGTERM and SIGINT cancel.
pub fn stop_on_signal() -> Result<CancellationToken> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stop = CancellationToken::new();
    let stop_token = stop.clone();
    tokio::spawn(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        stop_token.cancel();
    });
    Ok(stop)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a task that ends when it is told to stop.
    fn stoppable_task(stop: &CancellationToken) -> JoinHandle<()> {
        tokio::spawn(stop.clone().cancelled_owned())
    }

    async fn error_after_early_end(early: JoinHandle<()>) -> String {
        let stop = CancellationToken::new();
        let tasks = [("first", stoppable_task(&stop)), ("second", early)];
        // The clock is paused: if nothing ends, the timeout comes at once.
        let ended = tokio::time::timeout(DRAIN_TIMEOUT * 2, supervise(tasks, stop.clone())).await;
        let error = ended.expect("the tasks end in time").unwrap_err();
        assert!(stop.is_cancelled(), "the other task is told to stop");
        format!("{error:#}")
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_ends_early_ends_the_rest_with_an_error_that_names_it() {
        let why = error_after_early_end(tokio::spawn(async { panic!("a defect") })).await;
        assert!(why.starts_with("the second panicked: ") && why.contains("a defect"), "{why}");
        let why = error_after_early_end(tokio::spawn(async {})).await;
        assert_eq!(why, "the second ended before it was told to stop");
    }

    #[tokio::test]
    async fn tasks_that_end_after_the_stop_are_no_error() {
        let stop = CancellationToken::new();
        let tasks = [("first", stoppable_task(&stop)), ("second", stoppable_task(&stop))];
        stop.cancel();
        supervise(tasks, stop).await.unwrap();
    }

    #[tokio::test]
    async fn a_task_that_panics_while_it_stops_is_an_error() {
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        let late = tokio::spawn(async move {
            stopped.await;
            panic!("a defect");
        });
        let tasks = [("first", stoppable_task(&stop)), ("second", late)];
        stop.cancel();
        assert!(supervise(tasks, stop).await.unwrap_err().to_string().starts_with("the second panicked"));
    }
}
