use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use secrecy::SecretString;
use serde_json::json;
use url::Url;
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use super::*;
use crate::channel::Channel;
use crate::channel::twilio::Twilio;
use crate::channel::twilio::tests::config;
use crate::http::AllowedTargets;
use crate::model::{ContentSid, PartRef, Template, Variables};

const MESSAGES_PATH: &str = "/2010-04-01/Accounts/AC00000000000000000000000000000000/Messages.json";
const SID: &str = "SM00000000000000000000000000000009";

/// `AC00000000000000000000000000000000:token-1` and `…:token-2`.
const AUTHORIZATION_HEADERS: [&str; 2] = [
    "Basic QUMwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDp0b2tlbi0x",
    "Basic QUMwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDp0b2tlbi0y",
];

fn outgoing() -> Outgoing {
    Outgoing {
        from: "whatsapp:+14155238887".to_owned(),
        to: "whatsapp:+15005550006".to_owned(),
        text: "Olá & 👋 a+b".to_owned(),
        template: None,
        media_url: None,
        reference: PartRef::parse("12.1").unwrap(),
    }
}

fn form_fields(request: &Request) -> Vec<(String, String)> {
    url::form_urlencoded::parse(&request.body).into_owned().collect()
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

async fn server_answering(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST")).respond_with(answer).mount(&server).await;
    server
}

fn created_response() -> ResponseTemplate {
    ResponseTemplate::new(201).set_body_json(json!({"sid": SID, "status": "queued", "error_code": null}))
}

async fn send_against(answer: ResponseTemplate) -> Result<ProviderId, Fault> {
    let server = server_answering(answer).await;
    Ok(Twilio::new(config(&server.uri()), [7; 32]).send(&outgoing()).await?)
}

#[tokio::test]
async fn an_error_carries_twilios_code_where_there_is_one() {
    for (answer, code) in [
        (error_response(400, 21211), Some(21211)),
        (error_response(401, 20003), Some(20003)),
        (error_response(500, 20500), Some(20500)),
        (ResponseTemplate::new(503), None),
    ] {
        let server = server_answering(answer).await;
        let error = Twilio::new(config(&server.uri()), [7; 32]).send(&outgoing()).await.unwrap_err();
        assert_eq!(error.code, code, "{error:?}");
    }
}

fn error_response(status: u16, code: i64) -> ResponseTemplate {
    let body =
        json!({"code": code, "message": "Olá & 👋 a+b to whatsapp:+15005550006", "more_info": "", "status": status});
    ResponseTemplate::new(status).set_body_json(body)
}

#[tokio::test]
async fn a_message_is_posted_as_twilio_wants_it() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path(MESSAGES_PATH))
        .and(header("content-type", "application/x-www-form-urlencoded"))
        .and(header("authorization", AUTHORIZATION_HEADERS[0]))
        .respond_with(created_response())
        .expect(1)
        .mount(&server)
        .await;
    let sent = Twilio::new(config(&server.uri()), [7; 32]).send(&outgoing()).await;
    assert_eq!(sent, Ok(ProviderId(SID.to_owned())));
    let request = &server.received_requests().await.unwrap()[0];
    let callback = "https://bot.example.com/webhooks/twilio/status?p=12.1&m=1815c5bb9a08832c13d90a4fb301a562";
    let expected = [
        ("To", "whatsapp:+15005550006"),
        ("From", "whatsapp:+14155238887"),
        ("Body", "Olá & 👋 a+b"),
        ("StatusCallback", callback),
    ];
    assert_eq!(form_fields(request), pairs(&expected));
}

#[tokio::test]
async fn key_service_and_missing_url_change_the_post() {
    let server = MockServer::start().await;
    Mock::given(header("authorization", "Basic U0sxOnNlY3JldA==")) // SK1:secret
        .respond_with(created_response())
        .expect(2)
        .mount(&server)
        .await;
    let mut config = config(&server.uri());
    config.api_key = Some(("SK1".to_owned(), SecretString::from("secret")));
    config.public_url = Some(Url::parse("https://my_bot.example.com").unwrap());
    let mut nameless = outgoing();
    nameless.from.clear();
    Twilio::new(config.clone(), [7; 32]).send(&nameless).await.unwrap();
    config.sender = Sender::MessagingService("MG00000000000000000000000000000001".to_owned());
    Twilio::new(config, [7; 32]).send(&outgoing()).await.unwrap();

    let requests = server.received_requests().await.unwrap();
    let (to, body) = (("To", "whatsapp:+15005550006"), ("Body", "Olá & 👋 a+b"));
    assert_eq!(form_fields(&requests[0]), pairs(&[to, ("From", "whatsapp:+14155238886"), body]));
    assert_eq!(
        form_fields(&requests[1]),
        pairs(&[to, ("MessagingServiceSid", "MG00000000000000000000000000000001"), body])
    );
}

/// Returns the tokens of the calls that were made, by their index in [`AUTHORIZATION_HEADERS`].
async fn tokens_used(server: &MockServer) -> Vec<Option<usize>> {
    let requests = server.received_requests().await.unwrap();
    let token =
        |request: &Request| AUTHORIZATION_HEADERS.iter().position(|token| request.headers["authorization"] == **token);
    requests.iter().map(token).collect()
}

#[tokio::test]
async fn after_a_rotation_the_token_that_twilio_takes_is_used_and_remembered() {
    for refused in [error_response(401, 20003), ResponseTemplate::new(401), error_response(403, 20003)] {
        let server = MockServer::start().await;
        Mock::given(header("authorization", AUTHORIZATION_HEADERS[0])).respond_with(refused).mount(&server).await;
        Mock::given(header("authorization", AUTHORIZATION_HEADERS[1]))
            .respond_with(created_response())
            .mount(&server)
            .await;
        let channel = Twilio::new(config(&server.uri()), [7; 32]);
        for _ in 0..2 {
            assert_eq!(channel.send(&outgoing()).await, Ok(ProviderId(SID.to_owned())));
        }
        assert_eq!(tokens_used(&server).await, [Some(0), Some(1), Some(1)]);
        let requests = server.received_requests().await.unwrap();
        assert_eq!(form_fields(&requests[0]), form_fields(&requests[1]), "the same message");
        // Rotate once more, the other way around.
        server.reset().await;
        Mock::given(header("authorization", AUTHORIZATION_HEADERS[1]))
            .respond_with(error_response(401, 20003))
            .mount(&server)
            .await;
        Mock::given(header("authorization", AUTHORIZATION_HEADERS[0]))
            .respond_with(created_response())
            .mount(&server)
            .await;
        channel.send(&outgoing()).await.unwrap();
        assert_eq!(tokens_used(&server).await, [Some(1), Some(0)]);
    }
}

#[tokio::test]
async fn a_template_is_posted_by_its_name_and_without_a_body() {
    let server = server_answering(created_response()).await;
    let sid = ContentSid::parse("HX00000000000000000000000000000001").unwrap();
    let channel = Twilio::new(config(&server.uri()), [7; 32]);
    let ana = Variables::new([("1".to_owned(), "Ana & \"Bo\"".to_owned())]).unwrap();
    for (variables, json) in [(Variables::default(), None), (ana, Some(r#"{"1":"Ana & \"Bo\""}"#))] {
        let template = Some(Template { sid, variables });
        let id = channel.send(&Outgoing { text: String::new(), template, ..outgoing() }).await;
        assert_eq!(id, Ok(ProviderId(SID.to_owned())));
        let sent = form_fields(server.received_requests().await.unwrap().last().unwrap());
        assert_eq!(field_value(&sent, "ContentSid"), Some("HX00000000000000000000000000000001"));
        assert_eq!((field_value(&sent, "Body"), field_value(&sent, "ContentVariables")), (None, json));
    }
}

fn field_value<'a>(sent: &'a [(String, String)], name: &str) -> Option<&'a str> {
    sent.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
}

#[tokio::test]
async fn a_file_is_posted_by_its_address_with_or_without_a_caption() {
    let server = server_answering(created_response()).await;
    let channel = Twilio::new(config(&server.uri()), [7; 32]);
    let url = "https://bot.example.com/media/12.1?e=1&m=2";
    for (text, body) in [("Our menu", Some("Our menu")), ("", None), (" \n", None)] {
        let with_file = Outgoing { text: text.to_owned(), media_url: Some(url.to_owned()), ..outgoing() };
        channel.send(&with_file).await.unwrap();
        let sent = form_fields(server.received_requests().await.unwrap().last().unwrap());
        assert_eq!((field_value(&sent, "MediaUrl"), field_value(&sent, "Body")), (Some(url), body));
    }
}

#[tokio::test]
async fn a_post_is_repeated_with_another_token_only_where_twilio_did_not_let_it_in() {
    for answer in [
        error_response(400, 21211),
        error_response(429, 20429),
        error_response(500, 20500),
        error_response(500, 20003),
        error_response(403, 12),
    ] {
        let server = server_answering(answer).await;
        Twilio::new(config(&server.uri()), [7; 32]).send(&outgoing()).await.unwrap_err();
        assert_eq!(tokens_used(&server).await, [Some(0)]);
    }
}

#[tokio::test]
async fn if_no_token_is_accepted_each_is_tried_once_and_the_operator_is_notified() {
    let server = server_answering(error_response(401, 20003)).await;
    let fault = Twilio::new(config(&server.uri()), [7; 32]).send(&outgoing()).await.unwrap_err().fault;
    assert!(
        matches!(&fault, Fault::Fail { owner: FaultOwner::Operator, why } if why.contains("TWILIO_AUTH_TOKEN")),
        "{fault:?}"
    );
    assert_eq!(tokens_used(&server).await, [Some(0), Some(1)]);
}

#[tokio::test]
async fn an_api_key_that_is_refused_is_not_replaced_by_a_token() {
    let server = server_answering(error_response(401, 20003)).await;
    let mut config = config(&server.uri());
    config.api_key = Some(("SK1".to_owned(), SecretString::from("secret")));
    Twilio::new(config, [7; 32]).send(&outgoing()).await.unwrap_err();
    assert_eq!(tokens_used(&server).await, [None]);
}

#[tokio::test]
async fn without_credentials_or_text_nothing_is_posted() {
    let server = server_answering(created_response()).await;
    let mut bare = config(&server.uri());
    bare.auth_tokens.clear();
    let fault = Twilio::new(bare, [7; 32]).send(&outgoing()).await.unwrap_err().fault;
    assert!(matches!(fault, Fault::Fail { owner: FaultOwner::Operator, .. }), "{fault:?}");
    let mut empty = outgoing();
    empty.text = " \n".to_owned();
    let fault = Twilio::new(config(&server.uri()), [7; 32]).send(&empty).await.unwrap_err().fault;
    assert!(matches!(fault, Fault::Fail { owner: FaultOwner::Message, .. }), "{fault:?}");
    assert!(server.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_success_without_an_id_is_unknown() {
    assert_eq!(send_against(created_response()).await, Ok(ProviderId(SID.to_owned())));
    assert!(send_against(ResponseTemplate::new(200).set_body_json(json!({"sid": SID}))).await.is_ok());
    for answer in [
        ResponseTemplate::new(204),
        ResponseTemplate::new(201).set_body_string("<html>"),
        ResponseTemplate::new(201).set_body_json(json!({"sid": null})),
        ResponseTemplate::new(201).set_body_json(json!({"sid": "two words"})),
        ResponseTemplate::new(200).set_body_string("x".repeat(MAX_RESPONSE_BYTES + 1)),
    ] {
        let fault = send_against(answer).await.unwrap_err();
        assert!(matches!(fault, Fault::Unknown { .. }), "{fault:?}");
    }
}

#[tokio::test]
async fn every_refusal_gets_its_class() {
    let fault = send_against(error_response(429, 20429)).await.unwrap_err();
    assert!(matches!(fault, Fault::Retry { retry_after: None, .. }), "{fault:?}");
    let fault = send_against(ResponseTemplate::new(429).insert_header("retry-after", "4")).await.unwrap_err();
    assert!(matches!(fault, Fault::Retry { retry_after: Some(after), .. } if after.as_secs() == 4), "{fault:?}");
    let fault = send_against(ResponseTemplate::new(503).insert_header("retry-after", "2")).await.unwrap_err();
    assert!(matches!(fault, Fault::Retry { retry_after: Some(after), .. } if after.as_secs() == 2), "{fault:?}");
    let fault = send_against(ResponseTemplate::new(503)).await.unwrap_err();
    assert!(matches!(fault, Fault::Unknown { .. }), "{fault:?}");
    let fault = send_against(error_response(500, 20500)).await.unwrap_err();
    assert!(matches!(fault, Fault::Unknown { .. }), "{fault:?}");
    let fault = send_against(error_response(401, 20003)).await.unwrap_err();
    assert!(matches!(fault, Fault::Fail { owner: FaultOwner::Operator, .. }), "{fault:?}");
    let fault = send_against(error_response(400, 63016)).await.unwrap_err();
    assert!(matches!(fault, Fault::Fail { owner: FaultOwner::Contact, .. }), "{fault:?}");
    let fault = send_against(error_response(400, 21617)).await.unwrap_err();
    assert!(matches!(fault, Fault::TooLong { .. }), "{fault:?}");
    // The client does not follow a redirect, which would send the text and the credentials elsewhere.
    let fault =
        send_against(ResponseTemplate::new(307).insert_header("location", "http://127.0.0.1:9/")).await.unwrap_err();
    assert!(matches!(fault, Fault::Unknown { .. }), "{fault:?}");
}

#[tokio::test]
async fn a_reason_holds_neither_text_nor_number_nor_credentials() {
    for answer in
        [error_response(400, 21211), error_response(400, 99999), error_response(500, 1), ResponseTemplate::new(201)]
    {
        let why = send_against(answer).await.unwrap_err().to_string();
        for private in ["Olá", "5005550006", "token-1", "Basic", "127.0.0.1"] {
            assert!(!why.contains(private), "{why}");
        }
    }
}

/// Reads one whole request from a connection. Returns `None` if the other side closed it.
fn read_request(stream: &mut TcpStream) -> Option<()> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.split("content-length: ").nth(1)?.lines().next()?.parse::<usize>().ok()?;
            if body.len() >= length {
                return Some(());
            }
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
        }
    }
}

fn ascii_outgoing() -> Outgoing {
    Outgoing { text: "Hello".to_owned(), ..outgoing() }
}

#[tokio::test]
async fn a_refused_connection_is_repeated() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let fault = Twilio::new(config(&base), [7; 32]).send(&ascii_outgoing()).await.unwrap_err().fault;
    assert!(matches!(fault, Fault::Retry { .. }), "{fault:?}");
    assert!(fault.why().starts_with("mynah cannot reach Twilio"), "{fault:?}");
}

#[tokio::test]
async fn a_connection_cut_after_the_post_is_unknown() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let server = thread::spawn(move || read_request(&mut listener.accept().unwrap().0).unwrap());
    let fault = Twilio::new(config(&base), [7; 32]).send(&ascii_outgoing()).await.unwrap_err().fault;
    server.join().unwrap();
    assert!(matches!(fault, Fault::Unknown { .. }), "{fault:?}");
}

#[tokio::test]
async fn an_answer_cut_in_the_middle_is_unknown() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        read_request(&mut stream).unwrap();
        stream.write_all(b"HTTP/1.1 201 Created\r\ncontent-length: 900\r\n\r\n{\"sid\": \"SM").unwrap();
    });
    let fault = Twilio::new(config(&base), [7; 32]).send(&ascii_outgoing()).await.unwrap_err().fault;
    server.join().unwrap();
    assert!(matches!(fault, Fault::Unknown { .. }), "{fault:?}");
}

#[tokio::test]
async fn a_post_cut_on_a_pooled_connection_is_unknown_and_not_repeated() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let answer = format!("{{\"sid\": \"{SID}\"}}");
    let server = thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        read_request(&mut stream).unwrap();
        write!(stream, "HTTP/1.1 201 Created\r\ncontent-length: {}\r\n\r\n{answer}", answer.len()).unwrap();
        read_request(&mut stream).expect("the second post uses the same connection");
        drop(stream);
        listener
    });
    let channel = Twilio::new(config(&base), [7; 32]);
    assert!(channel.send(&ascii_outgoing()).await.is_ok());
    let fault = channel.send(&ascii_outgoing()).await.unwrap_err().fault;
    assert!(matches!(fault, Fault::Unknown { .. }), "{fault:?}");
    let listener = server.join().unwrap();
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "nobody posted again");
}

#[tokio::test]
async fn a_post_without_an_answer_in_time_is_unknown() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = config(&format!("http://{}", listener.local_addr().unwrap()));
    let client = crate::http::client(Duration::from_millis(300), Duration::from_secs(9), AllowedTargets::Any);
    let channel = Twilio::with_api(&config, &[7; 32], Api::with_client(&config, client));
    let fault = channel.send(&ascii_outgoing()).await.unwrap_err().fault;
    assert!(matches!(fault, Fault::Unknown { .. }), "{fault:?}");
}

#[tokio::test]
async fn typing_names_the_inbound_message() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/v2/Indicators/Typing.json"))
        .and(header("authorization", "Basic QUMwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDp0b2tlbi0x"))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({"success": true})))
        .expect(1)
        .mount(&server)
        .await;
    let channel = Twilio::new(config(&server.uri()), [7; 32]);
    assert_eq!(channel.send_typing(&ProviderId(SID.to_owned())).await, Ok(()));
    let request = &server.received_requests().await.unwrap()[0];
    assert_eq!(form_fields(request), pairs(&[("messageId", SID), ("channel", "whatsapp")]));
}

#[tokio::test]
async fn typing_may_be_repeated_after_any_doubt() {
    let server = server_answering(ResponseTemplate::new(500)).await;
    let fault = Twilio::new(config(&server.uri()), [7; 32]).send_typing(&ProviderId(SID.to_owned())).await.unwrap_err();
    assert!(matches!(fault, Fault::Retry { .. }), "{fault:?}");
    let server = server_answering(error_response(400, 20422)).await;
    let fault = Twilio::new(config(&server.uri()), [7; 32]).send_typing(&ProviderId(SID.to_owned())).await.unwrap_err();
    assert!(matches!(fault, Fault::Fail { owner: FaultOwner::Message, .. }), "{fault:?}");
}

#[tokio::test]
async fn a_test_message_names_no_part_and_can_be_followed() {
    let server = server_answering(created_response()).await;
    let twilio = Twilio::new(config(&server.uri()), [7; 32]);
    let id = twilio.send_test("+15005550006", "A test").await.unwrap();
    let posted = &server.received_requests().await.unwrap()[0];
    let expected = [("To", "whatsapp:+15005550006"), ("From", "whatsapp:+14155238886"), ("Body", "A test")];
    assert_eq!(form_fields(posted), pairs(&expected), "no StatusCallback");

    let resource = json!({ "sid": SID, "status": "undelivered", "error_code": 63016, "error_message": null });
    let message = Mock::given(method("GET")).and(path(MESSAGES_PATH.replace(".json", &format!("/{SID}.json"))));
    message.respond_with(ResponseTemplate::new(200).set_body_json(resource)).mount(&server).await;
    let delivery = twilio.delivery_of(&id).await.unwrap();
    assert_eq!((delivery.status, delivery.error_code), (Some(DeliveryStatus::Failed), Some(63016)));
}
