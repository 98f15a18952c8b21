use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{Request, Response};
use http_body_util::BodyExt;
use tower::ServiceExt;
use url::Url;

use super::super::{InjectedFault, PhonePage, Simulator, SimulatorConfig, Status};
use crate::clock::{ManualClock, Time};

const CONTACT_PHONE: &str = "+12025550142";

/// Returns a simulator whose webhook does not exist.
fn simulator() -> Simulator {
    let clock = Arc::new(ManualClock::new(Time(1_692_853_305_000)));
    let nowhere = Url::parse("http://127.0.0.1:9/webhooks/twilio").unwrap();
    let mut config = SimulatorConfig::new("AC1", "12345", "+14155238886", nowhere, clock);
    config.page = PhonePage {
        title: "Tom & Jerry's <Deli>".into(),
        responder: "Offline responder: no account, no key".into(),
        suggestions: vec!["When are you \"open\"?".into()],
        ..PhonePage::default()
    };
    Simulator::new(config)
}

async fn send_request(simulator: &Simulator, request: Request<Body>) -> Response<Body> {
    simulator.page().oneshot(request).await.unwrap()
}

async fn body_text(response: Response<Body>) -> String {
    String::from_utf8(to_bytes(response.into_body(), 1 << 20).await.unwrap().to_vec()).unwrap()
}

fn get_request(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

fn form_request(headers: &[(&str, &str)], body: &str) -> Request<Body> {
    let mut request = Request::post("/send").header("content-type", "application/x-www-form-urlencoded");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::from(body.to_owned())).unwrap()
}

/// Reads the stream until it contains `end`.
async fn read_until(response: &mut Response<Body>, end: &str) -> String {
    let mut text = String::new();
    while !text.contains(end) {
        let frame = response.body_mut().frame().await.expect("the stream goes on").unwrap();
        text.push_str(std::str::from_utf8(&frame.into_data().unwrap()).unwrap());
    }
    text
}

#[tokio::test]
async fn an_empty_phone_offers_questions_and_escapes_what_it_is_given() {
    let response = send_request(&simulator(), get_request("/")).await;
    let headers = response.headers().clone();
    let policy = headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'self';") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(headers["x-content-type-options"], "nosniff");
    assert_eq!(headers["referrer-policy"], "same-origin");
    assert_eq!(headers["cache-control"], "no-store");
    let page = body_text(response).await;
    assert!(page.contains("<h1>Tom &#38; Jerry&#39;s &#60;Deli&#62;</h1>"), "{page}");
    assert!(page.contains("value=\"When are you &#34;open&#34;?\""), "{page}");
    assert!(page.contains("Offline responder: no account, no key"));
    assert!(!page.contains("http-equiv=\"refresh\""), "no answer is expected");
    // The policy forbids inline scripts and styles.
    assert!(!page.contains("style=") && !page.contains("<style") && !page.contains("<script>"));
    assert!(!page.split_whitespace().any(|word| word.starts_with("on") && word.contains('=')));
}

#[tokio::test]
async fn a_form_that_is_sent_becomes_a_bubble_and_a_redirect() {
    let simulator = simulator();
    let response =
        send_request(&simulator, form_request(&[("sec-fetch-site", "same-origin")], "text=+one%0D%0Atwo+")).await;
    assert_eq!((response.status().as_u16(), response.headers()["location"].to_str().unwrap()), (303, "/"));
    let bubbles = simulator.conversation(CONTACT_PHONE);
    assert_eq!((bubbles.len(), bubbles[0].text.as_str(), bubbles[0].status), (1, "one\ntwo", Status::Undelivered));
    let page = body_text(send_request(&simulator, get_request("/")).await).await;
    assert!(page.contains("<p>one<br>two</p>") && page.contains("Not delivered: the webhook did not answer"), "{page}");
    assert!(!page.contains("starters"), "suggestions appear only before the first message");
}

#[tokio::test]
async fn blank_messages_are_ignored_and_long_ones_are_given_back() {
    let simulator = simulator();
    for blank in ["text=+%0D%0A+", "text=", ""] {
        assert_eq!(send_request(&simulator, form_request(&[], blank)).await.status(), 303);
    }
    let response = send_request(&simulator, form_request(&[], &format!("text=%3Cb%3E{}", "a".repeat(4_094)))).await;
    assert_eq!(response.status(), 422);
    let page = body_text(response).await;
    assert!(page.contains("This message has 4097 characters; WhatsApp&#39;s limit is 4096."), "{page}");
    assert!(page.contains("&#60;b&#62;aaaa"), "the typed text is kept");
    assert!(simulator.conversation(CONTACT_PHONE).is_empty());
}

#[tokio::test]
async fn a_form_from_another_site_is_refused() {
    let simulator = simulator();
    let host = ("host", "127.0.0.1:8080");
    for headers in [
        vec![("sec-fetch-site", "cross-site")],
        vec![("sec-fetch-site", "same-site")],
        vec![host, ("origin", "http://evil.example")],
        vec![host, ("origin", "null")],
        vec![host, ("origin", "http://127.0.0.1:8081")],
    ] {
        assert_eq!(send_request(&simulator, form_request(&headers, "text=hi")).await.status(), 403, "{headers:?}");
    }
    assert!(simulator.conversation(CONTACT_PHONE).is_empty());
    assert_eq!(
        send_request(&simulator, form_request(&[host, ("origin", "http://127.0.0.1:8080")], "text=hi")).await.status(),
        303
    );
}

#[tokio::test]
async fn a_viewer_is_sent_what_the_page_would_show() {
    let simulator = simulator();
    let page = body_text(send_request(&simulator, get_request("/")).await).await;
    let (_, rest) = page.split_once("data-seen=\"").unwrap();
    let seen = rest.split_once('"').unwrap().0;
    // A message between loading the page and opening the stream must not get lost.
    let sid = simulator.add_inbound(CONTACT_PHONE, "*hi* <b>");
    let mut response = send_request(&simulator, get_request(&format!("/events?after={seen}"))).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let events = read_until(&mut response, "event: typing").await;
    let data = events.lines().find_map(|line| line.strip_prefix("data: {")).unwrap();
    let event: serde_json::Value = serde_json::from_str(&format!("{{{data}")).unwrap();
    assert_eq!(event["sid"], sid);
    let html = event["html"].as_str().unwrap();
    assert!(html.contains("<p><b>hi</b> &lt;b&gt;</p>"), "{html}");
    assert!(
        body_text(send_request(&simulator, get_request("/")).await).await.contains(html.trim()),
        "one template for both"
    );
    // The stream also sends later messages, but none of other phones.
    simulator.add_inbound("+15550000000", "elsewhere");
    simulator.add_inbound(CONTACT_PHONE, "again");
    let events = read_until(&mut response, "event: bubble").await;
    assert!(events.contains("again") && !events.contains("elsewhere") && !events.contains("*hi*"), "{events}");
    simulator.close();
    while let Some(frame) = response.body_mut().frame().await {
        frame.unwrap();
    }
}

#[tokio::test]
async fn a_page_of_an_earlier_run_is_asked_to_reload() {
    let simulator = simulator();
    let mut response = send_request(&simulator, get_request("/events?after=00000000-7")).await;
    assert!(read_until(&mut response, "\n\n").await.contains("event: reload"));
    assert!(response.body_mut().frame().await.is_none());
}

#[tokio::test]
async fn assets_are_typed_and_answered_by_304_while_they_are_the_same() {
    let simulator = simulator();
    for (file, kind) in [
        ("look.css", "text/css"),
        ("phone.css", "text/css"),
        ("phone.js", "text/javascript"),
        ("mark.svg", "image/svg+xml"),
        ("favicon.svg", "image/svg+xml"),
    ] {
        let response = send_request(&simulator, get_request(&format!("/assets/{file}"))).await;
        assert_eq!((response.status().as_u16(), response.headers()["content-type"].to_str().unwrap()), (200, kind));
        let again = Request::get(format!("/assets/{file}")).header("if-none-match", &response.headers()["etag"]);
        assert_eq!(send_request(&simulator, again.body(Body::empty()).unwrap()).await.status(), 304);
    }
    for missing in ["nothing.css", "..%2FCargo.toml", "example%2Fx"] {
        assert_eq!(
            send_request(&simulator, get_request(&format!("/assets/{missing}"))).await.status(),
            404,
            "{missing}"
        );
    }
}

#[tokio::test]
async fn without_a_script_the_page_looks_again_while_an_answer_is_awaited() {
    let simulator = simulator();
    simulator.add_inbound(CONTACT_PHONE, "hi");
    assert!(body_text(send_request(&simulator, get_request("/")).await).await.contains("http-equiv=\"refresh\""));
    simulator.fail_next(InjectedFault::Undelivered { code: 63024 });
    let answer = Request::post("/2010-04-01/Accounts/AC1/Messages.json")
        .header("authorization", "Basic QUMxOjEyMzQ1")
        .body(Body::from("To=whatsapp%3A%2B12025550142&From=whatsapp%3A%2B14155238886&Body=hello"));
    assert_eq!(simulator.api().oneshot(answer.unwrap()).await.unwrap().status(), 201);
    tokio::time::timeout(Duration::from_secs(10), simulator.wait_until_idle()).await.unwrap();
    let page = body_text(send_request(&simulator, get_request("/")).await).await;
    assert!(!page.contains("http-equiv=\"refresh\"") && page.contains("Not delivered: error 63024."), "{page}");
}
