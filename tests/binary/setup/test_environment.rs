//! Twilio, the model and the contacts, inside the test.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use mynah::clock::{Clock, FastClock, SystemClock};
use mynah::simulator::{Simulator, SimulatorConfig};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::setup::answer_tally::{AnswerTally, MessageMark, marked_text, marks_in, phone};
use crate::setup::server_process::{CLOCK_SPEED, CommandSettings, ServerProcess, free_port};
use crate::setup::wait::{SeededRandom, TEST_TIMEOUT, wait_until};

/// What is in every file that a contact attaches.
const ATTACHED_TEXT: &str = "Rye bread: 4.50";

pub const ACCOUNT: &str = "AC0123456789abcdef0123456789abcdef";
pub const TOKEN: &str = "fedcba9876543210fedcba9876543210";
pub const OPENAI_KEY: &str = "sk-of-the-test";
pub const OUR_NUMBER: &str = "+14155238886";

/// Between two tries of a webhook that was not acknowledged.
const WEBHOOK_RETRY_INTERVAL: Duration = Duration::from_millis(30);

/// Everything outside the program.
pub struct TestEnvironment {
    pub twilio: Simulator,
    pub twilio_recorder: Arc<TwilioRecorder>,
    pub model: Arc<ModelStandIn>,
    pub settings: CommandSettings,
    /// Where Twilio's API is.
    pub twilio_api_url: String,
    /// Twilio's clock, which is the program's.
    pub clock: Arc<dyn Clock>,
    #[cfg(feature = "failpoints")]
    next_sid: AtomicU64,
    _folder: TempDir,
}

/// A proxy before the simulator: it records what was created, and is slow on demand.
#[derive(Default)]
pub struct TwilioRecorder {
    created_messages: Mutex<Vec<(String, String)>>,
    /// The files that were fetched as Twilio does: their types, and what they hold.
    pub files: Mutex<Vec<(String, Vec<u8>)>>,
    /// Names and variables of templates.
    pub templates: Mutex<Vec<(String, String)>>,
    /// Milliseconds between the creation of a message and the answer.
    pub answer_delay_ms: AtomicU64,
}

/// The model: answers with the marks of what was said since its last answer.
pub struct ModelStandIn {
    random: Mutex<SeededRandom>,
    /// Milliseconds that an answer takes at the most; a random time below.
    pub max_delay_ms: AtomicU64,
    /// Calls so far.
    pub calls: AtomicU64,
    /// While it is `true`, nothing is answered.
    pub paused: watch::Sender<bool>,
    /// The instructions of each call, in the order in which the calls came.
    pub instructions: Mutex<Vec<String>>,
    /// What each answer ends with.
    pub answer_suffix: Mutex<String>,
}

impl TestEnvironment {
    pub async fn new() -> TestEnvironment {
        TestEnvironment::with_seed(1).await
    }

    pub async fn with_seed(seed: u64) -> TestEnvironment {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let port = free_port();
        let webhook = format!("http://127.0.0.1:{port}/webhooks/twilio").parse().expect("an address");
        // The same clock as the program's: a message is looked for by when it was created.
        let clock: Arc<dyn Clock> =
            if CLOCK_SPEED == 1 { Arc::new(SystemClock) } else { Arc::new(FastClock::new(CLOCK_SPEED)) };
        let twilio =
            Simulator::new(SimulatorConfig::new(ACCOUNT, TOKEN.to_owned(), OUR_NUMBER, webhook, clock.clone()));
        let recorder = Arc::new(TwilioRecorder::default());
        let model = Arc::new(ModelStandIn {
            random: Mutex::new(SeededRandom(seed)),
            max_delay_ms: AtomicU64::default(),
            calls: AtomicU64::default(),
            paused: watch::Sender::new(false),
            instructions: Mutex::default(),
            answer_suffix: Mutex::default(),
        });
        let file = "/2010-04-01/Accounts/{account}/Messages/{message}/Media/{file}";
        let api = twilio.api().route(file, get(|| async { ATTACHED_TEXT }));
        let api = api.layer(axum::middleware::from_fn_with_state(Arc::clone(&recorder), record_created_message));
        let completions = Router::new()
            .route("/v1/chat/completions", post(complete))
            .route("/v1/models", get(list_models))
            .with_state(Arc::clone(&model));
        let api = serve(api).await;
        let settings = CommandSettings::new(folder.path(), port)
            .with("TWILIO_ACCOUNT_SID", ACCOUNT)
            .with("TWILIO_AUTH_TOKEN", TOKEN)
            .with("TWILIO_WHATSAPP_FROM", OUR_NUMBER)
            .with("TWILIO_API_BASE_URL", &api)
            .with("OPENAI_BASE_URL", &format!("{}/v1", serve(completions).await))
            .with("OPENAI_API_KEY", OPENAI_KEY)
            .with("MYNAH_AI_MODEL", "test")
            .with("MYNAH_AI_CONCURRENCY", "64")
            .with("MYNAH_MERGE_WINDOW", "0");
        TestEnvironment {
            twilio,
            twilio_recorder: recorder,
            model,
            settings,
            twilio_api_url: api,
            clock,
            #[cfg(feature = "failpoints")]
            next_sid: AtomicU64::default(),
            _folder: folder,
        }
    }

    /// A contact says one message, and repeats it until it is acknowledged.
    pub async fn contact_writes(&self, mark: MessageMark) {
        let sid = self.twilio.add_inbound(&phone(mark.0), &marked_text(mark));
        self.deliver_until_acknowledged(mark, &sid).await;
    }

    /// As [`TestEnvironment::contact_writes`], without a line in Twilio's list: for more messages than the list keeps.
    #[cfg(feature = "failpoints")]
    pub async fn contact_writes_unlisted(&self, mark: MessageMark) {
        let sid = format!("SM{:032x}", self.next_sid.fetch_add(1, Ordering::Relaxed));
        self.deliver_until_acknowledged(mark, &sid).await;
    }

    async fn deliver_until_acknowledged(&self, mark: MessageMark, sid: &str) {
        let began = Instant::now();
        let params = self.twilio.inbound_params(sid, &phone(mark.0), "Ana", &marked_text(mark));
        loop {
            match self.twilio.post_webhook(params.clone(), sid).await {
                Ok(delivered) if delivered.status == 200 => return,
                other => {
                    assert!(began.elapsed() < TEST_TIMEOUT, "{mark:?} was never acknowledged; the last: {other:?}");
                }
            }
            tokio::time::sleep(WEBHOOK_RETRY_INTERVAL).await;
        }
    }

    /// Messages 0 to `each` of senders 0 to `senders`, one task per sender, each in order.
    pub fn contacts_write(self: &Arc<Self>, senders: usize, each: usize) -> tokio::task::JoinSet<()> {
        let mut talk = tokio::task::JoinSet::new();
        for sender in 0..senders {
            let environment = Arc::clone(self);
            talk.spawn(async move {
                for number in 0..each {
                    environment.contact_writes((sender, number)).await;
                }
            });
        }
        talk
    }

    /// What was sent, address and text, in the order of its creation.
    pub fn sent_messages(&self) -> Vec<(String, String)> {
        self.twilio_recorder.created_messages.lock().expect("no panic under this lock").clone()
    }

    pub fn tally(&self, senders: usize, each: usize) -> AnswerTally {
        AnswerTally::of(&self.sent_messages(), senders, each)
    }

    /// Waits until nothing is left to do, then counts: each message is answered once, in order, and no turn has failed.
    pub async fn wait_until_all_answered_once(&self, server: &mut ServerProcess, senders: usize, each: usize) {
        self.wait_until_all_answered(server, senders, each).await;
        let tally = self.tally(senders, each);
        assert_eq!(tally, AnswerTally::default(), "{tally}\n{}", server.log());
    }

    /// Waits until each message is answered and no turn waits or has failed.
    pub async fn wait_until_all_answered(&self, server: &mut ServerProcess, senders: usize, each: usize) {
        let began = Instant::now();
        let mut jobs = Value::Null;
        loop {
            if let Some(status) = server.exit_status() {
                panic!("the server has ended: {status}\n{}", server.log());
            }
            if self.tally(senders, each).lost.is_empty() {
                jobs = server.settings.run(&["jobs", "list", "--json"]).await.json();
                if jobs == json!([]) {
                    return;
                }
            }
            if began.elapsed() > TEST_TIMEOUT {
                let tally = self.tally(senders, each);
                panic!("not all is answered: {tally}\njobs: {jobs:#}\n{}", server.log());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until the model has been asked that often.
    pub async fn wait_for_model_calls(&self, calls: u64) {
        wait_until("the model is asked", TEST_TIMEOUT, || async {
            (self.model.calls.load(Ordering::SeqCst) >= calls).then_some(())
        })
        .await;
    }
}

/// On a free port of the loopback; its address.
pub async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it has an address");
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

/// Records the message that a call creates. The call may be cut off any time after that.
async fn record_created_message(State(recorder): State<Arc<TwilioRecorder>>, request: Request, next: Next) -> Response {
    if request.method() != Method::POST || !request.uri().path().ends_with("/Messages.json") {
        return next.run(request).await;
    }
    let (head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, 1 << 20).await else { return axum::http::StatusCode::BAD_REQUEST.into_response() };
    let field = |name: &str| {
        let mut pairs = url::form_urlencoded::parse(&body);
        pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned()).unwrap_or_default()
    };
    let message = (field("To"), field("Body"));
    let (url, template) = (field("MediaUrl"), (field("ContentSid"), field("ContentVariables")));
    let response = next.run(Request::from_parts(head, Body::from(body))).await;
    if response.status() == 201 {
        if !url.is_empty() {
            let client = mynah::http::client(TEST_TIMEOUT, TEST_TIMEOUT, mynah::http::AllowedTargets::Any);
            let fetched = client.get(url).send().await.expect("the file's address answers");
            assert_eq!(fetched.status(), 200);
            let media_type = fetched.headers()["content-type"].to_str().expect("a type").to_owned();
            let content = fetched.bytes().await.expect("the whole file").to_vec();
            recorder.files.lock().expect("no panic under this lock").push((media_type, content));
        }
        if !template.0.is_empty() {
            recorder.templates.lock().expect("no panic under this lock").push(template);
        }
        recorder.created_messages.lock().expect("no panic under this lock").push(message);
    }
    let slow = recorder.answer_delay_ms.load(Ordering::Relaxed);
    if slow > 0 {
        tokio::time::sleep(Duration::from_millis(slow)).await;
    }
    response
}

async fn list_models() -> Json<Value> {
    Json(
        json!({ "object": "list", "data": [{ "id": "house-model", "object": "model", "created": 1, "owned_by": "us" }] }),
    )
}

async fn complete(State(model): State<Arc<ModelStandIn>>, Json(request): Json<Value>) -> Json<Value> {
    model.calls.fetch_add(1, Ordering::SeqCst);
    let lines = request["messages"].as_array().cloned().unwrap_or_default();
    let instructions = lines.first().and_then(|line| line["content"].as_str()).unwrap_or_default().to_owned();
    model.instructions.lock().expect("no panic under this lock").push(instructions);
    let mut new: Vec<&Value> = lines.iter().rev().take_while(|line| line["role"] != "assistant").collect();
    new.reverse();
    let new = new.iter().filter(|line| line["role"] == "user").filter_map(|line| line["content"].as_str());
    let answer: Vec<String> = new.flat_map(marks_in).map(|(sender, number)| format!("#{sender}-{number}#")).collect();
    // An error means that the test is over.
    let _ = model.paused.subscribe().wait_for(|held| !held).await;
    let most = model.max_delay_ms.load(Ordering::Relaxed);
    if most > 0 {
        let delay = model.random.lock().expect("no panic under this lock").below(most + 1);
        tokio::time::sleep(Duration::from_millis(delay)).await;
    }
    let tail = model.answer_suffix.lock().expect("no panic under this lock").clone();
    Json(json!({
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "test",
        "choices": [{
            "index": 0,
            "message": { "role": "assistant", "content": format!("re: {}{tail}", answer.join(" ")) },
            "finish_reason": "stop",
        }],
        "usage": { "prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2 },
    }))
}
