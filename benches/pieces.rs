//! Measures the pieces of a message's path, one by one: `cargo bench --bench pieces`.
//!
//! The benchmarks of the store run on a real disk, in Cargo's folder for temporary files.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use mynah::channel::Channel;
use mynah::channel::twilio::Twilio;
use mynah::clock::{Clock, SystemClock};
use mynah::config::{Sender, TwilioConfig};
use mynah::metrics::{MessageOutcome, MessageSource, Metrics, ReplyKind, ServiceState, WebhookKind};
use mynah::model::{Event, Inbound, ProviderId, Usage, WebhookRequest};
use mynah::store::{Reply, Store, StoreOptions, StoredReply, TurnClaim, WebhookRecord};
use mynah::text;
use secrecy::SecretString;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

#[path = "serve/webhook.rs"]
mod webhook;

const SENDERS: usize = 5_000;

fn channel() -> Twilio {
    let config = TwilioConfig {
        account_sid: webhook::ACCOUNT.into(),
        auth_tokens: vec![SecretString::from(webhook::TOKEN)],
        api_key: None,
        sender: Sender::Number(webhook::OUR_NUMBER.into()),
        api_base_url: None,
        public_url: Some(webhook::PUBLIC_URL.parse().expect("the public URL is valid")),
    };
    Twilio::new(config, [7; 32])
}

fn delivery(number: usize) -> WebhookRequest {
    let params = webhook::params(number, number % SENDERS);
    WebhookRequest {
        path_and_query: webhook::PATH.into(),
        headers: webhook::headers(webhook::PATH, &params),
        body: Bytes::from(webhook::body(&params)),
    }
}

fn verify_and_parse(channel: &Twilio, delivery: &WebhookRequest) -> Inbound {
    channel.verify(delivery).expect("the webhook is signed");
    match channel.parse_events(delivery, SystemClock.now()).expect("the webhook can be parsed").pop() {
        Some(Event::Message(inbound)) => *inbound,
        other => panic!("a message was expected, not {other:?}"),
    }
}

fn webhooks(criterion: &mut Criterion) {
    let (channel, delivery) = (channel(), delivery(1));
    let mut group = criterion.benchmark_group("webhook");
    group.throughput(Throughput::Elements(1));
    group.bench_function("verify", |bencher| bencher.iter(|| channel.verify(black_box(&delivery))));
    group.bench_function("verify and parse", |bencher| {
        bencher.iter(|| verify_and_parse(&channel, black_box(&delivery)));
    });
    group.finish();
}

/// A store on disk. Each message that it receives is new.
struct StoreBench {
    runtime: Runtime,
    store: Store,
    channel: Twilio,
    next: AtomicUsize,
    _folder: TempDir,
}

impl StoreBench {
    fn new() -> Arc<StoreBench> {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder can be created");
        let options = StoreOptions::new(Duration::ZERO, Duration::from_secs(86_400));
        Arc::new(StoreBench {
            runtime: Runtime::new().expect("a runtime starts"),
            store: Store::open(&folder.path().join("mynah.db"), options).expect("a new database opens"),
            channel: channel(),
            next: AtomicUsize::new(1),
            _folder: folder,
        })
    }

    fn inbound(&self) -> (Inbound, WebhookRecord) {
        let delivery = delivery(self.next.fetch_add(1, Ordering::Relaxed));
        let inbound = verify_and_parse(&self.channel, &delivery);
        let record = WebhookRecord {
            channel: "twilio",
            received_at: inbound.received_at,
            path: delivery.path_and_query.clone(),
            headers: serde_json::json!(delivery.headers).to_string(),
            body: String::from_utf8_lossy(&delivery.body).into_owned(),
            status: 200,
            began: Instant::now(),
            error: None,
        };
        (inbound, record)
    }

    /// Returns how long it takes to accept `count` messages at once.
    fn accept(&self, count: usize) -> Duration {
        let messages: Vec<_> = (0..count).map(|_| self.inbound()).collect();
        self.runtime.block_on(async {
            let began = Instant::now();
            let mut all = JoinSet::new();
            for (inbound, record) in messages {
                let store = self.store.clone();
                all.spawn(async move { store.receive_plain(inbound, Some(record)).await });
            }
            for accepted in all.join_all().await {
                accepted.expect("the message is stored");
            }
            began.elapsed()
        })
    }

    /// Returns how long it takes to claim, answer and settle `count` accepted messages, without a model and a provider.
    fn answer_and_settle_all(&self, count: usize) -> Duration {
        self.accept(count);
        self.runtime.block_on(async {
            let began = Instant::now();
            let claims = self.store.claim(SystemClock.now(), count, count).await.expect("the queue is read");
            assert_eq!(claims.turns.len(), count, "each message has its own sender");
            let mut all = JoinSet::new();
            for claim in claims.turns {
                all.spawn(answer_and_settle(self.store.clone(), claim, self.next.fetch_add(1, Ordering::Relaxed)));
            }
            all.join_all().await;
            began.elapsed()
        })
    }
}

async fn answer_and_settle(store: Store, claim: TurnClaim, number: usize) {
    let now = SystemClock.now();
    let text = answer(1_000);
    let reply =
        Reply::Answer { text: text.clone(), model: "bench".into(), usage: Usage::default(), cost: 0, hand_over: None };
    let replied = store.reply(&claim, reply, vec![text], now).await.expect("the reply is stored");
    let StoredReply { part, token, .. } = replied.expect("the claim holds");
    let id = ProviderId(format!("SM{:032x}", number | 1 << 60));
    assert_eq!(
        store.mark_part_sent(part, token, id, now).await.expect("the part is settled"),
        mynah::store::PartSentOutcome::NothingFollows
    );
}

fn stores(criterion: &mut Criterion) {
    for (name, run) in [
        ("accept", StoreBench::accept as fn(&StoreBench, usize) -> Duration),
        ("claim, reply, sent", StoreBench::answer_and_settle_all),
    ] {
        let mut group = criterion.benchmark_group(name);
        group.sample_size(10).measurement_time(Duration::from_secs(4));
        for callers in [1, 16, 64] {
            let bench = StoreBench::new();
            group.throughput(Throughput::Elements(callers));
            let at_once = usize::try_from(callers).expect("a small number");
            group.bench_function(BenchmarkId::from_parameter(callers), |bencher| {
                bencher.iter_custom(|rounds| (0..rounds).map(|_| run(&bench, at_once)).sum());
            });
        }
        group.finish();
    }
}

/// Returns an answer as a model writes it, of about `bytes` bytes.
fn answer(bytes: usize) -> String {
    const PARAGRAPH: &str = "## Booking\n\nYes, we have a table for four **by the window** on Friday. Which time suits you \
                             best?\n\n- 18:30\n- 19:15, with the *tasting menu*\n- 20:45\n\nThe menu is at [our \
                             site](https://example.org/menu), and `GARDEN10` takes ten per cent off. Für größere Gruppen \
                             rufen Sie bitte an.\n\n";
    let mut text = PARAGRAPH.repeat(bytes / PARAGRAPH.len() + 1);
    let end = (0..=bytes).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text.truncate(end);
    text
}

fn texts(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("format and split");
    for bytes in [1_000, 6_000] {
        let answer = answer(bytes);
        group.throughput(Throughput::Bytes(answer.len() as u64));
        group.bench_with_input(BenchmarkId::from_parameter(bytes), &answer, |bencher, answer| {
            bencher.iter(|| text::split(&text::to_whatsapp(black_box(answer)), 1_500, 5));
        });
    }
    group.finish();
}

/// What is recorded on the way of one message: its webhook, its turn, the model's call, the post and three callbacks.
fn record_message(metrics: &Metrics) {
    let took = black_box(Duration::from_millis(7));
    metrics.messages.record(MessageSource::Webhook, MessageOutcome::Queued);
    metrics.webhooks.record_ack(WebhookKind::Message, took);
    metrics.cache_misses.inc();
    let mut call = metrics.model_calls.begin("openai gpt-5-mini", Some("gpt-5-mini"));
    call.end(None);
    call.record_usage(Usage { input_tokens: 500, output_tokens: 100, estimated: false }, 325);
    drop(call);
    metrics.sends.record(None, took);
    metrics.turns.record(ReplyKind::Answer, took);
    for status in ["sent", "delivered", "read"] {
        metrics.deliveries.record(status, None);
        metrics.webhooks.record_ack(WebhookKind::Status, took);
    }
}

fn metrics(criterion: &mut Criterion) {
    let metrics = Metrics::default();
    let mut group = criterion.benchmark_group("metrics");
    group.bench_function("one message", |bencher| bencher.iter(|| record_message(&metrics)));
    group.bench_function("a scrape", |bencher| bencher.iter(|| metrics.render(&ServiceState::default())));
    group.finish();
}

criterion_group!(benches, webhooks, stores, texts, metrics);
criterion_main!(benches);
