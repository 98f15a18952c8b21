//! Measures whether memory stays flat while messages keep coming.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;

use super::load_generator::{self, Requests};
use super::report::{mib, percentile, table};
use super::{Plan, launch};

/// Messages a second.
const RATE: usize = 300;
/// Contacts. Each writes about every half minute.
const SENDERS: usize = 10_000;
/// The time between two measurements, in seconds.
const STEP_SECONDS: usize = 60;
/// The number of measurements.
const STEPS: usize = 24;

/// Sends the messages of five days, at one a second, within twenty-four minutes, from contacts who keep writing.
pub async fn soak(plan: &Plan) -> Result<()> {
    let folder = plan.folder()?;
    let server = launch(plan, 4, folder.path()).await?;
    plan.stand_ins.clear();
    let steps = if plan.rounds == 1 { 1 } else { STEPS };
    let mut rows = Vec::new();
    for step in 0..steps {
        let messages = RATE * STEP_SECONDS;
        let requests = Arc::new(Requests::messages(step * messages, messages, SENDERS));
        let (user, kernel) = server.processor_time()?;
        let written = server.written()?;
        let mut run = load_generator::constant_rate(server.address, RATE, &requests, 0).await?;
        plan.stand_ins.wait_for((step + 1) * messages).await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let (more_user, more_kernel) = server.processor_time()?;
        let took = (more_user + more_kernel - user - kernel).as_secs_f64() * 1e3 / messages as f64;
        rows.push(vec![
            ((step + 1) * messages).to_string(),
            mib(server.pss()?),
            mib(server.anonymous()?),
            server.threads()?.to_string(),
            format!("{:.2}", percentile(&mut run.latencies, 99)),
            format!("{took:.3} ms"),
            format!("{:.1} KB", (server.written()? - written) as f64 / 1e3 / messages as f64),
        ]);
    }
    println!(
        "{RATE} messages a second arrive from {SENDERS} contacts. mynah answers them, with typing indicators. Each \
         row shows the state after so many messages. Latency, processor time and bytes written are those of the last \
         {STEP_SECONDS} s.\n"
    );
    table(&["messages", "memory", "own", "threads", "ack p99", "processor", "written"], &rows);
    Ok(())
}
