//! The app under test with its stand-ins.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use mynah::ai::Provider;
use mynah::app::{App, Assistant, LiveApp};
use mynah::channel::{Channel, twilio};
use mynah::clock::{Clock, ManualClock, Time};
use mynah::config::{AiConfig, Config, Sources};
use mynah::file_reader::FileReader;
use mynah::store::JobRow;
use mynah::{web, work};
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

pub const ACCOUNT: &str = "AC00000000000000000000000000000001";
pub const TOKEN: &str = "0123456789abcdef0123456789abcdef";
pub const PUBLIC_URL: &str = "https://bot.example.org";
pub const OUR_NUMBER: &str = "whatsapp:+14155238886";
pub const ANA: &str = "whatsapp:+12025550101";
pub const BEN: &str = "whatsapp:+12025550102";

/// The headers of every response.
pub const SECURITY_HEADERS: [&str; 9] = [
    "x-content-type-options",
    "x-frame-options",
    "referrer-policy",
    "content-security-policy",
    "cache-control",
    "cross-origin-opener-policy",
    "cross-origin-resource-policy",
    "permissions-policy",
    "strict-transport-security",
];

/// 2026-11-01T10:00:00Z.
const START: Time = Time(1_793_527_200_000);

pub struct TestApp {
    pub app: Arc<App>,
    pub clock: ManualClock,
    pub twilio: MockServer,
    pub model: MockServer,
    pub folder: TempDir,
    settings: BTreeMap<String, String>,
    next_sid: AtomicU64,
}

impl TestApp {
    /// Twilio accepts everything; the model answers `Hello!`.
    pub async fn new() -> TestApp {
        let test_app = TestApp::with_settings(&[]).await;
        test_app.twilio_accepts_everything().await;
        test_app.model_answers("Hello!").await;
        test_app
    }

    /// Stand-ins that answer nothing yet, and settings over the usual ones; an empty value takes one away.
    pub async fn with_settings(settings: &[(&str, &str)]) -> TestApp {
        let (twilio, model) = (MockServer::start().await, MockServer::start().await);
        let folder = tempfile::tempdir().unwrap();
        let mut all = BTreeMap::from(
            [
                ("MYNAH_DATA_DIR", folder.path().to_str().unwrap()),
                ("MYNAH_PUBLIC_URL", PUBLIC_URL),
                ("MYNAH_MERGE_WINDOW", "0"),
                ("MYNAH_TYPING", "false"),
                ("MYNAH_BACKUP_EVERY", "0"),
                ("TWILIO_ACCOUNT_SID", ACCOUNT),
                ("TWILIO_AUTH_TOKEN", TOKEN),
                ("TWILIO_WHATSAPP_FROM", OUR_NUMBER),
                ("TWILIO_API_BASE_URL", &twilio.uri()),
                ("OPENAI_BASE_URL", &format!("{}/v1", model.uri())),
                ("OPENAI_API_KEY", "sk-test"),
                ("MYNAH_AI_MODEL", "test-model"),
            ]
            .map(|(key, value)| (key.to_owned(), value.to_owned())),
        );
        for (key, value) in settings {
            all.insert((*key).to_owned(), (*value).to_owned());
            if value.is_empty() {
                all.remove(*key);
            }
        }
        let clock = ManualClock::new(START);
        let app = build_app(&all, &clock).await;
        TestApp { app, clock, twilio, model, folder, settings: all, next_sid: AtomicU64::new(1) }
    }

    /// The same test app after a restart, with these settings changed.
    pub async fn restarted_with(self, settings: &[(&str, &str)]) -> TestApp {
        let TestApp { app, clock, twilio, model, folder, settings: mut all, next_sid: sids } = self;
        drop(app);
        all.extend(settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        let app = build_app(&all, &clock).await;
        app.store.recover(clock.now(), "Sorry.".into()).await.unwrap();
        TestApp { app, clock, twilio, model, folder, settings: all, next_sid: sids }
    }

    /// A copy of the database, as a backup holds it.
    pub fn copy_database(&self, name: &str) -> std::path::PathBuf {
        let copy = self.folder.path().join(name);
        self.execute_sql(&format!("VACUUM INTO '{}'", copy.display()));
        copy
    }

    /// The same test app with this copy in the place of its database, which is lost.
    pub async fn with_restored(self, copy: &std::path::Path, made_at: Time) -> TestApp {
        let TestApp { app, clock, twilio, model, folder, settings, next_sid } = self;
        drop(app);
        let database = folder.path().join("mynah.db");
        for suffix in ["-wal", "-shm"] {
            let beside = format!("{}{suffix}", database.display());
            assert!(!std::path::Path::new(&beside).exists(), "the last connection removes {beside}");
        }
        std::fs::rename(copy, &database).unwrap();
        let app = build_app(&settings, &clock).await;
        app.store.mark_restored(made_at, clock.now()).await.unwrap();
        app.store.recover(clock.now(), "Sorry.".into()).await.unwrap();
        TestApp { app, clock, twilio, model, folder, settings, next_sid }
    }

    /// The app with its sources, as `serve` runs it: the snapshot changes with the stored configuration.
    pub fn live(&self) -> LiveApp {
        LiveApp::new(Arc::clone(&self.app), sources(&self.settings), 0)
    }

    /// The same test app with another model.
    pub fn with_model(mut self, provider: impl Provider + 'static) -> TestApp {
        let config = self.app.config.ai.clone().unwrap();
        let mut app = Arc::into_inner(self.app).unwrap();
        app.numbers[0].assistants[0] =
            Arc::new(Assistant::new(Arc::new(provider), &AiConfig { concurrency: 8, ..config }));
        self.app = Arc::new(app);
        self
    }

    /// The model that is asked first.
    pub fn assistant(&self) -> &Assistant {
        &self.app.main_number().assistants[0]
    }

    /// The same test app with another time limit for one attachment.
    pub fn with_attachment_timeout(mut self, attachment_time: Duration) -> TestApp {
        self.app = Arc::new(App { attachment_timeout: attachment_time, ..Arc::into_inner(self.app).unwrap() });
        self
    }

    /// The same test app with another clock.
    pub fn with_clock(mut self, clock: impl Clock + 'static) -> TestApp {
        self.app = Arc::new(App { clock: Arc::new(clock), ..Arc::into_inner(self.app).unwrap() });
        self
    }

    /// The same test app with its channel wrapped.
    pub fn with_channel<C: Channel + 'static>(mut self, wrap: impl FnOnce(Arc<dyn Channel>) -> C) -> TestApp {
        let mut app = Arc::into_inner(self.app).unwrap();
        let inner = app.numbers[0].channel.take().unwrap();
        app.numbers[0].channel = Some(Arc::new(wrap(inner)));
        self.app = Arc::new(app);
        self
    }

    pub async fn twilio_accepts_everything(&self) {
        let next = AtomicU64::new(1);
        self.mock_send_message()
            .respond_with(move |_: &wiremock::Request| {
                let sid = format!("SM{:032x}", 0xabc0_0000 + next.fetch_add(1, Ordering::SeqCst));
                ResponseTemplate::new(201).set_body_json(json!({ "sid": sid, "status": "queued" }))
            })
            .mount(&self.twilio)
            .await;
    }

    /// The answer to Twilio's send; mount it after `respond_with`.
    pub fn mock_send_message(&self) -> wiremock::MockBuilder {
        Mock::given(method("POST")).and(path(format!("/2010-04-01/Accounts/{ACCOUNT}/Messages.json")))
    }

    pub fn mock_list_messages(&self) -> wiremock::MockBuilder {
        Mock::given(method("GET")).and(path(format!("/2010-04-01/Accounts/{ACCOUNT}/Messages.json")))
    }

    pub fn mock_completion(&self) -> wiremock::MockBuilder {
        Mock::given(method("POST")).and(path("/v1/chat/completions"))
    }

    pub async fn model_answers(&self, text: &str) {
        self.mock_completion()
            .respond_with(ResponseTemplate::new(200).set_body_json(completion(text)))
            .mount(&self.model)
            .await;
    }

    /// A message as Twilio delivers it, under a new id.
    pub fn message_params(&self, from: &str, text: &str) -> Vec<(String, String)> {
        let sid = format!("SM{:032x}", self.next_sid.fetch_add(1, Ordering::SeqCst));
        form_params(&[
            ("MessageSid", &sid),
            ("SmsMessageSid", &sid),
            ("SmsSid", &sid),
            ("AccountSid", ACCOUNT),
            ("ApiVersion", "2010-04-01"),
            ("From", from),
            ("To", OUR_NUMBER),
            ("Body", text),
            ("NumMedia", "0"),
            ("NumSegments", "1"),
            ("ProfileName", "Ana"),
            ("MessageType", "text"),
            ("SmsStatus", "received"),
        ])
    }

    /// Sends a message and expects the acknowledgement.
    pub async fn contact_writes(&self, from: &str, text: &str) {
        let params = self.message_params(from, text);
        assert_eq!(self.deliver_webhook(&params).await, StatusCode::OK);
    }

    /// Posts a signed webhook.
    pub async fn deliver_webhook(&self, params: &[(String, String)]) -> StatusCode {
        self.post_signed("/webhooks/twilio", params).await.status()
    }

    pub async fn post_signed(&self, path: &str, params: &[(String, String)]) -> Response<Body> {
        let signature = twilio::sign(&format!("{PUBLIC_URL}{path}"), params, TOKEN);
        self.post_form(path, encode_form(params).into(), Some(&signature)).await
    }

    pub async fn post_form(&self, path: &str, body: Body, signature: Option<&str>) -> Response<Body> {
        let mut request = Request::post(path).header("content-type", "application/x-www-form-urlencoded");
        if let Some(signature) = signature {
            request = request.header("x-twilio-signature", signature);
        }
        self.routes().oneshot(request.body(body).unwrap()).await.unwrap()
    }

    /// Posts a signed webhook to other routes than those of this test app.
    pub async fn post_signed_to(&self, routes: Router, path: &str, params: &[(String, String)]) -> Response<Body> {
        let signature = twilio::sign(&format!("{PUBLIC_URL}{path}"), params, TOKEN);
        let request = Request::post(path)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("x-twilio-signature", signature);
        routes.oneshot(request.body(Body::from(encode_form(params))).unwrap()).await.unwrap()
    }

    pub async fn get(&self, path: &str) -> Response<Body> {
        self.routes().oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap()
    }

    pub fn routes(&self) -> Router {
        web::routes(Arc::clone(&self.app), Router::new())
    }

    /// Runs everything that is due.
    pub async fn drain(&self) -> usize {
        work::run_until_idle(&self.app).await.unwrap()
    }

    pub fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// What Twilio was asked to send: the recipient and the text, in order.
    pub async fn sent_messages(&self) -> Vec<(String, String)> {
        let requests = self.twilio.received_requests().await.unwrap();
        requests
            .iter()
            .filter(|request| request.method.as_str() == "POST" && request.url.path().ends_with("/Messages.json"))
            .map(|request| {
                let fields: BTreeMap<_, _> = url::form_urlencoded::parse(&request.body).into_owned().collect();
                (fields["To"].clone(), fields["Body"].clone())
            })
            .collect()
    }

    pub async fn sent_texts(&self) -> Vec<String> {
        self.sent_messages().await.into_iter().map(|(_, text)| text).collect()
    }

    /// The status callback address that was given with the last send, without the public origin.
    pub async fn last_status_callback(&self) -> String {
        let requests = self.twilio.received_requests().await.unwrap();
        let last = requests.iter().rfind(|request| request.method.as_str() == "POST").unwrap();
        let fields: BTreeMap<_, _> = url::form_urlencoded::parse(&last.body).into_owned().collect();
        fields["StatusCallback"].strip_prefix(PUBLIC_URL).unwrap().to_owned()
    }

    /// The messages that the model was shown in each of its calls, as (role, text).
    pub async fn prompts(&self) -> Vec<Vec<(String, String)>> {
        let requests = self.model.received_requests().await.unwrap();
        requests
            .iter()
            .map(|request| {
                let body: Value = serde_json::from_slice(&request.body).unwrap();
                let text = |value: &Value| value.as_str().unwrap().to_owned();
                let messages = body["messages"].as_array().unwrap();
                messages.iter().map(|message| (text(&message["role"]), text(&message["content"]))).collect()
            })
            .collect()
    }

    /// All turns, oldest first.
    pub async fn turns(&self) -> Vec<JobRow> {
        use mynah::model::TurnState;
        let mut all = self.app.store.jobs(None, None, 1000).await.unwrap();
        all.extend(self.app.store.jobs(Some(TurnState::Done), None, 1000).await.unwrap());
        all.sort_by_key(|job| job.turn);
        all
    }

    pub async fn turn_states(&self) -> Vec<String> {
        self.turns().await.into_iter().map(|job| job.state).collect()
    }

    /// The conversation that began last.
    pub fn latest_conversation(&self) -> mynah::model::ConversationId {
        let connection = rusqlite::Connection::open(self.folder.path().join("mynah.db")).unwrap();
        let id: [u8; 16] = connection
            .query_row("SELECT id FROM conversations ORDER BY id DESC LIMIT 1", [], |row| row.get(0))
            .unwrap();
        mynah::model::ConversationId(uuid::Uuid::from_bytes(id))
    }

    /// Changes the database from outside.
    pub fn execute_sql(&self, sql: &str) {
        rusqlite::Connection::open(self.folder.path().join("mynah.db")).unwrap().execute_batch(sql).unwrap();
    }

    /// A number from the database, seen from outside.
    pub fn query_integer(&self, sql: &str) -> i64 {
        let connection = rusqlite::Connection::open(self.folder.path().join("mynah.db")).unwrap();
        connection.query_row(sql, [], |row| row.get(0)).unwrap()
    }
}

async fn build_app(settings: &BTreeMap<String, String>, clock: &ManualClock) -> Arc<App> {
    let config = Config::load(sources(settings)).unwrap_or_else(|problems| panic!("{problems}"));
    let app = App::build(config, Arc::new(clock.clone())).await.unwrap();
    // The test's own executable reads no files.
    Arc::new(App { reader: Arc::new(FileReader::from_program(env!("CARGO_BIN_EXE_mynah").into())), ..app })
}

fn sources(settings: &BTreeMap<String, String>) -> Sources {
    let env = settings.iter().map(|(key, value)| (key.clone(), value.into())).collect();
    Sources { env, ..Sources::default() }
}

pub fn completion(text: &str) -> Value {
    json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "test-model",
        "choices": [{ "index": 0, "message": { "role": "assistant", "content": text }, "finish_reason": "stop" }],
        "usage": { "prompt_tokens": 20, "completion_tokens": 3, "total_tokens": 23 }
    })
}

pub fn form_params(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

pub fn encode_form(params: &[(String, String)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish()
}

pub async fn body_text(response: Response<Body>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}
