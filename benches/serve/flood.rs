//! Measures whether one contact who keeps writing slows down the others.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;

use super::load_generator::{self, Requests, SENDERS};
use super::report::{median, percentile, table};
use super::{Plan, launch, reply_times};

/// Measures the others' latencies alone and while one contact writes a thousand messages a minute. The two alternate,
/// so that other load on the machine affects both.
pub async fn flood(plan: &Plan) -> Result<()> {
    const RATE: usize = 20;
    const FLOOD: usize = 17;
    let mut latencies: [[Vec<u32>; 2]; 2] = Default::default();
    let mut ratios = [Vec::new(), Vec::new()];
    for _ in 0..plan.rounds {
        let mut p99 = [[0.0; 2]; 2];
        for flooded in [0, 1] {
            let folder = plan.folder()?;
            let server = launch(plan, 3, folder.path()).await?;
            plan.stand_ins.clear();
            let messages = RATE * plan.steady_seconds;
            // These start at 1, because sender 0 is the contact who floods.
            let requests = Arc::new(Requests::messages(1, messages, SENDERS));
            let flood = Arc::new(Requests::messages(1_000_000, flooded * FLOOD * plan.steady_seconds, 1));
            let others = load_generator::constant_rate(server.address, RATE, &requests, 0);
            let (mut run, _) =
                tokio::try_join!(others, load_generator::constant_rate(server.address, FLOOD, &flood, 0))?;
            run.acked.iter_mut().for_each(|(number, _)| *number += 1);
            plan.stand_ins.wait_for(messages).await?;
            tokio::time::sleep(Duration::from_millis(300)).await;
            let replies = reply_times(plan, &run, SENDERS);
            for (of, mut times) in [run.latencies, replies].into_iter().enumerate() {
                p99[flooded][of] = percentile(&mut times, 99);
                latencies[flooded][of].extend(times);
            }
        }
        for of in [0, 1] {
            ratios[of].push(p99[1][of] / p99[0][of]);
        }
    }
    let mut rows = Vec::new();
    for (name, times) in ["alone", "beside a flood"].into_iter().zip(&mut latencies) {
        let [acks, replies] = times;
        let figure = |times: &mut Vec<u32>, percent| format!("{:.2}", percentile(times, percent));
        rows.push(vec![name.to_owned(), figure(acks, 50), figure(acks, 99), figure(replies, 50), figure(replies, 99)]);
    }
    let [acks, replies] = ratios.map(|ratios| format!("{:.2}", median(ratios)));
    let dash = || "–".to_owned();
    rows.push(vec!["beside a flood to alone, median of the rounds".to_owned(), dash(), acks, dash(), replies]);
    println!(
        "{RATE} contacts write each second, alone and while one more contact writes 1,000 messages a minute. The two \
         alternate over {} rounds of {} s each. Latencies are in ms.\n",
        plan.rounds, plan.steady_seconds
    );
    table(&["others", "ack p50", "ack p99", "ack to reply p50", "p99"], &rows);
    Ok(())
}
