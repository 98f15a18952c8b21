//! Two numbers in one app: `main`, and `sales` of another account, each with its own instructions, texts and model.

use std::sync::atomic::{AtomicU32, Ordering};

use axum::http::StatusCode;
use mynah::channel::twilio;
use serde_json::{Value, json};
use tempfile::TempDir;
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::setup::test_app::{PUBLIC_URL, TestApp, completion, encode_form};

pub const SALES_ACCOUNT: &str = "AC00000000000000000000000000000002";
pub const SALES_TOKEN: &str = "fedcba9876543210fedcba9876543210";
pub const SALES: &str = "whatsapp:+14155550002";

/// A test app with two numbers, and the stand-ins of the second.
pub struct TwoNumbers {
    pub test_app: TestApp,
    pub twilio: MockServer,
    pub model: MockServer,
    _folder: TempDir,
}

impl TwoNumbers {
    pub async fn new() -> TwoNumbers {
        TwoNumbers::with_sales_file(&format!("twilio_whatsapp_from = '{SALES}'"), &[]).await
    }

    /// With that sender and more in the file of `sales`, and these settings over the usual ones.
    pub async fn with_sales_file(file: &str, settings: &[(&str, &str)]) -> TwoNumbers {
        let (twilio, model) = (MockServer::start().await, MockServer::start().await);
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "{file}\ntwilio_account_sid = '{SALES_ACCOUNT}'\ntwilio_auth_token = '{SALES_TOKEN}'\n\
             twilio_api_base_url = '{}'\nopenai_base_url = '{}/v1'\nopenai_api_key = 'sk-of-sales'\nai_model = 'sales-model'\n\
             system_prompt = \"You answer for sales.\\nConfidential: SALESCODE7\"\ntext_help = 'Help from sales.'\n\
             text_sorry = 'Sorry from sales.'\n",
            twilio.uri(),
            model.uri()
        );
        let test_app = app_with_number_file(&folder, &text, settings).await;
        test_app.twilio_accepts_everything().await;
        test_app.model_answers("From main.").await;
        let next = AtomicU32::new(1);
        Mock::given(method("POST"))
            .and(path(format!("/2010-04-01/Accounts/{SALES_ACCOUNT}/Messages.json")))
            .respond_with(move |_: &wiremock::Request| {
                let sid = format!("SM{:032x}", 0xdef0_0000_u32 + next.fetch_add(1, Ordering::SeqCst));
                ResponseTemplate::new(201).set_body_json(json!({ "sid": sid, "status": "queued" }))
            })
            .mount(&twilio)
            .await;
        TwoNumbers { test_app, twilio, model, _folder: folder }
    }

    pub async fn sales_model_answers(&self, text: &str) {
        Mock::given(method("POST"))
            .and(path("/v1/chat/completions"))
            .respond_with(ResponseTemplate::new(200).set_body_json(completion(text)))
            .mount(&self.model)
            .await;
    }

    /// Posts a message to that number as of that account, signed by that token.
    pub async fn deliver_message(
        &self,
        from: &str,
        to: &str,
        text: &str,
        account: Option<&str>,
        token: &str,
    ) -> StatusCode {
        let mut params = self.test_app.message_params(from, text);
        params.retain(|(name, _)| name != "AccountSid" && name != "To");
        params.push(("To".into(), to.into()));
        params.extend(account.map(|account| ("AccountSid".to_owned(), account.to_owned())));
        self.post_signed("/webhooks/twilio", &params, token).await
    }

    pub async fn post_signed(&self, path: &str, params: &[(String, String)], token: &str) -> StatusCode {
        let signature = twilio::sign(&format!("{PUBLIC_URL}{path}"), params, token);
        self.test_app.post_form(path, encode_form(params).into(), Some(&signature)).await.status()
    }

    /// A contact writes to `sales` and is answered.
    pub async fn contact_writes_to_sales(&self, from: &str, text: &str) {
        assert_eq!(self.deliver_message(from, SALES, text, Some(SALES_ACCOUNT), SALES_TOKEN).await, StatusCode::OK);
        self.test_app.drain().await;
    }

    pub async fn contact_writes_to_main(&self, from: &str, text: &str) {
        self.test_app.contact_writes(from, text).await;
        self.test_app.drain().await;
    }

    /// What `sales` has sent: the fields of each post, and its authorization.
    pub async fn posts_by_sales(&self) -> Vec<(Vec<(String, String)>, String)> {
        let requests = self.twilio.received_requests().await.unwrap();
        let posts = requests.iter().filter(|request| request.url.path().ends_with("/Messages.json"));
        let posts = posts.filter(|request| request.method.as_str() == "POST");
        let fields = |request: &wiremock::Request| url::form_urlencoded::parse(&request.body).into_owned().collect();
        let by = |request: &wiremock::Request| request.headers["authorization"].to_str().unwrap().to_owned();
        posts.map(|request| (fields(request), by(request))).collect()
    }

    pub async fn texts_sent_by_sales(&self) -> Vec<String> {
        let sent = self.posts_by_sales().await;
        sent.iter().map(|(fields, _)| field(fields, "Body").unwrap()).collect()
    }

    /// The messages that the model of `sales` was shown, call by call, as `role: text`.
    pub async fn prompts_of_sales(&self) -> Vec<Vec<String>> {
        let requests = self.model.received_requests().await.unwrap();
        let lines = |request: &wiremock::Request| {
            assert_eq!(request.headers["authorization"], "Bearer sk-of-sales");
            let asked: Value = request.body_json().unwrap();
            assert_eq!(asked["model"], "sales-model");
            let lines = asked["messages"].as_array().unwrap().clone();
            lines
                .iter()
                .map(|line| format!("{}: {}", line["role"].as_str().unwrap(), line["content"].as_str().unwrap()))
                .collect()
        };
        requests.iter().map(lines).collect()
    }
}

pub fn field(fields: &[(String, String)], name: &str) -> Option<String> {
    fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone())
}

/// A test app with a further number that this file describes.
pub async fn app_with_number_file(folder: &TempDir, file: &str, settings: &[(&str, &str)]) -> TestApp {
    let path = folder.path().join("sales.toml");
    std::fs::write(&path, file).unwrap();
    let numbers = ("MYNAH_NUMBERS", path.to_str().unwrap());
    let own = [numbers, ("MYNAH_SYSTEM_PROMPT", "You answer for the shop."), ("MYNAH_TEXT_HELP", "Help from main.")];
    TestApp::with_settings(&[&own[..], settings].concat()).await
}

pub fn base64(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(text)
}
