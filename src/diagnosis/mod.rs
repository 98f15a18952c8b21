//! Checks of a whole installation: what `mynah check` prints. Also the test message of `mynah send-test`.
//!
//! Each file holds the checks of one thing. A check says what it found, and what to do about it. It changes nothing that
//! lasts, but like every command it creates a database that is missing and brings an older one up to date. Those that
//! call out run at the same time, each with a time limit. To add a check, add a file and a line in [`run`].

mod account;
mod backup;
mod cache;
mod clock;
mod configuration;
mod data_folder;
mod database;
mod finding;
mod identity;
mod metrics;
mod model;
mod probe;
mod public_url;
mod round_trip;
mod server;
mod test_message;
mod transcription;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

pub use self::finding::{Finding, Outcome};
pub use self::probe::answer_probes;
pub use self::test_message::{DEFAULT_TEXT, TestReport, send as send_test_message};

use crate::app::App;
use crate::clock::Clock;
use crate::config::{Config, Sources};

/// How long one check that calls out may take. A model that is loaded first may take a minute.
const TIME_LIMIT: Duration = Duration::from_secs(120);

/// The findings of some checks.
type Findings<'a> = Pin<Box<dyn Future<Output = Vec<Finding>> + Send + 'a>>;

/// Runs every check and returns the findings in a fixed order. With `offline`, nothing is called. `progress` gets the
/// names of the checks that still run, each time one ends.
pub async fn run(
    sources: Sources,
    clock: Arc<dyn Clock>,
    offline: bool,
    progress: &(dyn Fn(&[&'static str]) + Send + Sync),
) -> Vec<Finding> {
    let (mut findings, config, data) = configuration::check(sources);
    if let Some(data) = &data {
        findings.extend(data_folder::check(&data.dir, &data.database));
        findings.push(identity::check(&data.age_key));
        findings.extend(database::check_file(&data.database).await);
    }
    let Some(config) = config else { return findings };
    let public_url = public_url::check(&config);
    if findings.iter().any(|finding| finding.outcome == Outcome::Failed && BLOCKING.contains(&finding.check)) {
        findings.extend(public_url);
        findings.push(Finding::skipped("further checks", "not run, because of the failures above"));
        return findings;
    }
    match build(config, clock).await {
        Ok(app) => {
            findings.push(database::check_write(&app).await);
            findings.push(cache::check(&app).await);
            findings.push(backup::check(&app).await);
            findings.extend(public_url);
            findings.extend(check_outside(&app, offline, progress).await);
        }
        Err(failure) => {
            findings.push(failure);
            findings.extend(public_url);
        }
    }
    findings
}

/// The checks whose failure leaves nothing that could be checked further.
const BLOCKING: [&str; 3] = [data_folder::NAME, identity::NAME, database::NAME];

async fn build(config: Config, clock: Arc<dyn Clock>) -> Result<Arc<App>, Finding> {
    let database = config.data.database.clone();
    match App::build(config, clock).await {
        Ok(app) => Ok(Arc::new(app)),
        Err(error) => Err(configuration::explain_build_error(&error, &database)),
    }
}

/// Runs the checks that call out, all at the same time.
async fn check_outside(
    app: &Arc<App>,
    offline: bool,
    progress: &(dyn Fn(&[&'static str]) + Send + Sync),
) -> Vec<Finding> {
    let mut tasks: Vec<(&'static str, Findings<'_>)> = vec![(clock::NAME, Box::pin(clock::check(app, offline)))];
    for number in &app.numbers {
        tasks.push((account::NAME, Box::pin(account::check(app, number, offline))));
    }
    tasks.push((round_trip::NAME, Box::pin(round_trip::check_unless(app, offline))));
    tasks.push((metrics::NAME, Box::pin(metrics::check(app, offline))));
    tasks.push((model::NAME, Box::pin(model::check(app, offline))));
    tasks.push((transcription::NAME, Box::pin(transcription::check(app, offline))));
    let mut still_running: Vec<_> = tasks.iter().map(|(name, _)| Some(*name)).collect();
    let mut findings = vec![Vec::new(); tasks.len()];
    let mut running: FuturesUnordered<_> = tasks
        .into_iter()
        .enumerate()
        .map(|(at, (_, task))| async move { (at, tokio::time::timeout(TIME_LIMIT, task).await) })
        .collect();
    loop {
        let mut names: Vec<_> = still_running.iter().copied().flatten().collect();
        names.dedup();
        progress(&names);
        let Some((at, outcome)) = running.next().await else { break };
        let name = still_running[at].take().unwrap_or_default();
        findings[at] = outcome.unwrap_or_else(|_| {
            let found = format!("no result within {} s", TIME_LIMIT.as_secs());
            vec![Finding::failed(name, found, "look at the log of the other side, and try again")]
        });
    }
    findings.into_iter().flatten().collect()
}
