use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use serde_json::Value;
use tower::ServiceExt;
use url::Url;

use crate::clock::{ManualClock, Time};
use crate::simulator::{ApiCall, InjectedFault, Simulator, SimulatorConfig, Status};

const ACCOUNT: &str = "AC0123456789abcdef0123456789abcdef";
/// `AC0123456789abcdef0123456789abcdef:12345`
const TOKEN_AUTHORIZATION: &str = "Basic QUMwMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZjoxMjM0NQ==";
/// `SK1:open`
const KEY_AUTHORIZATION: &str = "Basic U0sxOm9wZW4=";
/// Thu, 24 Aug 2023 05:01:45 +0000
const NOW: Time = Time(1_692_853_305_000);
const DAY: Duration = Duration::from_secs(86_400);

fn simulator() -> (Simulator, ManualClock) {
    let clock = ManualClock::new(NOW);
    let nowhere = Url::parse("http://127.0.0.1:9/webhooks/twilio").unwrap();
    let mut config = SimulatorConfig::new(ACCOUNT, "12345", "+14155238886", nowhere, Arc::new(clock.clone()));
    config.api_key = Some(("SK1".into(), "open".into()));
    (Simulator::new(config), clock)
}

async fn send_request(simulator: &Simulator, request: Request<Body>) -> (StatusCode, Value) {
    let response = simulator.api().oneshot(request).await.unwrap();
    let status = response.status();
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap())
}

fn request(method: &str, path: &str, authorization: &str, body: &str) -> Request<Body> {
    let request = Request::builder().method(method).uri(path).header("authorization", authorization);
    request.header("content-type", "application/x-www-form-urlencoded").body(Body::from(body.to_owned())).unwrap()
}

async fn post_message(simulator: &Simulator, form: &str) -> (StatusCode, Value) {
    let path = format!("/2010-04-01/Accounts/{ACCOUNT}/Messages.json");
    send_request(simulator, request("POST", &path, TOKEN_AUTHORIZATION, form)).await
}

async fn get(simulator: &Simulator, path: &str) -> (StatusCode, Value) {
    send_request(simulator, request("GET", path, TOKEN_AUTHORIZATION, "")).await
}

async fn list_messages(simulator: &Simulator, query: &str) -> Value {
    let path = format!("/2010-04-01/Accounts/{ACCOUNT}/Messages.json?{query}");
    let (status, page) = get(simulator, &path).await;
    assert_eq!(status, 200, "{page}");
    page
}

fn bodies(page: &Value) -> Vec<&str> {
    page["messages"].as_array().unwrap().iter().map(|message| message["body"].as_str().unwrap()).collect()
}

const VALID_FORM: &str = "To=whatsapp%3A%2B15551234567&From=whatsapp%3A%2B14155238886&Body=Hello%21+%F0%9F%91%8D";

#[tokio::test]
async fn a_sent_message_is_answered_by_201_and_the_whole_resource() {
    let (simulator, _) = simulator();
    let (status, message) = post_message(&simulator, VALID_FORM).await;
    assert_eq!(status, 201);
    let sid = message["sid"].as_str().unwrap();
    assert!(sid.len() == 34 && sid.starts_with("SM") && sid[2..].bytes().all(|byte| byte.is_ascii_hexdigit()), "{sid}");
    let uri = format!("/2010-04-01/Accounts/AC0123456789abcdef0123456789abcdef/Messages/{sid}");
    let expected = serde_json::json!({
        "account_sid": "AC0123456789abcdef0123456789abcdef", "api_version": "2010-04-01", "body": "Hello! 👍",
        "date_created": "Thu, 24 Aug 2023 05:01:45 +0000", "date_sent": null,
        "date_updated": "Thu, 24 Aug 2023 05:01:45 +0000", "direction": "outbound-api", "error_code": null,
        "error_message": null, "from": "whatsapp:+14155238886", "messaging_service_sid": null, "num_media": "0",
        "num_segments": "1", "price": null, "price_unit": null, "sid": sid, "status": "queued",
        "subresource_uris": { "media": format!("{uri}/Media.json") }, "to": "whatsapp:+15551234567",
        "uri": format!("{uri}.json"),
    });
    assert_eq!(message, expected);
    simulator.wait_until_idle().await;
    let (status, later) = get(&simulator, &format!("{uri}.json")).await;
    assert_eq!(
        (status, &later["status"], &later["date_sent"]),
        (StatusCode::OK, &"read".into(), &message["date_created"])
    );
    let bubbles = simulator.conversation("+15551234567");
    assert_eq!((bubbles.len(), bubbles[0].text.as_str(), bubbles[0].from_contact), (1, "Hello! 👍", false));
    assert_eq!((bubbles[0].status, bubbles[0].sid.as_str()), (Status::Read, sid));
}

#[tokio::test]
async fn a_messaging_service_accepts_first_and_names_the_sender_later() {
    let (simulator, _) = simulator();
    let service = "MG0123456789abcdef0123456789abcdef";
    let (status, message) =
        post_message(&simulator, &format!("To=whatsapp%3A%2B15551234567&MessagingServiceSid={service}&Body=hi")).await;
    assert_eq!((status, &message["status"], &message["from"]), (StatusCode::CREATED, &"accepted".into(), &Value::Null));
    assert_eq!(message["messaging_service_sid"], service);
    simulator.wait_until_idle().await;
    assert_eq!(list_messages(&simulator, "").await["messages"][0]["from"], "whatsapp:+14155238886");
}

#[tokio::test]
async fn wrong_credentials_get_401_and_20003() {
    let (simulator, _) = simulator();
    let path = format!("/2010-04-01/Accounts/{ACCOUNT}/Messages.json");
    for wrong in ["", "Basic", "Basic !", "Bearer 12345", "Basic U0sxOnNodXQ="] {
        for (method, path) in [("POST", path.as_str()), ("GET", path.as_str()), ("POST", "/v2/Indicators/Typing.json")]
        {
            let (status, error) = send_request(&simulator, request(method, path, wrong, VALID_FORM)).await;
            assert_eq!(
                (status.as_u16(), &error["code"], &error["status"]),
                (401, &20003.into(), &401.into()),
                "{wrong}"
            );
            assert_eq!(error["more_info"], "https://www.twilio.com/docs/errors/20003");
        }
    }
    assert_eq!((simulator.counts().unauthorized, simulator.counts().sends), (15, 0));
    let (status, _) = send_request(&simulator, request("POST", &path, KEY_AUTHORIZATION, VALID_FORM)).await;
    assert_eq!(status, 201, "the API key is accepted too");
    let other = "/2010-04-01/Accounts/AC00000000000000000000000000000000/Messages.json";
    let (status, error) = get(&simulator, other).await;
    assert_eq!((status.as_u16(), &error["code"]), (404, &20404.into()));
}

#[tokio::test]
async fn a_request_that_twilio_refuses_is_refused_with_its_code() {
    let (simulator, _) = simulator();
    let pair = "To=whatsapp%3A%2B15551234567&From=whatsapp%3A%2B14155238886";
    let long = format!("{pair}&Body={}", "a".repeat(1_601));
    let wide = format!("{pair}&Body={}", "%F0%9F%91%8D".repeat(801));
    for (form, code) in [
        ("From=whatsapp%3A%2B14155238886&Body=hi", 21604),
        ("To=whatsapp%3A%2B15551234567&Body=hi", 21603),
        ("To=whatsapp%3A%2B15551234567&From=whatsapp%3A%2B14155230000&Body=hi", 63007),
        ("To=whatsapp%3A%2B15551234567&From=%2B14155238886&Body=hi", 21910),
        ("To=whatsapp%3A15551234567&From=whatsapp%3A%2B14155238886&Body=hi", 21211),
        (pair, 21619),
        (&format!("{pair}&Body="), 21619),
        (&format!("{pair}&MediaUrl=ftp%3A%2F%2Fx"), 21620),
        (&format!("{VALID_FORM}&StatusCallback=bot.example.org"), 21609),
        (&format!("{VALID_FORM}&StatusCallback=https%3A%2F%2Fmy_bot.example.org%2F"), 21609),
        (&long, 21617),
        (&wide, 21617),
    ] {
        let (status, error) = post_message(&simulator, form).await;
        assert_eq!((status.as_u16(), &error["code"], &error["status"]), (400, &code.into(), &400.into()), "{form}");
    }
    assert_eq!(simulator.counts().created, 0);
    assert_eq!(list_messages(&simulator, "").await["messages"], serde_json::json!([]));
    for form in [
        format!("{pair}&Body={}", "a".repeat(1_600)),
        format!("{pair}&MediaUrl=https%3A%2F%2Fx.org%2Fa.png"),
        "To=whatsapp%3AUS.13491208655302741918&From=whatsapp%3A%2B14155238886&Body=hi".to_owned(),
    ] {
        assert_eq!(post_message(&simulator, &form).await.0, 201, "{form}");
    }
}

#[tokio::test]
async fn messages_are_listed_newest_first_page_by_page() {
    let (simulator, _) = simulator();
    for n in 0..5 {
        simulator.add_inbound("+15551234567", &format!("in {n}"));
    }
    simulator.add_inbound("+15559999999", "other");
    let query = "To=whatsapp%3A%2B14155238886&From=whatsapp%3A%2B15551234567&PageSize=2";
    let first = list_messages(&simulator, query).await;
    assert_eq!(bodies(&first), ["in 4", "in 3"]);
    assert_eq!(
        (&first["page"], &first["page_size"], &first["start"], &first["end"]),
        (&0.into(), &2.into(), &0.into(), &1.into())
    );
    // A message that arrives between two pages does not move rows to another page.
    simulator.add_inbound("+15551234567", "in 5");
    let (_, second) = get(&simulator, first["next_page_uri"].as_str().unwrap()).await;
    assert_eq!((bodies(&second), &second["page"]), (vec!["in 2", "in 1"], &1.into()));
    let (_, third) = get(&simulator, second["next_page_uri"].as_str().unwrap()).await;
    assert_eq!((bodies(&third), &third["next_page_uri"]), (vec!["in 0"], &Value::Null));
    let message = &third["messages"][0];
    assert_eq!((&message["direction"], &message["status"]), (&"inbound".into(), &"received".into()));
    assert_eq!(message["date_sent"], "Thu, 24 Aug 2023 05:01:45 +0000");
    assert_eq!(simulator.counts().lookups, 3);
}

#[tokio::test]
async fn dates_choose_whole_gmt_days_with_both_ends() {
    let (simulator, clock) = simulator();
    for text in ["24th", "25th", "26th"] {
        simulator.add_inbound("+15551234567", text);
        clock.advance(DAY);
    }
    simulator.mute_callbacks(true);
    for (query, expected) in [
        ("DateSent=2023-08-25", vec!["25th"]),
        ("DateSent%3E=2023-08-25", vec!["26th", "25th"]),
        ("DateSent%3C=2023-08-25", vec!["25th", "24th"]),
        ("DateSent%3E=2023-08-25&DateSent%3C=2023-08-25", vec!["25th"]),
        ("DateSent%3E=2023-08-27", vec![]),
    ] {
        assert_eq!(bodies(&list_messages(&simulator, query).await), expected, "{query}");
    }
    let path = format!("/2010-04-01/Accounts/{ACCOUNT}/Messages.json?DateSent=yesterday");
    let (status, error) = get(&simulator, &path).await;
    assert_eq!((status.as_u16(), &error["code"]), (400, &20001.into()));
}

#[tokio::test]
async fn typing_needs_an_inbound_message_and_lasts_until_the_reply() {
    let (simulator, clock) = simulator();
    let outbound = post_message(&simulator, VALID_FORM).await.1["sid"].as_str().unwrap().to_owned();
    let inbound = simulator.add_inbound("+15551234567", "hi");
    for form in [
        format!("messageId={outbound}&channel=whatsapp"),
        "messageId=SM0&channel=whatsapp".to_owned(),
        format!("messageId={inbound}&channel=sms"),
        String::new(),
    ] {
        let (status, error) =
            send_request(&simulator, request("POST", "/v2/Indicators/Typing.json", TOKEN_AUTHORIZATION, &form)).await;
        assert_eq!((status.as_u16(), &error["code"]), (400, &20422.into()), "{form}");
    }
    let form = format!("messageId={inbound}&channel=whatsapp");
    let mut changes = simulator.subscribe();
    let (status, answer) =
        send_request(&simulator, request("POST", "/v2/Indicators/Typing.json", TOKEN_AUTHORIZATION, &form)).await;
    assert_eq!((status.as_u16(), answer), (200, serde_json::json!({ "success": true })));
    let phone = "+15551234567".to_owned();
    let typing =
        crate::simulator::PhoneChange::Typing { phone: phone.clone(), until: Some(NOW + Duration::from_secs(25)) };
    assert_eq!(changes.recv().await.unwrap(), typing);
    assert_eq!(
        simulator.conversation(&phone).iter().find(|bubble| bubble.sid == inbound).unwrap().status,
        Status::Read
    );
    clock.advance(Duration::from_secs(1));
    post_message(&simulator, VALID_FORM).await;
    simulator.wait_until_idle().await;
    let mut seen = Vec::new();
    while let Ok(change) = changes.try_recv() {
        seen.push(change);
    }
    assert!(seen.contains(&crate::simulator::PhoneChange::Typing { phone, until: None }), "{seen:?}");
}

#[tokio::test]
async fn faults_come_in_the_order_given_and_only_the_named_ones_create() {
    let (simulator, _) = simulator();
    for (fault, status, code, created) in [
        (InjectedFault::TooManyRequests { retry_after: None }, 429, 20429, 0),
        (InjectedFault::TooManyRequests { retry_after: Some(Duration::from_secs(3)) }, 429, 20429, 0),
        (InjectedFault::Unavailable { retry_after: Duration::from_secs(3) }, 503, 20503, 0),
        (InjectedFault::ServerError { created: false }, 500, 20500, 0),
        (InjectedFault::Refuse { code: 63016 }, 400, 63016, 0),
        (InjectedFault::Unauthorized, 401, 20003, 0),
        (InjectedFault::ServerError { created: true }, 500, 20500, 1),
    ] {
        let before = simulator.counts().created;
        simulator.fail_next(fault.clone());
        let path = format!("/2010-04-01/Accounts/{ACCOUNT}/Messages.json");
        let response = simulator.api().oneshot(request("POST", &path, TOKEN_AUTHORIZATION, VALID_FORM)).await.unwrap();
        let waits = matches!(
            fault,
            InjectedFault::TooManyRequests { retry_after: Some(_) } | InjectedFault::Unavailable { .. }
        );
        assert_eq!(response.headers().get("retry-after").map(|value| value.to_str().unwrap()), waits.then_some("3"));
        assert_eq!(response.status().as_u16(), status, "{fault:?}");
        let body: Value = serde_json::from_slice(&to_bytes(response.into_body(), 4096).await.unwrap()).unwrap();
        assert_eq!(body["code"], code, "{fault:?}");
        assert_eq!(simulator.counts().created - before, created, "{fault:?}");
    }
    assert_eq!(post_message(&simulator, VALID_FORM).await.0, 201, "the next call succeeds");

    simulator.fail_next(InjectedFault::Undelivered { code: 63024 });
    assert_eq!(post_message(&simulator, VALID_FORM).await.0, 201);
    simulator.wait_until_idle().await;
    let newest = list_messages(&simulator, "PageSize=1").await["messages"][0].clone();
    assert_eq!((&newest["status"], &newest["error_code"]), (&"undelivered".into(), &63024.into()));

    simulator.fail_next_call(ApiCall::Lookup, InjectedFault::ServerError { created: false });
    let path = format!("/2010-04-01/Accounts/{ACCOUNT}/Messages.json");
    assert_eq!(get(&simulator, &path).await.0, 500);
}

async fn update_sender(simulator: &Simulator, sid: &str, body: &Value) -> (StatusCode, Value) {
    let path = format!("/v2/Channels/Senders/{sid}");
    let request = Request::builder().method("POST").uri(path).header("authorization", TOKEN_AUTHORIZATION);
    let request = request.header("content-type", "application/json").body(Body::from(body.to_string())).unwrap();
    send_request(simulator, request).await
}

#[tokio::test]
async fn the_sender_is_listed_fetched_and_its_webhook_replaced_whole() {
    let (simulator, _) = simulator();
    let (status, page) = get(&simulator, "/v2/Channels/Senders?Channel=whatsapp&PageSize=100").await;
    assert_eq!((status.as_u16(), &page["meta"]["key"]), (200, &"senders".into()));
    assert_eq!((&page["meta"]["page_size"], &page["meta"]["next_page_url"]), (&100.into(), &Value::Null));
    let sender = page["senders"][0].clone();
    let sid = sender["sid"].as_str().unwrap();
    assert!(sid.len() == 34 && sid.starts_with("XE"), "{sid}");
    assert_eq!((&sender["status"], &sender["sender_id"]), (&"ONLINE".into(), &"whatsapp:+14155238886".into()));
    assert_eq!(sender["webhook"]["callback_url"], "http://127.0.0.1:9/webhooks/twilio");
    assert_eq!(get(&simulator, &format!("/v2/Channels/Senders/{sid}")).await, (StatusCode::OK, sender.clone()));

    let both = serde_json::json!({ "webhook": { "callback_url": "http://a.example", "callback_method": "PUT",
        "status_callback_url": "http://b.example" } });
    let (status, updated) = update_sender(&simulator, sid, &both).await;
    assert_eq!((status.as_u16(), &updated["webhook"]["status_callback_url"]), (202, &"http://b.example".into()));
    let one = serde_json::json!({ "webhook": { "callback_url": "http://c.example" } });
    let (_, updated) = update_sender(&simulator, sid, &one).await;
    assert_eq!(updated["webhook"]["callback_url"], "http://c.example");
    assert_eq!(updated["webhook"]["status_callback_url"], Value::Null, "what is left out is cleared");

    for bad in [
        serde_json::json!([]),
        serde_json::json!({ "webhooks": {} }),
        serde_json::json!({ "webhook": { "callbackUrl": "http://d.example" } }),
        serde_json::json!({ "webhook": { "callback_method": "GET" } }),
        serde_json::json!({ "webhook": { "callback_url": 7 } }),
    ] {
        assert_eq!(update_sender(&simulator, sid, &bad).await.0, 400, "{bad}");
    }
    assert_eq!(get(&simulator, "/v2/Channels/Senders").await.0, 400, "Channel is required");
    assert_eq!(get(&simulator, "/v2/Channels/Senders?Channel=rcs").await.1["senders"], serde_json::json!([]));
    simulator.set_sender_state("");
    assert_eq!(get(&simulator, "/v2/Channels/Senders?Channel=whatsapp").await.1["senders"], serde_json::json!([]));
    assert_eq!(get(&simulator, &format!("/v2/Channels/Senders/{sid}")).await.0, 404);
}

#[tokio::test]
async fn answers_are_dated_by_the_simulators_clock() {
    let (simulator, _) = simulator();
    let answer = simulator.api().oneshot(request("GET", "/nowhere", "", "")).await.unwrap();
    assert_eq!(answer.headers()["date"], "Thu, 24 Aug 2023 05:01:45 GMT");
}
