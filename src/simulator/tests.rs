use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::routing::any;
use tokio::net::TcpListener;
use url::{Url, form_urlencoded};

use super::*;
use crate::clock::ManualClock;

const ACCOUNT: &str = "AC0123456789abcdef0123456789abcdef";
const CONTACT_PHONE: &str = "+15551234567";

/// A request that a webhook received.
#[derive(Clone, Debug)]
struct ReceivedRequest {
    path: String,
    headers: HeaderMap,
    params: Vec<(String, String)>,
}

impl ReceivedRequest {
    fn get(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// A webhook that answers everything with one status and keeps the requests.
#[derive(Clone)]
struct Webhook {
    address: String,
    received: Arc<Mutex<Vec<ReceivedRequest>>>,
    status: Arc<Mutex<StatusCode>>,
}

async fn receive_webhook(State(webhook): State<Webhook>, uri: Uri, headers: HeaderMap, body: Bytes) -> StatusCode {
    let params = form_urlencoded::parse(&body).into_owned().collect();
    webhook.received.lock().unwrap().push(ReceivedRequest { path: uri.to_string(), headers, params });
    *webhook.status.lock().unwrap()
}

impl Webhook {
    async fn start() -> Webhook {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let webhook = Webhook { address, received: Arc::default(), status: Arc::new(Mutex::new(StatusCode::OK)) };
        let app = Router::new().fallback(any(receive_webhook)).with_state(webhook.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        webhook
    }

    fn simulator(&self) -> Simulator {
        simulator(&format!("{}/webhooks/twilio", self.address))
    }

    fn received(&self) -> Vec<ReceivedRequest> {
        self.received.lock().unwrap().clone()
    }
}

fn simulator(webhook: &str) -> Simulator {
    let clock = Arc::new(ManualClock::new(Time(1_692_853_305_000)));
    Simulator::new(SimulatorConfig::new(ACCOUNT, "12345", "+14155238886", Url::parse(webhook).unwrap(), clock))
}

/// Serves the API at its own address. Returns the URL of the Messages resource.
async fn serve_api(simulator: &Simulator) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new().nest("/twilio", simulator.api());
    tokio::spawn(async move { axum::serve(listener, app).await });
    format!("http://{address}/twilio/2010-04-01/Accounts/{ACCOUNT}/Messages.json")
}

async fn post_message(url: &str, form: &[(&str, &str)]) -> reqwest::Result<reqwest::Response> {
    let client = http::client(Duration::from_secs(10), Duration::from_secs(10), http::AllowedTargets::Any);
    client.post(url).basic_auth(ACCOUNT, Some("12345")).form(form).send().await
}

const HELLO_FORM: [(&str, &str); 3] =
    [("To", "whatsapp:+15551234567"), ("From", "whatsapp:+14155238886"), ("Body", "Hello & welcome")];

#[tokio::test]
async fn a_delivered_message_carries_what_twilio_sends_and_its_signature() {
    let webhook = Webhook::start().await;
    let simulator = webhook.simulator();
    let delivered = simulator.send_inbound(CONTACT_PHONE, "Ana", "¿Hola? 👋 a+b & c=d").await.unwrap();
    assert_eq!(delivered.status, 200);
    let received = &webhook.received()[0];
    assert_eq!(received.path, "/webhooks/twilio");
    let sid = delivered.sid.as_str();
    let mut names: Vec<_> = received.params.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "AccountSid",
            "ApiVersion",
            "Body",
            "ChannelMetadata",
            "ExternalUserId",
            "From",
            "MessageSid",
            "MessageType",
            "NumMedia",
            "NumSegments",
            "ProfileName",
            "ReferralNumMedia",
            "SmsMessageSid",
            "SmsSid",
            "SmsStatus",
            "To",
            "WaId"
        ]
    );
    for (name, value) in [
        ("MessageSid", sid),
        ("SmsSid", sid),
        ("SmsMessageSid", sid),
        ("From", "whatsapp:+15551234567"),
        ("To", "whatsapp:+14155238886"),
        ("WaId", "15551234567"),
        ("Body", "¿Hola? 👋 a+b & c=d"),
        ("SmsStatus", "received"),
        ("MessageType", "text"),
        ("NumMedia", "0"),
        ("ChannelMetadata", r#"{"data":{"context":{"ProfileName":"Ana","WaId":"15551234567"}},"type":"whatsapp"}"#),
    ] {
        assert_eq!(received.get(name), Some(value), "{name}");
    }
    let expected = sign("12345", &format!("{}/webhooks/twilio", webhook.address), &received.params);
    assert_eq!(received.headers["x-twilio-signature"], expected.as_str());
    assert_eq!(received.headers["i-twilio-idempotency-token"].len(), 36);
    let bubble = &simulator.conversation(CONTACT_PHONE)[0];
    assert_eq!((bubble.from_contact, bubble.status, bubble.sid.as_str()), (true, Status::Delivered, sid));
}

#[tokio::test]
async fn a_person_who_hides_the_number_writes_under_a_user_id() {
    let webhook = Webhook::start().await;
    webhook.simulator().send_inbound("US.13491208655302741918", "Ana", "hi").await.unwrap();
    let received = &webhook.received()[0];
    assert_eq!(received.get("From"), Some("whatsapp:US.13491208655302741918"));
    assert_eq!(received.get("ExternalUserId"), Some("whatsapp:US.13491208655302741918"));
    assert_eq!(received.get("WaId"), None);
}

#[tokio::test]
async fn a_webhook_that_refuses_is_not_called_again_and_the_phone_shows_why() {
    let webhook = Webhook::start().await;
    *webhook.status.lock().unwrap() = StatusCode::SERVICE_UNAVAILABLE;
    let simulator = webhook.simulator();
    let delivered = simulator.send_inbound(CONTACT_PHONE, "Ana", "hi").await.unwrap();
    assert_eq!((delivered.status, webhook.received().len()), (503, 1));
    let bubble = &simulator.conversation(CONTACT_PHONE)[0];
    assert_eq!(bubble.status, Status::Undelivered);
    assert_eq!(bubble.problem.as_deref(), Some("Not delivered: the webhook answered 503."));
    assert_eq!((simulator.counts().webhooks, simulator.counts().webhooks_failed), (1, 1));
}

#[tokio::test]
async fn a_webhook_that_nobody_serves_is_reported_and_the_message_is_still_listed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let simulator = simulator(&format!("http://{address}/webhooks/twilio"));
    let error = simulator.send_inbound(CONTACT_PHONE, "Ana", "hi").await.unwrap_err();
    assert!(!error.to_string().contains("webhooks/twilio"), "{error}");
    assert_eq!(simulator.conversation(CONTACT_PHONE)[0].status, Status::Undelivered);
    assert!(lock(&simulator.inner.message_log).get(&error.sid).is_some());
}

#[tokio::test]
async fn a_post_by_hand_leaves_no_trace_here() {
    let webhook = Webhook::start().await;
    let simulator = webhook.simulator();
    let mut params = simulator.inbound_params("SM1", CONTACT_PHONE, "Ana", "");
    params.push(("MediaUrl0".into(), "https://api.twilio.com/x".into()));
    for _ in 0..2 {
        assert_eq!(simulator.post_webhook(params.clone(), "SM1").await.unwrap().status, 200);
    }
    assert_eq!(webhook.received().len(), 2);
    assert_eq!(webhook.received()[1].get("MediaUrl0"), Some("https://api.twilio.com/x"));
    assert!(simulator.conversation(CONTACT_PHONE).is_empty());
}

#[tokio::test]
async fn each_status_of_a_message_is_posted_to_its_callback_signed_and_in_order() {
    let webhook = Webhook::start().await;
    let simulator = webhook.simulator();
    let callback = format!("{}/webhooks/twilio/status?p=a%2Fb&m=1", webhook.address);
    let mut form = HELLO_FORM.to_vec();
    form.push(("StatusCallback", &callback));
    let response = post_message(&serve_api(&simulator).await, &form).await.unwrap();
    assert_eq!(response.status(), 201);
    simulator.wait_until_idle().await;
    let received = webhook.received();
    let statuses: Vec<_> = received.iter().map(|one| one.get("MessageStatus").unwrap()).collect();
    assert_eq!(statuses, ["sent", "delivered", "read"]);
    for one in &received {
        assert_eq!(one.path, "/webhooks/twilio/status?p=a%2Fb&m=1");
        assert_eq!(one.headers["x-twilio-signature"], sign("12345", &callback, &one.params).as_str());
        assert_eq!(one.get("To"), Some("whatsapp:+15551234567"));
        assert_eq!(one.get("ChannelToAddress"), Some("+1555123XXXX"));
        assert_eq!(one.get("ErrorCode"), None);
    }
    assert_eq!((received[0].get("EventType"), received[2].get("EventType")), (None, Some("READ")));
    assert_eq!(simulator.counts().callbacks, 3);
}

#[tokio::test]
async fn a_message_that_fails_later_says_so_by_callback() {
    let webhook = Webhook::start().await;
    let simulator = webhook.simulator();
    simulator.fail_next(InjectedFault::Undelivered { code: 63024 });
    let mut form = HELLO_FORM.to_vec();
    form.push(("StatusCallback", &webhook.address));
    post_message(&serve_api(&simulator).await, &form).await.unwrap();
    simulator.wait_until_idle().await;
    let last = webhook.received().pop().unwrap();
    assert_eq!((last.get("MessageStatus"), last.get("ErrorCode")), (Some("undelivered"), Some("63024")));
}

#[tokio::test]
async fn muted_callbacks_are_lost_and_the_message_still_arrives() {
    let webhook = Webhook::start().await;
    let simulator = webhook.simulator();
    simulator.mute_callbacks(true);
    let mut form = HELLO_FORM.to_vec();
    form.push(("StatusCallback", &webhook.address));
    post_message(&serve_api(&simulator).await, &form).await.unwrap();
    simulator.wait_until_idle().await;
    assert!(webhook.received().is_empty());
    assert_eq!(simulator.conversation(CONTACT_PHONE)[0].status, Status::Read);
}

#[tokio::test]
async fn a_cut_connection_gives_no_status_whether_or_not_the_message_was_created() {
    for created in [true, false] {
        let simulator = simulator("http://127.0.0.1:9/");
        simulator.fail_next(InjectedFault::Drop { created });
        let error = post_message(&serve_api(&simulator).await, &HELLO_FORM).await.unwrap_err();
        assert!(error.status().is_none() && !error.is_connect() && !error.is_timeout(), "{error:?}");
        assert_eq!(simulator.conversation(CONTACT_PHONE).len(), usize::from(created));
    }
}

#[tokio::test]
async fn a_call_that_hangs_ends_when_the_stand_in_is_closed() {
    let simulator = simulator("http://127.0.0.1:9/");
    simulator.fail_next(InjectedFault::Hang { created: true });
    let url = serve_api(&simulator).await;
    let mut changes = simulator.subscribe();
    let call = tokio::spawn(async move { post_message(&url, &HELLO_FORM).await });
    assert!(
        matches!(changes.recv().await.unwrap(), PhoneChange::Bubble { bubble, .. } if bubble.text == "Hello & welcome")
    );
    assert!(!call.is_finished());
    simulator.close();
    assert!(call.await.unwrap().is_err());
}

#[test]
fn debug_output_contains_no_secret() {
    let printed = format!("{:?}", simulator("http://127.0.0.1:9/"));
    assert_eq!(printed, "Simulator { account_sid: \"AC0123456789abcdef0123456789abcdef\", .. }");
}
