//! Measures the whole path from outside: the release executable over loopback, and two bare servers in the same run.
//!
//! - `cargo bench --bench serve` runs everything but `large`, `huge` and `soak`, which take long.
//! - `-- steady cost` runs only these.
//! - `-- large` measures a database of a gigabyte, `-- huge` one of ten million messages.
//! - `-- soak` keeps a steady rate for twenty-four minutes.
//! - `--quick` shortens the runs.
//! - `--dir PATH` keeps the data on another disk.
//! - `--program PATH` measures another executable.
//!
//! No run fails because it is slow. docs/performance.md explains the figures. To add a measurement, add a function here
//! that prints a table.

mod baseline;
mod flood;
mod large_database;
mod load_generator;
mod report;
mod server_process;
mod soak;
mod stand_ins;
mod webhook;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tempfile::TempDir;

use self::load_generator::{Connection, Requests, Run, SENDERS};
use self::report::{median, mib, millis, percentile, table};
use self::server_process::{Server, Setting, mynah};
use self::stand_ins::StandIn;

/// The numbers of connections in the throughput runs.
const CONNECTIONS: [usize; 3] = [1, 32, 128];
/// Requests before the clock starts.
const WARM_UP: usize = 200;

/// What to run, and how long.
struct Plan {
    folder: PathBuf,
    stand_ins: StandIn,
    rounds: usize,
    /// The length of each throughput run.
    run_time: Duration,
    /// The length of each run at a steady rate, in seconds.
    steady_seconds: usize,
    /// How often the start of the process is measured.
    starts: usize,
}

impl Plan {
    fn folder(&self) -> Result<TempDir> {
        tempfile::tempdir_in(&self.folder)
            .with_context(|| format!("cannot create a folder in {}", self.folder.display()))
    }

    fn answering_setting(&self, typing: bool) -> Setting<'_> {
        Setting { stand_ins: Some(&self.stand_ins), typing }
    }
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [bare, what, folder] = arguments.as_slice()
        && bare == "bare"
    {
        return baseline::run((what == "store").then_some(Path::new(folder)));
    }
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    let folder = arguments.iter().skip_while(|argument| *argument != "--dir").nth(1);
    let folder = folder.map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from);
    std::fs::create_dir_all(&folder)?;
    let quick = has("--quick");
    let plan = Plan {
        folder,
        stand_ins: StandIn::start()?,
        rounds: if quick { 1 } else { 5 },
        run_time: Duration::from_secs(if quick { 1 } else { 2 }),
        steady_seconds: if quick { 4 } else { 20 },
        starts: if quick { 3 } else { 10 },
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let names = ["throughput", "steady", "flood", "cost", "memory", "start", "large", "huge", "soak"];
    let some = names.iter().any(|name| has(name));
    let wanted = |name: &str| if some { has(name) } else { !["large", "huge", "soak"].contains(&name) };
    runtime.block_on(async {
        report::machine(&plan.folder)?;
        for name in names.into_iter().filter(|name| wanted(name)) {
            match name {
                "throughput" => throughput(&plan).await?,
                "steady" => steady(&plan).await?,
                "flood" => flood::flood(&plan).await?,
                "cost" => cost(&plan).await?,
                "memory" => memory(&plan).await?,
                "start" => start(&plan).await?,
                "large" => on_large_database(&plan, large_database::GIGABYTE).await?,
                "huge" => on_large_database(&plan, large_database::TEN_MILLION).await?,
                _ => soak::soak(&plan).await?,
            }
        }
        println!("load after the run: {}", report::load());
        Ok(())
    })
}

/// The servers of the throughput runs, in the order in which they take turns.
const SERVERS: [&str; 5] = [
    "bare: checks the signature",
    "bare: checks and stores one row",
    "mynah, no model: accepts",
    "mynah, answering meanwhile",
    "mynah, answering, with typing",
];

async fn launch(plan: &Plan, kind: usize, folder: &Path) -> Result<Server> {
    let mut server = match kind {
        0 => Server::baseline(folder, "verify")?,
        1 => Server::baseline(folder, "store")?,
        2 => Server::mynah(folder, Setting { stand_ins: None, typing: false })?,
        _ => Server::mynah(folder, plan.answering_setting(kind == 4))?,
    };
    server.ready().await?;
    Ok(server)
}

#[derive(Default)]
struct Figures {
    acks: Vec<f64>,
    answers: Vec<f64>,
    p50: Vec<f64>,
    p99: Vec<f64>,
    /// The server's processor time for each ack, in microseconds.
    processor: Vec<f64>,
}

/// Measures acks as fast as they come, in several rounds in which the servers take turns.
async fn throughput(plan: &Plan) -> Result<()> {
    let most = WARM_UP + 60_000 * usize::try_from(plan.run_time.as_secs())?;
    let requests = Arc::new(Requests::messages(0, most, SENDERS));
    let mut rows = Vec::new();
    for connections in CONNECTIONS {
        let mut all: [Figures; SERVERS.len()] = Default::default();
        for _ in 0..plan.rounds {
            for (kind, figures) in all.iter_mut().enumerate() {
                let folder = plan.folder()?;
                let server = launch(plan, kind, folder.path()).await?;
                warm_up(&server, &requests, WARM_UP).await?;
                plan.stand_ins.clear();
                let before = ResourceUsage::of(&server)?;
                let mut run =
                    load_generator::closed_loop(server.address, connections, &requests, WARM_UP, plan.run_time).await?;
                figures.processor.push(
                    ResourceUsage::of(&server)?.processor_time_since(&before).as_micros() as f64
                        / run.latencies.len() as f64,
                );
                figures.answers.push(plan.stand_ins.posts() as f64 / run.wall.as_secs_f64());
                figures.acks.push(run.per_second());
                figures.p50.push(percentile(&mut run.latencies, 50));
                figures.p99.push(percentile(&mut run.latencies, 99));
            }
        }
        for (kind, figures) in all.iter().enumerate() {
            // Ratios are taken within a round, so that a busy minute affects both sides.
            let ratio = |other: usize| {
                let pairs = figures.acks.iter().zip(&all[other].acks);
                format!("{:.2}", median(pairs.map(|(own, bare)| own / bare).collect()))
            };
            let figure = |figures: &[f64], digits: usize| format!("{:.digits$}", median(figures.to_vec()));
            rows.push(vec![
                connections.to_string(),
                SERVERS[kind].to_owned(),
                figure(&figures.acks, 0),
                figure(&figures.p50, 2),
                figure(&figures.p99, 2),
                figure(&figures.processor, 0),
                ratio(0),
                ratio(1),
                if kind > 2 { figure(&figures.answers, 0) } else { "–".to_owned() },
            ]);
        }
    }
    println!(
        "Medians of {} rounds of {} s, in which the servers take turns. Latencies are in ms, and processor time for \
         each ack is in µs.\n",
        plan.rounds,
        plan.run_time.as_secs()
    );
    let head =
        ["connections", "server", "acks/s", "p50", "p99", "processor", "of check", "of check and store", "answers/s"];
    table(&head, &rows);
    Ok(())
}

async fn warm_up(server: &Server, requests: &Requests, count: usize) -> Result<()> {
    let mut connection = Connection::open(server.address).await?;
    for number in 0..count {
        connection.call(requests.get(number).context("too few requests for the warm-up")?).await?;
    }
    Ok(())
}

/// The resources that a process has used so far.
struct ResourceUsage {
    user: Duration,
    kernel: Duration,
    written: u64,
}

impl ResourceUsage {
    fn of(server: &Server) -> Result<ResourceUsage> {
        let (user, kernel) = server.processor_time()?;
        Ok(ResourceUsage { user, kernel, written: server.written()? })
    }

    fn processor_time_since(&self, before: &ResourceUsage) -> Duration {
        self.user + self.kernel - before.user - before.kernel
    }

    /// Returns the usage since `before` for each message: processor time, its user and kernel shares, and KB written.
    fn per_message(&self, before: &ResourceUsage, messages: usize) -> [String; 3] {
        let each = |time: Duration| time.as_secs_f64() * 1e3 / messages as f64;
        let (user, kernel) = (each(self.user - before.user), each(self.kernel - before.kernel));
        [
            format!("{:.3} ms", user + kernel),
            format!("{user:.3} + {kernel:.3}"),
            format!("{:.1} KB", (self.written - before.written) as f64 / 1e3 / messages as f64),
        ]
    }
}

/// Measures how long an ack takes, and how long after it mynah posts the reply, at the rates of a quiet and of a busy
/// business. The messages come from new contacts, for each of whom mynah creates a contact and a conversation, and from
/// contacts who have written before.
async fn steady(plan: &Plan) -> Result<()> {
    let mut rows = Vec::new();
    let runs = [(100, 1), (100, 3), (50, 1), (50, 3), (50, 4), (5, 3)];
    let first = runs.map(|(rate, kind)| (rate, kind, false));
    for (rate, kind, known) in first.into_iter().chain([(50, 3, true), (5, 3, true)]) {
        let folder = plan.folder()?;
        let server = launch(plan, kind, folder.path()).await?;
        let messages = (rate * plan.steady_seconds).min(SENDERS - WARM_UP);
        let (before, senders) = if known { (messages, messages) } else { (WARM_UP, SENDERS) };
        let requests = Arc::new(Requests::messages(0, before + messages, senders));
        plan.stand_ins.clear();
        warm_up(&server, &requests, before).await?;
        let answered = kind > 2;
        if answered {
            plan.stand_ins.wait_for(before).await?;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        let spent = ResourceUsage::of(&server)?;
        let mut run = load_generator::constant_rate(server.address, rate, &requests, before).await?;
        if answered {
            plan.stand_ins.wait_for(before + messages).await?;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        let [processor, _, written] = ResourceUsage::of(&server)?.per_message(&spent, messages);
        let mut replies = reply_times(plan, &run, senders);
        let mut reply = |percent| match answered {
            true => format!("{:.2}", percentile(&mut replies, percent)),
            false => "–".to_owned(),
        };
        rows.push(vec![
            format!("{rate}/s"),
            if known { "known" } else { "new" }.to_owned(),
            SERVERS[kind].to_owned(),
            format!("{:.2}", percentile(&mut run.latencies, 50)),
            format!("{:.2}", percentile(&mut run.latencies, 99)),
            reply(50),
            reply(99),
            processor,
            written,
        ]);
    }
    println!(
        "Each run takes {} s at a steady rate. Latencies are in ms. Processor time and bytes written are for each \
         message.\n",
        plan.steady_seconds
    );
    let head = ["rate", "contacts", "server", "ack p50", "ack p99", "ack to reply p50", "p99", "processor", "written"];
    table(&head, &rows);
    Ok(())
}

/// Returns the times from the client's receipt of the ack to the arrival of the reply at the stand-in, in microseconds.
fn reply_times(plan: &Plan, run: &Run, senders: usize) -> Vec<u32> {
    let arrived = |&(number, acked): &(usize, Instant)| {
        let arrival = plan.stand_ins.arrival(number % senders)?;
        u32::try_from(arrival.saturating_duration_since(acked).as_micros()).ok()
    };
    run.acked.iter().filter_map(arrived).collect()
}

/// The number of messages in a cost run.
const COST_MESSAGES: usize = 5_000;

/// Measures what a message costs from webhook to sent reply if many arrive at once.
async fn cost(plan: &Plan) -> Result<()> {
    let mut rows = Vec::new();
    for (typing, callbacks) in [(false, false), (true, false), (false, true)] {
        let folder = plan.folder()?;
        let mut server = Server::mynah(folder.path(), plan.answering_setting(typing))?;
        server.ready().await?;
        let name = match (typing, callbacks) {
            (false, false) => "replies",
            (true, _) => "replies and typing indicators",
            (false, true) => "replies, and three status callbacks for each",
        };
        rows.push(burst_cost(plan, &server, name, callbacks, 0).await?);
    }
    println!("{COST_MESSAGES} messages on 32 connections, all answered. The figures are for each message.\n");
    table(&["work", "processor", "user + kernel", "written", "all answered after"], &rows);
    Ok(())
}

async fn burst_cost(plan: &Plan, server: &Server, name: &str, callbacks: bool, first: usize) -> Result<Vec<String>> {
    let requests = Arc::new(Requests::messages(first, WARM_UP + COST_MESSAGES, SENDERS + WARM_UP));
    plan.stand_ins.clear();
    warm_up(server, &requests, WARM_UP).await?;
    plan.stand_ins.wait_for(WARM_UP).await?;
    tokio::time::sleep(Duration::from_millis(300)).await;
    if callbacks {
        plan.stand_ins.keep_callbacks();
    }
    let before = ResourceUsage::of(server)?;
    let began = Instant::now();
    load_generator::closed_loop(server.address, 32, &requests, WARM_UP, Duration::MAX).await?;
    plan.stand_ins.wait_for(WARM_UP + COST_MESSAGES).await?;
    let wall = began.elapsed();
    if callbacks {
        let wanted = plan.stand_ins.callbacks();
        for status in ["sent", "delivered", "read"] {
            let requests = Arc::new(Requests::callbacks(&wanted, status));
            load_generator::closed_loop(server.address, 32, &requests, 0, Duration::MAX).await?;
        }
    }
    // mynah still has to record the last posts.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let [processor, halves, written] = ResourceUsage::of(server)?.per_message(&before, COST_MESSAGES);
    Ok(vec![name.to_owned(), processor, halves, written, format!("{:.2} s", wall.as_secs_f64())])
}

/// Measures memory (PSS) when idle, after a burst and after many senders, and the size of the executable.
async fn memory(plan: &Plan) -> Result<()> {
    let folder = plan.folder()?;
    let mut server = Server::mynah(folder.path(), plan.answering_setting(true))?;
    server.ready().await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut rows = vec![vec!["idle".to_owned(), mib(server.pss()?), server.threads()?.to_string()]];
    plan.stand_ins.clear();
    let mut sent = 0;
    for (name, upto) in [("after a burst of 2,000", 2_000), ("after 10,000 senders", 10_000)] {
        let requests = Arc::new(Requests::messages(sent, upto - sent, usize::MAX));
        load_generator::closed_loop(server.address, 128, &requests, 0, Duration::MAX).await?;
        plan.stand_ins.wait_for(upto).await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
        rows.push(vec![name.to_owned(), mib(server.pss()?), server.threads()?.to_string()]);
        sent = upto;
    }
    let typing = plan.stand_ins.typing();
    println!("Memory (PSS) with 128 connections and {typing} typing indicators.\n");
    table(&["moment", "memory", "threads"], &rows);
    let size = std::fs::metadata(mynah())?.len();
    table(&["executable"], &[vec![mib(size)]]);
    Ok(())
}

/// Measures the time from the start of the process to the first signed webhook that is stored and acknowledged.
async fn start(plan: &Plan) -> Result<()> {
    let folder = plan.folder()?;
    let first = time_to_first_ack(plan, folder.path(), 0).await?;
    let mut times = Vec::new();
    for number in 1..=plan.starts {
        times.push(time_to_first_ack(plan, folder.path(), number).await?.as_secs_f64());
    }
    let rows = [
        vec!["a new data folder (once)".to_owned(), millis(first)],
        vec![
            format!("the same folder again (median of {})", plan.starts),
            millis(Duration::from_secs_f64(median(times))),
        ],
    ];
    table(&["from start to the first signed 200", ""], &rows);
    Ok(())
}

async fn time_to_first_ack(plan: &Plan, folder: &Path, number: usize) -> Result<Duration> {
    let requests = Requests::messages(9_000_000 + number, 1, 1);
    let began = Instant::now();
    let mut server = Server::mynah(folder, plan.answering_setting(false))?;
    server.ready().await?;
    let request = requests.get(0).context("there is no request")?;
    Connection::open(server.address).await?.call(request).await?;
    let took = began.elapsed();
    server.stop()?;
    Ok(took)
}

/// Measures start, memory and cost on a database that already holds `turns` answered turns.
async fn on_large_database(plan: &Plan, turns: u32) -> Result<()> {
    let folder = plan.folder()?;
    let size = large_database::generate(folder.path(), turns)?;
    let mut times = Vec::new();
    for number in 0..plan.starts {
        times.push(time_to_first_ack(plan, folder.path(), number).await?.as_secs_f64());
    }
    let mut server = Server::mynah(folder.path(), plan.answering_setting(false))?;
    server.ready().await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let idle = server.pss()?;
    let cost = burst_cost(plan, &server, "", false, 0).await?;
    let rows = [
        vec!["start to the first signed 200".to_owned(), millis(Duration::from_secs_f64(median(times)))],
        vec!["memory idle".to_owned(), mib(idle)],
        vec!["processor time for each message".to_owned(), cost[1].clone()],
        vec!["written for each message".to_owned(), cost[3].clone()],
    ];
    println!("A database of {} messages ({}). Its pages are in the kernel's cache.\n", 2 * turns, mib(size));
    table(&["measured", ""], &rows);
    Ok(())
}
