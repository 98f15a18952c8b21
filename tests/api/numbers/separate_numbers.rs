//! Several numbers in one house: `main`, and `sales` of another account, each with its own instructions, texts and model.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::http::StatusCode;
use mynah::channel::twilio;
use mynah::work::schedule;
use serde_json::{Value, json};
use tempfile::TempDir;
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::setup::test_app::{
    ACCOUNT, ANA, BEN, CapturedLog, OUR_NUMBER, PUBLIC_URL, TOKEN, TestApp, body_text, completion, encode_form,
};

pub const SALES_ACCOUNT: &str = "AC00000000000000000000000000000002";
pub const SALES_TOKEN: &str = "fedcba9876543210fedcba9876543210";
pub const SALES: &str = "whatsapp:+14155550002";

/// A house with two numbers, and what stands behind the second.
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
        let house = app_with_number_file(&folder, &text, settings).await;
        house.twilio_accepts_everything().await;
        house.model_answers("From main.").await;
        let next = AtomicU32::new(1);
        Mock::given(method("POST"))
            .and(path(format!("/2010-04-01/Accounts/{SALES_ACCOUNT}/Messages.json")))
            .respond_with(move |_: &wiremock::Request| {
                let sid = format!("SM{:032x}", 0xdef0_0000_u32 + next.fetch_add(1, Ordering::SeqCst));
                ResponseTemplate::new(201).set_body_json(json!({ "sid": sid, "status": "queued" }))
            })
            .mount(&twilio)
            .await;
        TwoNumbers { test_app: house, twilio, model, _folder: folder }
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
    async fn posts_by_sales(&self) -> Vec<(Vec<(String, String)>, String)> {
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
    async fn prompts_of_sales(&self) -> Vec<Vec<String>> {
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

fn field(fields: &[(String, String)], name: &str) -> Option<String> {
    fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone())
}

/// A house with a number that this file describes.
pub async fn app_with_number_file(folder: &TempDir, file: &str, settings: &[(&str, &str)]) -> TestApp {
    let path = folder.path().join("sales.toml");
    std::fs::write(&path, file).unwrap();
    let numbers = ("MYNAH_NUMBERS", path.to_str().unwrap());
    let own = [numbers, ("MYNAH_SYSTEM_PROMPT", "You answer for the shop."), ("MYNAH_TEXT_HELP", "Help from main.")];
    TestApp::with_settings(&[&own[..], settings].concat()).await
}

#[tokio::test]
async fn each_number_answers_by_its_own_account_model_and_words() {
    let two = TwoNumbers::new().await;
    two.sales_model_answers("From sales.").await;
    two.contact_writes_to_main(ANA, "hello shop").await;
    two.contact_writes_to_sales(ANA, "hello sales").await;
    two.contact_writes_to_sales(BEN, "/help").await;
    two.contact_writes_to_main(BEN, "/help").await;

    assert_eq!(two.test_app.sent_texts().await, ["From main.", "Help from main."]);
    assert_eq!(two.texts_sent_by_sales().await, ["From sales.", "Help from sales."]);
    let (fields, by) = two.posts_by_sales().await.remove(0);
    assert_eq!((field(&fields, "From").as_deref(), field(&fields, "To").as_deref()), (Some(SALES), Some(ANA)));
    assert_eq!(by, format!("Basic {}", base64(&format!("{SALES_ACCOUNT}:{SALES_TOKEN}"))));
    let main = two.test_app.prompts().await;
    assert_eq!(
        main,
        [[("system".to_owned(), "You answer for the shop.".to_owned()), ("user".into(), "hello shop".into())]]
    );
    assert_eq!(
        two.prompts_of_sales().await,
        [["system: You answer for sales.\nConfidential: SALESCODE7", "user: hello sales"]],
        "and nothing of what was said to main"
    );
    let count = "SELECT COUNT(*) FROM conversations c JOIN addresses a ON a.contact_id = c.contact_id
        WHERE a.value = '+12025550101'";
    assert_eq!(two.test_app.query_integer(count), 2, "one contact, two conversations");
}

pub fn base64(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(text)
}

#[tokio::test]
async fn each_number_has_a_history_and_a_window_of_its_own() {
    let two =
        TwoNumbers::with_sales_file(&format!("twilio_whatsapp_from = '{SALES}'\nmax_context_messages = 1"), &[]).await;
    two.sales_model_answers("From sales.").await;
    for text in ["one", "two", "three"] {
        two.contact_writes_to_main(ANA, text).await;
        two.contact_writes_to_sales(ANA, text).await;
    }
    assert_eq!(two.test_app.prompts().await.last().unwrap().len(), 6);
    assert_eq!(two.prompts_of_sales().await.last().unwrap()[1..], ["user: three"]);
}

#[tokio::test]
async fn stop_on_one_number_is_confirmed_there_and_holds_on_all() {
    let two =
        TwoNumbers::with_sales_file(&format!("twilio_whatsapp_from = '{SALES}'\ntext_stopped = 'Sales stops.'"), &[])
            .await;
    two.sales_model_answers("From sales.").await;
    two.contact_writes_to_sales(ANA, "STOP").await;
    two.contact_writes_to_main(ANA, "hello").await;
    assert_eq!(
        (two.texts_sent_by_sales().await, two.test_app.sent_texts().await),
        (vec!["Sales stops.".to_owned()], vec![])
    );
}

#[tokio::test]
async fn an_account_may_deliver_messages_to_its_own_numbers_only() {
    let two = TwoNumbers::new().await;
    for (to, account, token, status) in [
        // Signed by sales, about main.
        (OUR_NUMBER, Some(ACCOUNT), SALES_TOKEN, StatusCode::BAD_REQUEST),
        (OUR_NUMBER, Some(SALES_ACCOUNT), SALES_TOKEN, StatusCode::FORBIDDEN),
        (OUR_NUMBER, None, SALES_TOKEN, StatusCode::FORBIDDEN),
        (&OUR_NUMBER.replace("whatsapp", "WhatsApp"), Some(SALES_ACCOUNT), SALES_TOKEN, StatusCode::FORBIDDEN),
        // And the other way round.
        (SALES, Some(SALES_ACCOUNT), TOKEN, StatusCode::BAD_REQUEST),
        (SALES, Some(ACCOUNT), TOKEN, StatusCode::FORBIDDEN),
        (SALES, None, TOKEN, StatusCode::FORBIDDEN),
        (SALES, Some(SALES_ACCOUNT), "another", StatusCode::FORBIDDEN),
    ] {
        assert_eq!(two.deliver_message(ANA, to, "forged", account, token).await, status, "{to} {account:?} {token}");
    }
    assert_eq!(two.test_app.query_integer("SELECT COUNT(*) FROM messages"), 0);
    assert_eq!(two.deliver_message(ANA, SALES, "true", None, SALES_TOKEN).await, StatusCode::OK);
    assert_eq!(two.deliver_message(ANA, OUR_NUMBER, "true", Some(ACCOUNT), TOKEN).await, StatusCode::OK);
    assert_eq!(two.test_app.query_integer("SELECT COUNT(*) FROM messages"), 2);
}

#[tokio::test]
async fn two_accounts_with_one_token_are_told_apart_by_what_they_say() {
    let two = TwoNumbers::with_sales_file(
        &format!("twilio_whatsapp_from = '{SALES}'"),
        &[("TWILIO_AUTH_TOKEN", SALES_TOKEN)],
    )
    .await;
    two.sales_model_answers("From sales.").await;
    two.contact_writes_to_sales(ANA, "hello").await;
    assert_eq!(two.texts_sent_by_sales().await, ["From sales."]);
}

#[tokio::test]
async fn a_delivery_status_is_accepted_only_from_the_account_that_sent_the_message() {
    let two = TwoNumbers::new().await;
    two.sales_model_answers("From sales.").await;
    two.contact_writes_to_sales(ANA, "hello").await;
    let (fields, _) = two.posts_by_sales().await.remove(0);
    let address = field(&fields, "StatusCallback").unwrap();
    let address = address.strip_prefix(PUBLIC_URL).unwrap();
    let sid: String = {
        let connection = rusqlite::Connection::open(two.test_app.folder.path().join("mynah.db")).unwrap();
        connection.query_row("SELECT provider_id FROM parts", [], |row| row.get(0)).unwrap()
    };
    let status = || {
        let connection = rusqlite::Connection::open(two.test_app.folder.path().join("mynah.db")).unwrap();
        connection.query_row("SELECT status FROM parts", [], |row| row.get::<_, Option<String>>(0)).unwrap()
    };
    let news = |account: &str, status: &str| {
        let pairs = [
            ("MessageSid", sid.as_str()),
            ("MessageStatus", status),
            ("AccountSid", account),
            ("From", SALES),
            ("To", ANA),
        ];
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
    };
    for path in [address, "/webhooks/twilio/status"] {
        for (account, token) in [(ACCOUNT, TOKEN), (SALES_ACCOUNT, TOKEN), (ACCOUNT, SALES_TOKEN)] {
            let refused = two.post_signed(path, &news(account, "failed"), token).await;
            assert!([StatusCode::FORBIDDEN, StatusCode::BAD_REQUEST].contains(&refused), "{path} {account}: {refused}");
        }
    }
    assert_eq!(status(), None);
    assert_eq!(two.post_signed(address, &news(SALES_ACCOUNT, "delivered"), SALES_TOKEN).await, StatusCode::OK);
    assert_eq!(status().as_deref(), Some("delivered"));
}

#[tokio::test]
async fn a_message_to_a_number_that_nobody_has_is_answered_by_the_accounts_first_with_a_warning() {
    let log = CapturedLog::start();
    let two = TwoNumbers::new().await;
    two.sales_model_answers("From sales.").await;
    let unknown = "whatsapp:+14155559999";
    assert_eq!(two.deliver_message(ANA, unknown, "hello", Some(SALES_ACCOUNT), SALES_TOKEN).await, StatusCode::OK);
    assert_eq!(two.deliver_message(BEN, unknown, "hello", Some(ACCOUNT), TOKEN).await, StatusCode::OK);
    two.test_app.drain().await;
    assert_eq!(
        (two.texts_sent_by_sales().await, two.test_app.sent_texts().await),
        (vec!["From sales.".to_owned()], vec!["From main.".to_owned()])
    );
    let (fields, _) = two.posts_by_sales().await.remove(0);
    assert_eq!(field(&fields, "From").as_deref(), Some(unknown), "from where the contact wrote to");
    let warning = "a message came to an address that no number has";
    assert_eq!((log.count_lines("WARN", warning), log.count_lines("WARN", "number=\"sales\"")), (2, 1));
    assert_eq!(log.count_lines("WARN", "+14155559999"), 0, "no whole number in the log");
}

#[tokio::test]
async fn a_single_number_answers_messages_to_any_address_without_a_warning() {
    let log = CapturedLog::start();
    let house = TestApp::new().await;
    let mut params = house.message_params(ANA, "hello");
    params.iter_mut().filter(|(name, _)| name == "To").for_each(|(_, to)| *to = "whatsapp:+14155559999".into());
    assert_eq!(house.deliver_webhook(&params).await, StatusCode::OK);
    house.drain().await;
    assert_eq!((house.sent_texts().await, log.count_lines("WARN", "no number has")), (vec!["Hello!".to_owned()], 0));
}

#[tokio::test]
async fn a_service_answers_whatever_comes_to_its_account_and_is_no_other_numbers() {
    let two =
        TwoNumbers::with_sales_file("twilio_messaging_service_sid = 'MG00000000000000000000000000000007'", &[]).await;
    two.sales_model_answers("From sales.").await;
    two.contact_writes_to_sales(ANA, "hello").await;
    two.contact_writes_to_main(ANA, "hello").await;
    let (fields, _) = two.posts_by_sales().await.remove(0);
    assert_eq!(field(&fields, "MessagingServiceSid").as_deref(), Some("MG00000000000000000000000000000007"));
    assert_eq!(
        (two.texts_sent_by_sales().await, two.test_app.sent_texts().await),
        (vec!["From sales.".to_owned()], vec!["From main.".to_owned()])
    );
    assert_eq!(
        two.deliver_message(BEN, OUR_NUMBER, "forged", Some(SALES_ACCOUNT), SALES_TOKEN).await,
        StatusCode::FORBIDDEN
    );
}

#[tokio::test]
async fn numbers_that_share_a_model_share_its_circuit_breaker() {
    let folder = tempfile::tempdir().unwrap();
    let house =
        app_with_number_file(&folder, &format!("twilio_whatsapp_from = '{SALES}'\nai_temperature = 0.3"), &[]).await;
    let [main, sales] = &house.app.numbers[..] else { panic!("two numbers") };
    assert!(Arc::ptr_eq(&main.assistants[0].breaker, &sales.assistants[0].breaker));
    assert!(Arc::ptr_eq(&main.assistants[0].limit, &sales.assistants[0].limit));
    house.twilio_accepts_everything().await;
    house.mock_completion().respond_with(ResponseTemplate::new(503)).mount(&house.model).await;
    for number in 0..5 {
        house.contact_writes(&format!("whatsapp:+1202555{number:04}"), "hello").await;
    }
    house.drain().await;
    assert_eq!(house.prompts().await.len(), 5);
    let mut params = house.message_params(BEN, "hello");
    params.iter_mut().filter(|(name, _)| name == "To").for_each(|(_, to)| *to = SALES.into());
    assert_eq!(house.deliver_webhook(&params).await, StatusCode::OK);
    house.drain().await;
    assert_eq!(house.prompts().await.len(), 5, "the other number does not ask it either");
}

#[tokio::test]
async fn an_apology_uses_the_numbers_own_text() {
    let two = TwoNumbers::new().await;
    Mock::given(method("POST")).respond_with(ResponseTemplate::new(401)).mount(&two.model).await;
    two.contact_writes_to_sales(ANA, "hello").await;
    assert_eq!(two.texts_sent_by_sales().await, ["Sorry from sales."]);
    let alerts = two.test_app.app.store.alerts(9).await.unwrap();
    assert_eq!((alerts.len(), alerts[0].subject.as_str()), (1, "answers on sales"));
    two.contact_writes_to_main(ANA, "hello").await;
    assert_eq!(two.test_app.sent_texts().await, ["From main."], "the other model is none the worse");
}

#[tokio::test]
async fn an_alert_on_credentials_that_fetch_no_file_names_their_number() {
    let two = TwoNumbers::new().await;
    let file = format!("/2010-04-01/Accounts/{SALES_ACCOUNT}/Messages/MM1/Media/ME1");
    Mock::given(path(file.clone())).respond_with(ResponseTemplate::new(401)).mount(&two.twilio).await;
    let mut params = two.test_app.message_params(ANA, "");
    params.retain(|(name, _)| !["AccountSid", "To", "NumMedia"].contains(&name.as_str()));
    let url = format!("{}{file}", two.twilio.uri());
    let own = [("To", SALES), ("AccountSid", SALES_ACCOUNT), ("NumMedia", "1"), ("MediaContentType0", "audio/ogg")];
    params.extend([&own[..], &[("MediaUrl0", &url)]].concat().iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
    assert_eq!(two.post_signed("/webhooks/twilio", &params, SALES_TOKEN).await, StatusCode::OK);
    two.test_app.drain().await;
    let alerts = two.test_app.app.store.alerts(9).await.unwrap();
    let told: Vec<_> = alerts.iter().map(|alert| (alert.cause.as_str(), alert.subject.as_str())).collect();
    assert_eq!(told, [("media", "attachments on sales")]);
}

#[tokio::test]
async fn no_number_reveals_credentials_or_its_own_confidential_text() {
    let two = TwoNumbers::with_sales_file(
        &format!("twilio_whatsapp_from = '{SALES}'"),
        &[("MYNAH_SYSTEM_PROMPT", "Shop.\nConfidential: SHOPCODE9")],
    )
    .await;
    two.sales_model_answers(&format!("{TOKEN} {SALES_TOKEN} sk-test sk-of-sales SALESCODE7 SHOPCODE9")).await;
    two.contact_writes_to_sales(ANA, "hello").await;
    let removed = "[removed]";
    // What main was told in confidence sales has from elsewhere.
    assert_eq!(
        two.texts_sent_by_sales().await,
        [format!("{removed} {removed} {removed} {removed} {removed} SHOPCODE9")]
    );
}

#[tokio::test]
async fn a_list_that_cannot_be_read_holds_up_no_other_and_is_read_from_where_it_was_left() {
    let two = TwoNumbers::new().await;
    two.sales_model_answers("From sales.").await;
    let empty = || ResponseTemplate::new(200).set_body_json(json!({ "messages": [] }));
    let list_of_sales =
        || Mock::given(method("GET")).and(path(format!("/2010-04-01/Accounts/{SALES_ACCOUNT}/Messages.json")));
    let look = async || schedule::catch_up(&two.test_app.app).await.unwrap();
    {
        let _sales = list_of_sales().respond_with(empty()).mount_as_scoped(&two.twilio).await;
        let _main = two.test_app.mock_list_messages().respond_with(empty()).mount_as_scoped(&two.test_app.twilio).await;
        assert_eq!(look().await.result, "nothing was missed");
    }
    two.test_app.advance(3_600);
    let row = |sid: &str, to: &str, text: &str| {
        json!({ "sid": sid, "from": ANA, "to": to, "body": text, "direction": "inbound", "status": "received",
            "num_media": "0", "date_created": "Sun, 01 Nov 2026 10:20:00 +0000", "date_sent": "Sun, 01 Nov 2026 10:20:00 +0000" })
    };
    let list = |row: Value| ResponseTemplate::new(200).set_body_json(json!({ "messages": [row] }));
    {
        let _sales =
            list_of_sales().respond_with(list(row("SMs1", SALES, "to sales"))).mount_as_scoped(&two.twilio).await;
        let _main = two
            .test_app
            .mock_list_messages()
            .respond_with(ResponseTemplate::new(503))
            .mount_as_scoped(&two.test_app.twilio)
            .await;
        let run = look().await;
        assert!(run.failed && run.result.starts_with("main: the list of messages cannot be read"), "{run:?}");
    }
    two.test_app.drain().await;
    assert_eq!(
        (two.texts_sent_by_sales().await, two.test_app.sent_texts().await.len()),
        (vec!["From sales.".to_owned()], 0)
    );
    two.test_app.advance(3_600);
    list_of_sales().respond_with(empty()).mount(&two.twilio).await;
    two.test_app
        .mock_list_messages()
        .respond_with(list(row("SMm1", OUR_NUMBER, "to main")))
        .mount(&two.test_app.twilio)
        .await;
    assert!(look().await.result.ends_with("1 to be answered"), "an hour and a half back");
    two.test_app.drain().await;
    assert_eq!(two.test_app.sent_texts().await, ["From main."]);
}

#[tokio::test]
async fn readiness_tells_each_number() {
    let two = TwoNumbers::new().await;
    let ready: Value = serde_json::from_str(&body_text(two.test_app.get("/readyz").await).await).unwrap();
    assert_eq!(ready["configured"], true);
    let numbers = json!([
        { "name": "main", "twilio": true, "ai": "openai test-model" },
        { "name": "sales", "twilio": true, "ai": "openai sales-model" },
    ]);
    assert_eq!(ready["numbers"], numbers);
    let one: Value = serde_json::from_str(&body_text(TestApp::new().await.get("/readyz").await).await).unwrap();
    assert_eq!(one.get("numbers"), None);
}

#[tokio::test]
async fn the_budget_reserves_the_price_of_the_dearest_model_of_all_numbers() {
    let two = TwoNumbers::with_sales_file(
        &format!("twilio_whatsapp_from = '{SALES}'"),
        &[("MYNAH_BUDGET_DAY", "5 usd"), ("MYNAH_PRICES", "test-model=1/1, sales-model=1000/1000")],
    )
    .await;
    let unknown = ResponseTemplate::new(200).set_body_string("<html>");
    two.test_app.model.reset().await;
    two.test_app.mock_completion().respond_with(unknown).mount(&two.test_app.model).await;
    two.contact_writes_to_main(ANA, "hello").await;
    // Of a call of which nobody knows what it took, what was set aside is kept: some 4,000 tokens at 1000 USD a million.
    let spent = two.test_app.query_integer("SELECT micros FROM spent");
    assert!(spent > 4_000_000, "{spent}");
}

#[tokio::test]
async fn a_turn_that_ends_the_process_again_and_again_is_given_up_in_the_numbers_own_words() {
    let two = TwoNumbers::new().await;
    let (store, clock) = (&two.test_app.app.store, &two.test_app.clock);
    let message = two.deliver_message(ANA, SALES, "hello", Some(SALES_ACCOUNT), SALES_TOKEN).await;
    assert_eq!(message, StatusCode::OK);
    for _ in 0..3 {
        assert_eq!(store.claim(mynah::clock::Clock::now(clock), 9, 9).await.unwrap().turns.len(), 1);
        store.recover(mynah::clock::Clock::now(clock), two.test_app.app.apology_texts()).await.unwrap();
        two.test_app.advance(10);
    }
    two.test_app.drain().await;
    assert_eq!(two.texts_sent_by_sales().await, ["Sorry from sales."]);
}

#[tokio::test]
async fn a_template_opens_conversations_of_its_own_account_alone() {
    let template = "HX00000000000000000000000000000001";
    let two = TwoNumbers::with_sales_file(
        &format!("twilio_whatsapp_from = '{SALES}'"),
        &[("MYNAH_REOPEN_TEMPLATE", template)],
    )
    .await;
    assert_eq!(two.deliver_message(ANA, SALES, "hello", Some(SALES_ACCOUNT), SALES_TOKEN).await, StatusCode::OK);
    two.test_app.contact_writes(BEN, "hello").await;
    two.test_app.advance(24 * 3_600);
    // The first claim ends the turns, the second finds what is sent in their place.
    two.test_app.drain().await;
    two.test_app.drain().await;
    let requests = two.test_app.twilio.received_requests().await.unwrap();
    let sent: Vec<_> = requests.iter().map(|request| String::from_utf8_lossy(&request.body).into_owned()).collect();
    assert!(sent.len() == 1 && sent[0].contains(template), "{sent:?}");
    assert!(two.posts_by_sales().await.is_empty());
}
